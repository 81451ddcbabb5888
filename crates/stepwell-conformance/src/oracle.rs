//! Random sequences of operations on a store, which must agree with a model in memory.
//!
//! # Layout
//! - `steps.rs`: what a sequence is made of, and how it is drawn.
//! - `resolve.rs`: from its small numbers to batches and claims; `plans.rs`: to workflows and messages.
//! - `model.rs`: the contract as plain code.
//! - `play.rs`: a step on both; `outcomes.rs`: what it may come to; `reads.rs`: what both say
//!   afterwards.
//!
//! Where the contract leaves a choice (who of several comes first, in what order keys are listed)
//! the model checks that the choice is allowed, and follows it.

mod keys;
mod model;
mod outcomes;
mod plans;
mod play;
mod reads;
mod resolve;
mod same;
mod steps;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::Backend;

/// How many steps a sequence has, after two registrations.
const STEPS: usize = 40;

/// How many sequences are played at once: a store waits for its database most of the time.
const LANES: usize = 4;

/// How long a sequence that fails is made smaller.
const SHRINKING_MS_MAX: u32 = 30_000;

/// Plays random sequences, each on an empty database: `everyday` of them, or as many as
/// `STEPWELL_ORACLE_SEQUENCES` says, from the seed 0 on. With `STEPWELL_ORACLE_SEED` it begins with
/// that seed, and plays one unless said otherwise. Several are played at once, each in a lane of its
/// own, which `backend` is told.
///
/// # Panics
/// If a store disagrees with the model: with the seed, the smallest sequence found, and what differs.
pub fn agree<B: Backend>(everyday: u64, backend: impl Fn(usize) -> B + Sync) {
    let seed = number_of("STEPWELL_ORACLE_SEED");
    let usual = if seed.is_some() { 1 } else { everyday };
    let count = number_of("STEPWELL_ORACLE_SEQUENCES").unwrap_or(usual);
    let first = seed.unwrap_or(0);
    let next = AtomicU64::new(first);
    thread::scope(|scope| {
        let lanes = (0..LANES).map(|lane| {
            let (next, backend) = (&next, &backend);
            scope.spawn(move || play_all(next, first + count, || backend(lane)))
        });
        for lane in lanes.collect::<Vec<_>>() {
            if let Err(panic) = lane.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    eprintln!("{count} sequences of {STEPS} steps agree, from the seed {first} on");
}

/// Plays one sequence after the other until there are no more.
fn play_all<B: Backend>(next: &AtomicU64, end: u64, backend: impl Fn() -> B) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let play = |steps: Vec<steps::Step>| {
        let played = runtime.block_on(async {
            let backend = backend();
            play::Play::new(&backend).await.all(&steps).await
        });
        played.map_err(TestCaseError::fail)
    };
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        if let Err(failure) = one(seed, play) {
            // The others need not go on.
            next.fetch_max(end, Ordering::Relaxed);
            panic!(
                "the store disagrees with the model\n{failure}\n\
                 run it again with STEPWELL_ORACLE_SEED={seed}"
            );
        }
    }
}

/// Draws the sequence of a seed and plays it; on a failure also smaller ones.
fn one(
    seed: u64,
    play: impl Fn(Vec<steps::Step>) -> Result<(), TestCaseError>,
) -> Result<(), String> {
    let config = Config {
        failure_persistence: None,
        max_shrink_time: SHRINKING_MS_MAX,
        max_shrink_iters: u32::MAX,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let drawn = steps::sequences(STEPS).new_tree(&mut runner);
    let drawn = drawn.map_err(|reason| format!("seed {seed} draws nothing: {reason}"))?;
    match runner.run_one(drawn, play) {
        Ok(_) => Ok(()),
        Err(TestError::Fail(reason, steps)) => {
            let lines = steps.iter().enumerate();
            let lines = lines.map(|(number, step)| format!("  {number}: {step:?}\n"));
            Err(format!("{reason}\nafter:\n{}", lines.collect::<String>()))
        }
        Err(other) => Err(other.to_string()),
    }
}

fn number_of(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is `{value}`; set it to a whole number")))
}
