//! The power goes while a process works: what was acknowledged is there afterwards, and goes on.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use crash_tests::power::{self, Disk};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{journal::Journal, place::Place, random::setting, shop::Shop, steps, victim::Victim};

const DISK_BYTES: u64 = 48 << 20;

const CHECKOUTS: usize = 10;
const CHAINS: usize = 10;
const STEPS: usize = 20;

/// The power goes after so many writes or so long a time, whichever comes first.
const WRITES_MAX: u64 = 1_000;
const LIFE_MAX: Duration = Duration::from_millis(1_500);

/// How long to wait before what was said is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    if let Some(why) = power::missing() {
        println!("power on SQLite: SKIPPED: {why}");
        return;
    }
    let cuts: u32 = setting("STEPWELL_CRASH_CUTS", 4);
    let seed: u64 = setting("STEPWELL_CRASH_SEED", rand::rng().random());
    println!("power on SQLite: {cuts} cuts, STEPWELL_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0..cuts {
        cut_once(number, &mut random);
    }
}

fn ids() -> impl Iterator<Item = (&'static str, String)> {
    let checkouts = (0..CHECKOUTS).map(|n| ("checkout", format!("c{n}")));
    checkouts.chain((0..CHAINS).map(|n| ("chain", format!("s{n}"))))
}

fn cut_once(number: u32, random: &mut StdRng) {
    let began = Instant::now();
    // The disk is taken out before its place is removed.
    let place = Place::new();
    let mut disk = Disk::new(DISK_BYTES).unwrap();
    disk.mount(place.directory()).unwrap();
    fs::create_dir(place.disk()).unwrap();
    let mut victim = Victim::ready(&place, &[]);
    let doom = StdRng::from_rng(random);
    disk.cut_after(random.random_range(0..WRITES_MAX), doom);
    work(&mut victim, &disk, LIFE_MAX.mul_f64(random.random()));
    disk.cut(random);
    victim.kill();
    let (acknowledged, done) = heard(&victim);
    let (flushes, sectors_lost) = (disk.flushes(), disk.lost());

    disk.mount(place.directory()).unwrap();
    let recorded = check_there(&place, &acknowledged, &done);
    // What is left of it is no whole log.
    let _ = fs::remove_file(place.log());
    finish(&place);
    let again = steps::begun_again(&recorded, &steps::read(&place));
    assert!(
        again.is_empty(),
        "steps ran again that were recorded: {again:?}"
    );
    Shop::open(&place).check_checkouts(CHECKOUTS, "after the power was back");
    println!(
        "power on SQLite: cut {number}: {} acknowledged starts and {} ends are there, {} steps \
         recorded, {flushes} flushes, {sectors_lost} sectors that were not flushed are lost, all \
         ended right and once, {:.1?}",
        acknowledged.len(),
        done.len(),
        recorded.len(),
        began.elapsed()
    );
}

/// Starts everything, and follows what was acknowledged, until the power has gone or all is done.
fn work(victim: &mut Victim, disk: &Disk, life: Duration) {
    for (kind, id) in ids() {
        victim.tell(&format!("start {kind} {id} {STEPS} 5"));
    }
    let end = Instant::now() + life;
    let mut followed = BTreeSet::new();
    while disk.is_on() && Instant::now() < end {
        let (acknowledged, done) = heard(victim);
        for (kind, id) in ids().filter(|(_, id)| acknowledged.contains(id)) {
            if followed.insert(id.clone()) {
                victim.tell(&format!("follow {kind} {id}"));
            }
        }
        if done.len() == CHECKOUTS + CHAINS {
            return;
        }
        victim.listen_until("never", Instant::now() + LOOK_AGAIN);
    }
}

/// What the process said before it died: what it had started, and what had ended.
fn heard(victim: &Victim) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut acknowledged, mut done) = (BTreeSet::new(), BTreeSet::new());
    for line in victim.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["started", id, ..] => drop(acknowledged.insert(id.to_owned())),
            ["done", id, "succeeded", ..] => drop(done.insert(id.to_owned())),
            _ => {}
        }
    }
    (acknowledged, done)
}

/// All that was said is on the disk. The steps that are recorded there.
fn check_there(
    place: &Place,
    acknowledged: &BTreeSet<String>,
    done: &BTreeSet<String>,
) -> BTreeSet<String> {
    let Some(journal) = Journal::open(place) else {
        assert!(acknowledged.is_empty(), "the database is lost");
        return BTreeSet::new();
    };
    let states = journal.states();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !states.contains_key(*id))
        .collect();
    assert!(lost.is_empty(), "acknowledged starts are lost: {lost:?}");
    let lost: Vec<_> = done
        .iter()
        .filter(|id| states[*id] != "succeeded")
        .collect();
    assert!(lost.is_empty(), "ends that were told are lost: {lost:?}");
    journal.recorded_steps()
}

fn finish(place: &Place) {
    let mut next = Victim::ready(place, &[]);
    for (kind, id) in ids() {
        next.tell(&format!("start {kind} {id} {STEPS} 5"));
        next.hear(&format!("started {id} "));
        next.tell(&format!("follow {kind} {id}"));
    }
    for (_, id) in ids() {
        next.hear(&format!("done {id} succeeded"));
    }
    next.terminate();
    next.hear("stopped");
    next.wait();
}
