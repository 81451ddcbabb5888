//! A redrive of many: killed, stopped and resumed, it tries each letter once, at its rate, in its
//! queue, and no step that succeeded runs again.

use std::time::Duration;

use crate::{journal::Journal, place::Place, steps, victim::Victim, wait::until};

/// How many a second.
const RATE: usize = 100;

/// What is tried at once: a quarter of a second's worth. See `redrive/pace.rs`.
const PAGE: usize = RATE / 4;

/// `STEPWELL_REDRIVE_LETTERS`, or enough for three seconds.
fn letters() -> usize {
    let said = std::env::var("STEPWELL_REDRIVE_LETTERS").ok();
    said.map_or(3 * RATE, |said| said.parse().unwrap())
}

#[test]
fn a_redrive_that_is_killed_stopped_and_resumed_tries_each_letter_once() {
    let letters = letters();
    let place = Place::new();
    let mut victim = Victim::ready(&place, &[]);
    victim.tell(&format!("break b {letters}"));
    let journal = Journal::open(&place).unwrap();
    grows("failed", letters, || journal.count("failed"));
    place.open_gate();

    victim.tell(&format!("redrive job {RATE}"));
    grows("tried again", letters / 5, || tried(&journal));
    victim.kill();
    let mut victim = Victim::ready(&place, &[]);
    grows("tried again after a kill", 2 * letters / 5, || {
        tried(&journal)
    });

    victim.tell("cancel job");
    until("the redrive is stopped", || {
        (state_of_job(&journal) == "cancelled").then_some(())
    });
    let stopped_with = tried(&journal);
    assert!(stopped_with < letters, "it was over before it was stopped");
    victim.kill();
    let mut victim = Victim::ready(&place, &[]);
    assert_eq!(tried(&journal), stopped_with, "it was not stopped");

    victim.tell("resume job");
    grows("tried again, resumed", 4 * letters / 5, || tried(&journal));
    victim.kill();
    let _victim = Victim::ready(&place, &[]);
    // The redrive itself has succeeded, too.
    grows("succeeded", letters + 1, || journal.count("succeeded"));
    check(&place, &journal, letters);
}

/// Waits until a number is large enough. It may take its time, but not stand still.
fn grows(what: &str, enough: usize, mut number: impl FnMut() -> usize) {
    let mut last = 0;
    while last < enough {
        last = until(&format!("more than {last} of {enough} are {what}"), || {
            Some(number()).filter(|now| *now > last)
        });
    }
}

fn tried(journal: &Journal) -> usize {
    let sql = "select count(*) from workflows where workflow_id like 'b-%~2'";
    usize::try_from(journal.number(sql)).unwrap()
}

fn state_of_job(journal: &Journal) -> String {
    journal.text("select state from workflows where workflow_id = 'job'")
}

fn check(place: &Place, journal: &Journal, letters: usize) {
    assert_eq!(tried(journal), letters);
    let others = "select count(*) from workflows
                  where workflow_id not like 'b-%~2' and state != 'failed' and workflow_id != 'job'";
    assert_eq!(journal.number(others), 0, "something else was started");
    let elsewhere = "select count(*) from workflows
                     where workflow_id like 'b-%~2' and queue_name is not 'shelf'";
    assert_eq!(journal.number(elsewhere), 0, "not in their queue");

    let runs = steps::runs(&steps::read(place));
    let good = runs.keys().filter(|key| key.ends_with("~2:0")).count();
    assert_eq!(good, 0, "steps that had succeeded ran again");

    let at = "select created_at from workflows where workflow_id like 'b-%~2' order by 1";
    let at = journal.numbers(at);
    let most = most_in_a_second(&at);
    assert!(most <= RATE + 2 * PAGE, "{most} in one second");
    let took = Duration::from_micros(u64::try_from(at[letters - 1] - at[0]).unwrap());
    println!(
        "redrive: {letters} letters at {RATE}/s, killed three times, stopped and resumed: each tried \
         once, in its queue, in {took:.1?} with the outages; at most {most} in any second, no step \
         that had succeeded ran again"
    );
}

/// How many instants, in microseconds, lie within a second.
fn most_in_a_second(sorted: &[i64]) -> usize {
    let within = |(index, at): (usize, &i64)| {
        let end = sorted.partition_point(|other| *other < at + 1_000_000);
        end - index
    };
    sorted.iter().enumerate().map(within).max().unwrap_or(0)
}
