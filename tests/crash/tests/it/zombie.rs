//! A process that is stopped for longer than its lease and then wakes up: it writes nothing more to
//! what others have taken over, and goes on under a new incarnation.

use std::time::{Duration, Instant};

use crate::{journal::Journal, place::Place, shop::Shop, steps, victim::Victim, wait::until};

/// A short lease, so that a test does not wait long for its end.
const LEASE: &str = "lease_ms=1000";

const WORKFLOWS: usize = 20;

/// What a zombie did after it woke up.
struct Woken {
    /// From the stop to the end of the last workflow at the other process.
    taken_over: Duration,
    /// From its waking up to the end of new work under its new incarnation.
    went_on: Duration,
}

#[test]
fn a_zombie_writes_nothing_and_goes_on_under_a_new_incarnation() {
    let place = Place::new();
    let ids: Vec<String> = (0..WORKFLOWS).map(|n| format!("g{n}")).collect();
    let mut zombie = Victim::ready(&place, &[LEASE.into()]);
    for id in &ids {
        zombie.tell(&format!("start gated {id}"));
        zombie.hear(&format!("started {id} New"));
    }
    until("all workflows are in their first step", || {
        (steps::begun(&steps::read(&place)).len() == WORKFLOWS).then_some(())
    });
    stop_between_commits(&zombie, &place);
    let stopped = Instant::now();
    let mut other = Victim::ready(&place, &[LEASE.into()]);
    place.open_gate();
    let woken = wake(&place, &mut zombie, &mut other, stopped, &ids);
    let left: usize = ids
        .iter()
        .map(|id| left_by(&place, zombie.pid(), &format!("{id}:0")))
        .sum();
    assert_eq!(
        left, WORKFLOWS,
        "the zombie's steps did not go on when it woke up"
    );
    println!(
        "zombie: {WORKFLOWS} workflows in a step, taken over and ended {:.1?} after the stop, \
         {WORKFLOWS} steps of the zombie ended after that and wrote nothing, new work done {:.1?} \
         after it woke up",
        woken.taken_over, woken.went_on
    );
}

#[test]
fn a_zombie_that_was_stopped_at_a_commit_doubles_nothing() {
    for (point, at) in [
        ("journal::before_commit", 3),
        ("journal::after_commit", 2),
        ("transaction::before_begin", 1),
        ("transaction::after_commit", 1),
    ] {
        let place = Place::new();
        place.open_gate();
        let strike = format!("strike={point}#{at}#stop");
        let mut zombie = Victim::ready(&place, &[LEASE.into(), strike]);
        zombie.tell("start gated g0");
        zombie.stopped();
        let stopped = Instant::now();
        let mut other = Victim::ready(&place, &[LEASE.into()]);
        let woken = wake(&place, &mut zombie, &mut other, stopped, &["g0".into()]);
        println!(
            "zombie: stopped at {point} number {at}, taken over and ended {:.1?} after that, woke \
             up and doubled nothing, new work done after {:.1?}",
            woken.taken_over, woken.went_on
        );
    }
}

/// A process that is stopped in the middle of a user's transaction has the lock of the user's
/// database: nobody can go on before it wakes up. Then its transaction counts, and nothing is
/// doubled.
#[test]
fn a_zombie_that_wakes_up_in_a_transaction_doubles_nothing() {
    let place = Place::new();
    place.open_gate();
    let strike = "strike=transaction::before_commit#1#stop".to_owned();
    // Opened before the lock is taken, as opening would wait for it.
    let other = Victim::ready(&place, &[LEASE.into()]);
    let mut zombie = Victim::ready(&place, &[LEASE.into(), strike]);
    zombie.tell("start gated g0");
    zombie.stopped();
    let journal = Journal::open(&place).unwrap();
    until("the take-over", || {
        (journal.number("select count(*) from takeovers") == 1).then_some(())
    });
    zombie.go_on();
    until("the end", || {
        (journal.count("succeeded") == 1).then_some(())
    });
    new_work(&place, &mut zombie);
    check(&place, 1);
    drop(other);
    println!("zombie: woke up in a transaction that another process waited for, nothing doubled");
}

/// Stops a process, but not while it has the lock of the file: others could not go on, as with
/// every writer of SQLite.
fn stop_between_commits(victim: &Victim, place: &Place) {
    until("a stop between two commits", || {
        victim.stop();
        let free = is_free(place);
        if !free {
            victim.go_on();
        }
        free.then_some(())
    });
}

fn is_free(place: &Place) -> bool {
    let db = rusqlite::Connection::open(place.journal()).unwrap();
    db.busy_timeout(Duration::ZERO).unwrap();
    db.execute_batch("begin immediate; rollback").is_ok()
}

/// Lets the other process end the workflows, wakes the zombie up, and sees that nothing changes.
fn wake(
    place: &Place,
    zombie: &mut Victim,
    other: &mut Victim,
    stopped: Instant,
    ids: &[String],
) -> Woken {
    let journal = Journal::open(place).unwrap();
    until("the end of all workflows at the other process", || {
        (journal.count("succeeded") == ids.len()).then_some(())
    });
    let taken_over = stopped.elapsed();
    let expected = [("lease ended".to_owned(), i64::try_from(ids.len()).unwrap())];
    assert_eq!(
        journal.takeovers(),
        expected.into(),
        "not all were taken over"
    );
    let before = journal.digest(ids);
    let woken = Instant::now();
    zombie.go_on();
    new_work(place, zombie);
    let went_on = woken.elapsed();
    // Whatever it had on its way is over when it has let go in order.
    zombie.terminate();
    zombie.hear("stopped");
    other.hear("ready");
    let after = journal.digest(ids);
    assert!(
        before == after,
        "the zombie has written to what was taken over:\n{before}\n{after}"
    );
    check(place, ids.len());
    Woken {
        taken_over,
        went_on,
    }
}

/// Has the process run new work, under another incarnation than its first.
fn new_work(place: &Place, zombie: &mut Victim) {
    let journal = Journal::open(place).unwrap();
    let pid = zombie.pid();
    let incarnations = format!("select count(*) from executors where pid = {pid}");
    until("a new incarnation of the zombie", || {
        (journal.number(&incarnations) == 2).then_some(())
    });
    zombie.tell("start chain new 3 1");
    zombie.hear("started new New");
    zombie.tell("follow chain new");
    zombie.hear("done new succeeded");
    let live = format!("select count(*) from executors where pid = {pid} and ended_at is null");
    assert_eq!(
        journal.number(&live),
        1,
        "it has other than one live incarnation"
    );
}

fn check(place: &Place, workflows: usize) {
    let journal = Journal::open(place).unwrap();
    let unfinished = journal.unfinished();
    assert!(unfinished.is_empty(), "lost: {unfinished:?}");
    assert_eq!(
        journal.states().len(),
        workflows + 1,
        "workflows were doubled"
    );
    let shop = Shop::open(place);
    let doubled = shop.doubled();
    assert!(doubled.is_empty(), "applied twice: {doubled:?}");
    assert_eq!(shop.applied(), workflows, "a transaction was lost");
}

/// How often a process has come to the end of a step.
fn left_by(place: &Place, pid: u32, key: &str) -> usize {
    let lines = steps::read(place);
    let left = lines.iter().filter(|line| {
        line.pid == pid && line.key == key && line.mark == crash_tests::log::Mark::Leave
    });
    left.count()
}
