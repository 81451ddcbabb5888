//! Several processes on one file: what a killed one had goes on in another one at once, and never in
//! two of them.

use std::{collections::BTreeMap, time::Duration};

use crash_tests::log::{Line, Mark};

use crate::{
    journal::Journal,
    place::Place,
    steps,
    victim::Victim,
    wait::{PATIENCE, median, until},
};

/// Three: two survivors compete for what the killed one had.
const PROCESSES: usize = 3;
const ROUNDS: usize = 10;
const WORKFLOWS: usize = 8;
const STEPS: usize = 20;

/// How long a take-over on one machine should take.
const TARGET: Duration = Duration::from_secs(1);

#[test]
fn a_killed_process_is_taken_over_at_once_and_by_one_other() {
    let place = Place::new();
    let mut victims: Vec<Victim> = (0..PROCESSES).map(|_| Victim::ready(&place, &[])).collect();
    let mut killed = BTreeMap::new();
    let mut latencies = Vec::new();
    for round in 0..ROUNDS {
        let ids: Vec<String> = (0..WORKFLOWS).map(|n| format!("r{round}-{n}")).collect();
        let mut victim = victims.remove(0);
        for id in &ids {
            victim.tell(&format!("start chain {id} {STEPS} 10"));
        }
        until("each workflow has come to its third step", || {
            let begun = steps::begun(&steps::read(&place));
            let there = ids.iter().all(|id| begun.contains(&format!("{id}:2")));
            there.then_some(())
        });
        let at = victim.kill();
        killed.insert(victim.pid(), at);
        let next = until("a step of what was taken over", || {
            steps::read(&place)
                .into_iter()
                .find(|line| goes_on(line, at, &ids))
        });
        latencies.push(Duration::from_nanos(next.at - at));
        all_end(&place, (round + 1) * WORKFLOWS);
        victims.push(Victim::ready(&place, &[]));
    }
    drop(victims);
    check(&place, &killed);
    let (slowest, middle) = (latencies.iter().max().copied().unwrap(), median(latencies));
    let met = if middle < TARGET { "met" } else { "MISSED" };
    println!(
        "takeover: {ROUNDS} kills of one of {PROCESSES} processes, {} workflows, kill to next step: \
         median {middle:.1?}, slowest {slowest:.1?} (target {TARGET:?}: {met}), no workflow in two \
         processes at once",
        ROUNDS * WORKFLOWS
    );
    assert!(middle < PATIENCE / 3, "a take-over takes {middle:?}");
}

/// Whether a line is the begin of a step, elsewhere, of one of these workflows.
fn goes_on(line: &Line, after: u64, ids: &[String]) -> bool {
    line.at > after
        && line.mark == Mark::Enter
        && !line.is_body()
        && ids.iter().any(|id| id == line.workflow())
}

fn all_end(place: &Place, workflows: usize) {
    let journal = Journal::open(place).unwrap();
    until("the end of all workflows", || {
        (journal.count("succeeded") == workflows).then_some(())
    });
}

fn check(place: &Place, killed: &BTreeMap<u32, u64>) {
    let lines = steps::read(place);
    let overlaps = steps::overlaps(&lines, killed);
    assert!(
        overlaps.is_empty(),
        "two processes ran one workflow: {overlaps:#?}"
    );
    let runs = steps::runs(&lines);
    assert_eq!(runs.len(), ROUNDS * WORKFLOWS * STEPS, "steps were lost");
    // A kill can cut short the one step that each of its workflows is in, no other.
    let again: usize = runs.values().map(|runs| runs - 1).sum();
    assert!(again <= ROUNDS * WORKFLOWS, "{again} steps ran again");
    let takeovers = Journal::open(place).unwrap().takeovers();
    let expected = i64::try_from(ROUNDS * WORKFLOWS).unwrap();
    assert_eq!(
        takeovers.get("process gone"),
        Some(&expected),
        "workflows were taken over more or less than once for each kill: {takeovers:?}"
    );
}
