//! SIGTERM: running steps end and are recorded, the rest goes to another process at once.

use std::{collections::BTreeMap, thread, time::Duration};

use crash_tests::log::{Line, Mark};

use crate::{
    journal::Journal,
    place::Place,
    steps,
    victim::Victim,
    wait::{median, until},
};

/// How many places hand over beside each other: the more the machine has to do, the longer the
/// moments in which something could be lost.
const AT_ONCE: usize = 6;
const ROUNDS: usize = 5;
const WORKFLOWS: usize = 20;
const STEPS: usize = 4;

/// How long a step takes: long enough to be in it when the signal comes.
const STEP: Duration = Duration::from_millis(100);

/// Far below the lease of ten seconds.
const GAP_MAX: Duration = Duration::from_secs(3);

#[test]
fn a_terminated_process_hands_over_without_cutting_a_step_short() {
    let gaps: Vec<Duration> = thread::scope(|scope| {
        let places: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(hand_over)).collect();
        let gaps = places.into_iter().map(|place| place.join().unwrap());
        gaps.flatten().collect()
    });
    println!(
        "handover: {} processes terminated, {} workflows handed back, none of {} steps ran twice; \
         from the last end to the next begin: median {:.1?}",
        gaps.len(),
        gaps.len() * WORKFLOWS,
        gaps.len() * WORKFLOWS * STEPS,
        median(gaps.clone())
    );
    let slowest = gaps.into_iter().max().unwrap();
    assert!(slowest < GAP_MAX, "a hand-over took {slowest:?}");
}

/// Terminates one process after the other. Answers how long nobody was at a workflow, each time.
fn hand_over() -> Vec<Duration> {
    let place = Place::new();
    let mut leaving = Victim::ready(&place, &[]);
    let mut gaps = Vec::new();
    for round in 0..ROUNDS {
        let staying = Victim::ready(&place, &[]);
        for n in 0..WORKFLOWS {
            let millis = STEP.as_millis();
            leaving.tell(&format!("start chain h{round}-{n} {STEPS} {millis}"));
        }
        until("all workflows are in their second step", || {
            let begun = steps::begun(&steps::read(&place));
            let there = (0..WORKFLOWS).all(|n| begun.contains(&format!("h{round}-{n}:1")));
            there.then_some(())
        });
        leaving.terminate();
        leaving.hear("stopped");
        let status = leaving.wait();
        assert!(status.success(), "it ended with {status}");
        all_end(&place, (round + 1) * WORKFLOWS);
        gaps.push(gap(&steps::read(&place), leaving.pid(), staying.pid()));
        leaving = staying;
    }
    check(&place);
    gaps
}

fn all_end(place: &Place, workflows: usize) {
    let journal = Journal::open(place).unwrap();
    until("the end of all workflows", || {
        (journal.count("succeeded") == workflows).then_some(())
    });
}

/// How long nobody was at a workflow.
fn gap(lines: &[Line], leaving: u32, staying: u32) -> Duration {
    let last = lines.iter().rfind(|line| line.pid == leaving).unwrap();
    let first = lines.iter().find(|line| line.pid == staying).unwrap();
    Duration::from_nanos(first.at.saturating_sub(last.at))
}

fn check(place: &Place) {
    let lines = steps::read(place);
    let runs = steps::runs(&lines);
    assert_eq!(runs.len(), ROUNDS * WORKFLOWS * STEPS, "steps were lost");
    let again: Vec<_> = runs.iter().filter(|(_, runs)| **runs > 1).collect();
    assert!(
        again.is_empty(),
        "steps ran again although nothing was killed: {again:?}"
    );
    let overlaps = steps::overlaps(&lines, &BTreeMap::new());
    assert!(
        overlaps.is_empty(),
        "two processes ran one workflow: {overlaps:#?}"
    );
    let left = lines.iter().filter(|line| line.mark == Mark::Leave).count();
    assert_eq!(2 * left, lines.len(), "a step was cut short");
    let takeovers = Journal::open(place).unwrap().takeovers();
    let handed_back = i64::try_from(ROUNDS * WORKFLOWS).unwrap();
    assert_eq!(
        takeovers,
        [("handed back".to_owned(), handed_back)].into(),
        "the workflows were not handed back"
    );
}
