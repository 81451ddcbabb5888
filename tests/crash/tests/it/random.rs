//! Fifty checkouts at once, and kills at random instants: nothing that was acknowledged is lost,
//! nothing happens twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    str::FromStr,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{journal::Journal, place::Place, shop::Shop, steps, victim::Victim};

const CHECKOUTS: usize = 50;

/// Workflows of steps beside the checkouts, which are all transactions.
const CHAINS: usize = 10;
const STEPS_MAX: u32 = 400;

/// How long a victim lives on average, its start included.
const LIFE_MEAN: Duration = Duration::from_millis(120);
const LIFE_MAX: Duration = Duration::from_millis(600);

/// What the customers want, and how far they got.
#[derive(Default)]
struct Customers {
    /// How long a chain is.
    steps: u32,
    acknowledged: BTreeSet<String>,
    done: BTreeSet<String>,
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_at_random_instants() {
    let kills: u32 = setting("STEPWELL_CRASH_KILLS", 20);
    let seed: u64 = setting("STEPWELL_CRASH_SEED", rand::rng().random());
    println!("random: {kills} kills, STEPWELL_CRASH_SEED={seed}");
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let place = Place::new();
    // A dispatch of ten parts takes about as long as the kills do.
    let pause = LIFE_MEAN * kills / 12;
    let settings = [
        format!("pause_ms={}", pause.as_millis()),
        // Many are parked, and many are about to be, when the process dies.
        "park_after_ms=20".to_owned(),
    ];
    let mut customers = Customers {
        // So do the steps of a chain, of 20 ms each.
        steps: (3 * kills).clamp(40, STEPS_MAX),
        ..Customers::default()
    };
    let (mut before_ready, mut again) = (0, BTreeSet::new());
    for _ in 0..kills {
        let (recorded, ran_before) = before_the_next(&place);
        let mut victim = Victim::spawn(&place, &settings);
        let ready = live(&mut victim, &mut customers, life(&mut random));
        before_ready += u32::from(!ready);
        again.extend(steps::begun_again(
            &recorded,
            &steps::read(&place)[ran_before..],
        ));
    }
    let (recorded, ran_before) = before_the_next(&place);
    let mut last = Victim::ready(&place, &settings);
    finish(&mut last, &mut customers);
    again.extend(steps::begun_again(
        &recorded,
        &steps::read(&place)[ran_before..],
    ));
    assert!(
        again.is_empty(),
        "seed {seed}: steps ran again that were recorded: {again:?}"
    );
    check(&place, &customers, seed);
    println!(
        "random: {CHECKOUTS} checkouts and {CHAINS} chains, {kills} kills ({before_ready} before it \
         ran), {} take-overs, {} steps cut short, inventory 50 + sold 50 = 100, nothing lost or \
         doubled, {:.1?}",
        Journal::open(&place)
            .unwrap()
            .number("select count(*) from takeovers"),
        cut_short(&place),
        began.elapsed()
    );
}

pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> T {
    let set = env::var(name).ok();
    set.map_or(default, |value| {
        let parsed = value.parse().ok();
        parsed.unwrap_or_else(|| panic!("{name} is `{value}`, which is no number that fits"))
    })
}

/// How long the next victim lives: short lives are common, long ones are there.
fn life(random: &mut StdRng) -> Duration {
    let chance: f64 = random.random_range(f64::EPSILON..1.0);
    LIFE_MEAN.mul_f64(-chance.ln()).min(LIFE_MAX)
}

/// What is on disk before the next victim is started, and how much the log says.
fn before_the_next(place: &Place) -> (BTreeSet<String>, usize) {
    let journal = Journal::open(place);
    let recorded = journal.map_or_else(BTreeSet::new, |journal| journal.recorded_steps());
    (recorded, steps::read(place).len())
}

fn ids() -> impl Iterator<Item = (&'static str, String)> {
    let checkouts = (0..CHECKOUTS).map(|n| ("checkout", format!("c{n}")));
    checkouts.chain((0..CHAINS).map(|n| ("chain", format!("s{n}"))))
}

/// Lets a victim work for a while and kills it. Answers whether it had begun to run workflows.
fn live(victim: &mut Victim, customers: &mut Customers, life: Duration) -> bool {
    let until = Instant::now() + life;
    let ready = victim.listen_until("ready", until);
    if ready {
        ask(victim, customers);
        victim.listen_until("never", until);
    }
    victim.kill();
    customers.hear(victim);
    ready
}

/// Starts what was not acknowledged, and does for the rest what its customer does.
fn ask(victim: &mut Victim, customers: &Customers) {
    for (kind, id) in ids() {
        if !customers.acknowledged.contains(&id) {
            victim.tell(&format!("start {kind} {id} {} 20", customers.steps));
        } else if !customers.done.contains(&id) {
            victim.tell(&format!("follow {kind} {id}"));
        }
    }
}

fn finish(last: &mut Victim, customers: &mut Customers) {
    ask(last, customers);
    for (kind, id) in ids() {
        if !customers.acknowledged.contains(&id) {
            last.hear(&format!("started {id} "));
            last.tell(&format!("follow {kind} {id}"));
        }
    }
    for (_, id) in ids() {
        if !customers.done.contains(&id) {
            last.hear(&format!("done {id} succeeded"));
        }
    }
    last.terminate();
    last.hear("stopped");
    last.wait();
}

impl Customers {
    /// Takes in what a victim has said before it died.
    fn hear(&mut self, victim: &Victim) {
        for line in victim.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["started", id, ..] => drop(self.acknowledged.insert(id.to_owned())),
                ["done", id, state, ..] => {
                    assert_eq!(state, "succeeded", "`{id}` is at rest");
                    self.done.insert(id.to_owned());
                }
                ["refused", ..] => panic!("a victim refused: {line}"),
                _ => {}
            }
        }
    }
}

fn check(place: &Place, customers: &Customers, seed: u64) {
    let when = format!("seed {seed}");
    let journal = Journal::open(place).unwrap();
    let unfinished = journal.unfinished();
    assert!(unfinished.is_empty(), "{when}: {unfinished:?}");
    let states: BTreeMap<String, String> = journal.states();
    // Each checkout has a child that dispatches.
    let expected = 2 * CHECKOUTS + CHAINS;
    assert_eq!(
        states.len(),
        expected,
        "{when}: workflows were lost or doubled"
    );
    let recorded = journal.recorded_steps().len();
    let steps = CHAINS * usize::try_from(customers.steps).unwrap();
    assert_eq!(
        recorded, steps,
        "{when}: records of steps were lost or doubled"
    );
    Shop::open(place).check_checkouts(CHECKOUTS, &when);
}

/// How many runs of steps a kill has cut short, so that they ran again.
fn cut_short(place: &Place) -> usize {
    let runs = steps::runs(&steps::read(place));
    runs.values().map(|runs| runs - 1).sum()
}
