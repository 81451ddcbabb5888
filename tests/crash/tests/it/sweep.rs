//! One workflow, killed before and after every commit and around every transaction: its end is the
//! same as without a crash, and nothing of it is lost or doubled.

use std::{collections::VecDeque, fmt, sync::Mutex, thread, time::Instant};

use crash_tests::POINTS;

use crate::{
    journal::Journal,
    place::Place,
    shop::Shop,
    steps,
    victim::{Died, Victim},
};

/// How many cases run beside each other.
const AT_ONCE: usize = 4;

/// The id of the one workflow of a case.
const ID: &str = "w1";

/// What is killed, and what must be left of it.
struct Subject {
    kind: &'static str,
    /// How many workflows it is, with its children.
    workflows: usize,
    check: fn(&Place, when: &str),
}

/// One kill.
#[derive(Clone, Copy)]
struct Case {
    point: &'static str,
    at: u64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "killed at {} number {}", self.point, self.at)
    }
}

/// What a case came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// The process was killed, and another one went on.
    Killed,
    /// It ended before it came to the point as often as that: two commits had become one.
    NotReached,
}

#[test]
fn a_checkout_survives_a_kill_at_every_point() {
    sweep(&Subject {
        kind: "checkout",
        workflows: 2,
        check: |place, when| Shop::open(place).check_checkouts(1, when),
    });
}

#[test]
fn every_kind_of_operation_survives_a_kill_at_every_point() {
    sweep(&Subject {
        kind: "everything",
        workflows: 2,
        check: check_everything,
    });
}

fn check_everything(place: &Place, when: &str) {
    let shop = Shop::open(place);
    let doubled = shop.doubled();
    assert!(doubled.is_empty(), "{when}: applied twice: {doubled:?}");
    assert_eq!(shop.applied(), 3, "{when}: a transaction was lost");
    let journal = Journal::open(place).unwrap();
    let entries = journal.number("select count(*) from stream_entries");
    assert_eq!(entries, 2, "{when}: an append was lost or doubled");
    let events = journal.number("select count(*) from events");
    assert_eq!(events, 1, "{when}: an event was lost or doubled");
    let messages = "select count(*) from messages where received_at is not null";
    assert_eq!(
        journal.number(messages),
        1,
        "{when}: a message was lost or doubled"
    );
}

/// Counts the commits of a run without a crash, then kills at each of them.
fn sweep(subject: &Subject) {
    let began = Instant::now();
    let (histories, hits) = undisturbed(subject);
    let every = |(point, hits)| (1..=hits).map(move |at| Case { point, at });
    let cases: VecDeque<Case> = hits.into_iter().flat_map(every).collect();
    let count = cases.len();
    let cases = Mutex::new(cases);
    let next = || cases.lock().unwrap().pop_front();
    let work = || {
        let mut killed = 0;
        while let Some(case) = next() {
            killed += usize::from(kill_at(subject, case, &histories) == Came::Killed);
        }
        killed
    };
    let killed: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    let kind = subject.kind;
    assert!(
        killed * 10 >= count * 9,
        "only {killed} of {count} kills of {kind} struck"
    );
    println!(
        "sweep {kind}: {hits:?}, {killed} of {count} kills struck, nothing lost or doubled, {:.1?}",
        began.elapsed()
    );
}

/// Runs the workflow without a crash: what it recorded, and how often it came to each point.
fn undisturbed(subject: &Subject) -> (String, [(&'static str, u64); POINTS.len()]) {
    let place = Place::new();
    let mut victim = Victim::ready(&place, &[]);
    to_the_end(&mut victim, subject, false).unwrap();
    let histories = check(&place, subject, "without a crash");
    victim.tell("hits");
    let hits = victim.hear("hits");
    let count = |point: &'static str| {
        let count = hits
            .split(' ')
            .find_map(|word| word.strip_prefix(point)?.strip_prefix('='));
        (point, count.unwrap().parse().unwrap())
    };
    (histories, POINTS.map(count))
}

/// Has a victim start the workflow, unless it is known to exist, and do what its customer does.
fn to_the_end(victim: &mut Victim, subject: &Subject, exists: bool) -> Result<String, Died> {
    let kind = subject.kind;
    if !exists {
        victim.tell(&format!("start {kind} {ID}"));
        victim.listen_for(&format!("started {ID}"))?;
    }
    victim.tell(&format!("follow {kind} {ID}"));
    victim.listen_for(&format!("done {ID}"))
}

fn kill_at(subject: &Subject, case: Case, histories: &str) -> Came {
    let when = case.to_string();
    let place = Place::new();
    let strike = format!("strike={}#{}#kill", case.point, case.at);
    let mut first = Victim::ready(&place, &[strike]);
    if to_the_end(&mut first, subject, false).is_ok() {
        check(&place, subject, &when);
        return Came::NotReached;
    }
    first.wait();
    let acknowledged = first.lines().iter().any(|line| line.starts_with("started"));
    let recorded = Journal::open(&place).unwrap().recorded_steps();
    let ran_before = steps::read(&place).len();

    let mut second = Victim::ready(&place, &[]);
    // What was acknowledged is not started again: it must be there.
    to_the_end(&mut second, subject, acknowledged).unwrap();
    let now = check(&place, subject, &when);
    assert_eq!(
        now, histories,
        "{when}: another history than without the crash"
    );
    let again = steps::begun_again(&recorded, &steps::read(&place)[ran_before..]);
    assert!(
        again.is_empty(),
        "{when}: steps ran again that were recorded: {again:?}"
    );
    Came::Killed
}

/// Fails if something was lost or doubled. Answers what was recorded.
fn check(place: &Place, subject: &Subject, when: &str) -> String {
    let journal = Journal::open(place).unwrap();
    let unfinished = journal.unfinished();
    assert!(unfinished.is_empty(), "{when}: {unfinished:?}");
    assert_eq!(
        journal.states().len(),
        subject.workflows,
        "{when}: workflows were lost or doubled"
    );
    (subject.check)(place, when);
    journal.histories()
}
