//! What must be true in the end, whatever happened; each with the counts that show that it was
//! tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crash_tests::{
    load::{Letter, NARROW, PARTS, Receipt, WIDE},
    log::{Line, Mark},
};

use crate::{
    audit::{Audit, Move},
    fleet::Kill,
    load::{Kind, Load, client, letters_each},
};

/// How far the store's clock may be mistaken: a process reckons it between two answers of the
/// server.
const CLOCK_DOUBT: u64 = 50;

/// Every workflow is there, has succeeded, and came to what it had to. How many.
pub(crate) fn ends(load: &Load, audit: &Audit) -> usize {
    let mut results = BTreeMap::new();
    for ended in &audit.results {
        assert_eq!(ended.state, "succeeded", "{ended:?}");
        results.insert(ended.workflow_id.as_str(), ended.payload.as_deref());
    }
    assert_eq!(
        results.len(),
        load.workflows(),
        "workflows were lost or doubled"
    );
    for (id, kind) in &load.kinds {
        let result = results.get(id.as_str()).copied().flatten();
        let result = result.unwrap_or_else(|| panic!("`{id}` has no result"));
        match kind {
            Kind::Order { n, sleep_ms } => order(id, (*n, *sleep_ms), result),
            Kind::Limited { n, .. } => assert_eq!(result, (n + 2).to_string(), "{id}"),
            Kind::Sender { .. } => assert_eq!(result, letters_each().to_string(), "{id}"),
            Kind::Receiver { from } => letters(id, from, result),
        }
    }
    results.len()
}

fn order(id: &str, (n, sleep_ms): (u64, u64), result: &str) {
    let receipt: Receipt = serde_json::from_str(result).unwrap();
    // The step, the child's step, two steps at once, three transactions.
    assert_eq!(receipt.sum, 2 * n + 2 + 3 + 3, "{id}");
    let (asked, slept) = receipt.slept_ms;
    assert_eq!(asked, sleep_ms, "{id}");
    assert!(
        slept + CLOCK_DOUBT >= asked,
        "`{id}` slept {slept} ms of {asked}"
    );
}

/// Each letter once, and those of one sender in their order.
fn letters(id: &str, from: &[String], result: &str) {
    let received: Vec<Letter> = serde_json::from_str(result).unwrap();
    let mut each: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for letter in &received {
        each.entry(&letter.from).or_default().push(letter.number);
    }
    let in_order: Vec<u64> = (0..letters_each()).collect();
    let expected = from.iter().map(|from| (from.as_str(), in_order.clone()));
    assert_eq!(each, expected.collect(), "`{id}` received {received:?}");
}

/// Each transaction has left its row, once. How many.
pub(crate) fn transactions(load: &Load, applied: &BTreeMap<(String, String), i64>) -> usize {
    let mut expected = BTreeMap::new();
    for (id, kind) in &load.kinds {
        let mut expect = |id: String, what: &str| expected.insert((id, what.to_owned()), 1);
        match kind {
            Kind::Order { .. } => {
                expect(id.clone(), "first");
                expect(id.clone(), "last");
                expect(format!("{id}/part"), "part");
            }
            Kind::Limited { .. } => drop(expect(id.clone(), "limited")),
            Kind::Sender { .. } | Kind::Receiver { .. } => {}
        }
    }
    let wrong: Vec<_> = applied
        .iter()
        .filter(|(key, count)| expected.get(*key) != Some(*count))
        .collect();
    assert!(wrong.is_empty(), "transactions were doubled: {wrong:?}");
    let lost: Vec<_> = expected
        .keys()
        .filter(|key| !applied.contains_key(key))
        .collect();
    assert!(lost.is_empty(), "transactions were lost: {lost:?}");
    expected.len()
}

/// What steps really did.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "what is not read is printed")]
pub(crate) struct Steps {
    /// How many there are.
    pub(crate) recorded: usize,
    /// How many runs did not count: cut short, or of a process that had lost its lease.
    pub(crate) again: usize,
    /// How many steps and bodies began in a process that had lost its lease and did not know it yet.
    pub(crate) without_lease: usize,
}

/// No process with a lease begins anything of a workflow that is not its own, or a step that is
/// recorded.
///
/// A process without a lease (stopped, or cut off from the server) may be at the beginning of a step
/// when it loses it, and go on when others are further: what it does then is a run that was cut
/// short, and nothing of it is written. Those are counted.
pub(crate) fn steps(lines: &[Line], audit: &Audit) -> Steps {
    let owners = Owners::of(&audit.moves);
    let mut steps = Steps {
        recorded: audit.steps.len(),
        ..Steps::default()
    };
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in lines.iter().filter(|line| line.mark == Mark::Enter) {
        let at = i64::try_from(line.at).unwrap();
        let owner = owners.at(line.workflow(), at);
        let owner = owner.and_then(|owner| audit.pid(owner));
        let is_own = owner == Some(i64::from(line.pid));
        let recorded = audit.steps.get(&line.key).is_some_and(|then| *then < at);
        if !is_own || recorded {
            if audit.is_live(line.pid, at) {
                let moves = owners.0.get(line.workflow());
                wrong.push(format!(
                    "{line:?}: own {is_own}, recorded {recorded}, {moves:?}"
                ));
            }
            steps.without_lease += 1;
        }
        if !line.is_body() {
            *runs.entry(&line.key).or_default() += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "processes with a lease ran what was recorded or another's: {wrong:#?}"
    );
    let ran: BTreeSet<&str> = runs.keys().copied().collect();
    let recorded: BTreeSet<&str> = audit.steps.keys().map(String::as_str).collect();
    assert_eq!(ran, recorded, "steps are recorded that did not run, or not");
    steps.again = runs.values().sum::<usize>() - runs.len();
    steps
}

/// Who had which workflow when.
struct Owners<'a>(BTreeMap<&'a str, Vec<&'a Move>>);

impl<'a> Owners<'a> {
    fn of(moves: &'a [Move]) -> Self {
        let mut owners: BTreeMap<&str, Vec<&Move>> = BTreeMap::new();
        for step in moves {
            owners.entry(&step.workflow_id).or_default().push(step);
        }
        Self(owners)
    }

    /// The incarnation that runs a workflow at an instant.
    fn at(&self, workflow_id: &str, at: i64) -> Option<&'a str> {
        let moves = self.0.get(workflow_id)?;
        let last = moves.partition_point(|step| step.at <= at).checked_sub(1)?;
        let is_running = moves[last].state == "running";
        moves[last].executor_id.as_deref().filter(|_| is_running)
    }
}

/// How full queues were.
#[derive(Debug, Default)]
pub(crate) struct Fullest {
    /// In all executors.
    all: u32,
    /// In one executor.
    one: u32,
}

/// The limits held at every instant: at every commit that gave a workflow to an executor. How full
/// each queue was.
///
/// What counts is whose the workflows are. The code of a step may still run in a process that has
/// lost its lease, as everywhere.
pub(crate) fn limits(audit: &Audit) -> BTreeMap<String, Fullest> {
    let mut running: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut fullest: BTreeMap<String, Fullest> = BTreeMap::new();
    for step in audit
        .moves
        .iter()
        .filter(|step| !step.queue_name.is_empty())
    {
        running.remove(step.workflow_id.as_str());
        let (Some(executor), "running") = (&step.executor_id, step.state.as_str()) else {
            continue;
        };
        let queue = step.queue_name.as_str();
        running.insert(&step.workflow_id, (queue, executor));
        let of_queue = running.values().filter(|(it, _)| *it == queue);
        let here = of_queue.clone().filter(|(_, it)| it == executor).count();
        let fullest = fullest.entry(queue.to_owned()).or_default();
        fullest.all = fullest.all.max(u32::try_from(of_queue.count()).unwrap());
        fullest.one = fullest.one.max(u32::try_from(here).unwrap());
    }
    let bounds = [
        ("narrow", NARROW, NARROW),
        ("wide", WIDE.0, WIDE.1),
        ("parts", u32::MAX, PARTS),
    ];
    for (queue, all, one) in bounds {
        let found = &fullest[queue];
        assert!(found.all <= all, "`{queue}` ran {} of {all}", found.all);
        assert!(
            found.one <= one,
            "`{queue}` ran {} of {one} in one",
            found.one
        );
    }
    // A limit that was never reached was not tried.
    assert_eq!(fullest["narrow"].all, NARROW);
    assert_eq!(fullest["wide"].one, WIDE.1);
    fullest
}

/// For each workflow of each process that was killed: from the kill to the commit that gave it to
/// another one.
///
/// Those in a queue are left out: they may have to wait for a place.
pub(crate) fn take_overs(audit: &Audit, kills: &[Kill]) -> Vec<Duration> {
    let owners = Owners::of(&audit.moves);
    let mut latencies = Vec::new();
    for kill in kills {
        let at = i64::try_from(kill.at).unwrap();
        for moves in owners.0.values() {
            let after = moves.partition_point(|step| step.at <= at);
            let Some(last) = after.checked_sub(1).map(|last| moves[last]) else {
                continue;
            };
            let owner = last.executor_id.as_deref().and_then(|it| audit.pid(it));
            let is_lost = last.state == "running"
                && last.queue_name.is_empty()
                && owner == Some(i64::from(kill.pid));
            // A commit that was on its way when its process was killed may still have ended it.
            let next = moves[after..].iter().find(|step| step.state == "running");
            if is_lost && let Some(next) = next {
                let nanos = u64::try_from(next.at - at).unwrap();
                latencies.push(Duration::from_nanos(nanos));
            }
        }
    }
    latencies.sort();
    latencies
}

/// The letters that were received.
pub(crate) fn received(load: &Load) -> usize {
    let from = load.kinds.iter().map(|(id, kind)| match kind {
        Kind::Receiver { from } => {
            assert!(from.contains(&client(id)));
            from.len()
        }
        _ => 0,
    });
    from.sum::<usize>() * usize::try_from(letters_each()).unwrap()
}
