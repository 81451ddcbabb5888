//! What the log says that the workflows really did.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crash_tests::{
    Files,
    log::{Line, Mark},
};

/// All lines so far.
pub(crate) fn read(files: &Files) -> Vec<Line> {
    let text = fs::read_to_string(files.log()).unwrap_or_default();
    // The last line may be on its way.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(|line| line.parse().unwrap()).collect()
}

/// The steps that were begun, as `<workflow>:<position>`.
pub(crate) fn begun<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeSet<String> {
    let steps = lines
        .into_iter()
        .filter(|line| line.mark == Mark::Enter && !line.is_body());
    steps.map(|line| line.key.clone()).collect()
}

/// Steps that began more than once although no crash was in between: those that ran to their end
/// and were recorded are in `recorded`.
pub(crate) fn begun_again(recorded: &BTreeSet<String>, lines_after: &[Line]) -> BTreeSet<String> {
    begun(lines_after).intersection(recorded).cloned().collect()
}

/// How often each step was begun.
pub(crate) fn runs(lines: &[Line]) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    for line in lines {
        if line.mark == Mark::Enter && !line.is_body() {
            *runs.entry(line.key.clone()).or_default() += 1;
        }
    }
    runs
}

/// A time in which a process was at something.
#[derive(Debug, Clone)]
struct Time {
    pid: u32,
    from: u64,
    to: u64,
}

/// Pairs of processes that were at the same workflow at once, in sentences. `killed` says until when
/// a process that left no end certainly lived: until its kill was sent.
pub(crate) fn overlaps(lines: &[Line], killed: &BTreeMap<u32, u64>) -> Vec<String> {
    let mut times: BTreeMap<&str, Vec<Time>> = BTreeMap::new();
    let mut open: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    for line in lines {
        match line.mark {
            Mark::Enter => drop(open.insert((line.pid, &line.key), line.at)),
            Mark::Leave => {
                let from = open.remove(&(line.pid, line.key.as_str()));
                let time = Time {
                    pid: line.pid,
                    from: from.unwrap(),
                    to: line.at,
                };
                times.entry(line.workflow()).or_default().push(time);
            }
        }
    }
    for ((pid, key), from) in open {
        let to = killed.get(&pid).copied().unwrap_or(u64::MAX).max(from);
        let workflow = key.rsplit_once(':').map_or(key, |(workflow, _)| workflow);
        times
            .entry(workflow)
            .or_default()
            .push(Time { pid, from, to });
    }
    times
        .iter_mut()
        .flat_map(|(workflow, times)| overlapping(workflow, times))
        .collect()
}

fn overlapping(workflow: &str, times: &mut [Time]) -> Vec<String> {
    times.sort_by_key(|time| time.from);
    let mut latest: Vec<&Time> = Vec::new();
    let mut found = Vec::new();
    for time in times.iter() {
        let together = latest
            .iter()
            .filter(|before| before.pid != time.pid && before.to > time.from);
        found.extend(together.map(|before| {
            let for_micros = (before.to.min(time.to) - time.from) / 1_000;
            let (one, other) = (before.pid, time.pid);
            format!("{workflow} was in {one} and {other} at once for {for_micros} µs")
        }));
        latest.retain(|before| before.pid != time.pid || before.to > time.to);
        latest.push(time);
    }
    found
}
