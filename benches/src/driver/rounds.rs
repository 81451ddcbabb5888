//! A round: workflows of a few steps, so many at once, until so many have run.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::{Error, Library, number, percentile, process};

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// Steps of each workflow.
    pub(crate) count: u32,
    pub(crate) at_once: usize,
    /// Workflows of the round.
    pub(crate) total: usize,
}

/// What came out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) workflows_per_second: f64,
    pub(crate) workflow_p50_us: f64,
    pub(crate) workflow_p99_us: f64,
    pub(crate) step_p50_us: f64,
    pub(crate) step_p99_us: f64,
    /// Of the process that runs the workflows.
    pub(crate) cpu_us_per_step: f64,
}

/// How long the steps of all workflows took.
static STEPS: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

/// How long the steps of one workflow took, from the call to its return.
///
/// Kept by the workflow and handed in when it ends: two readings of the clock for a step, and one
/// lock for a workflow.
#[derive(Debug)]
pub(crate) struct Laps(Vec<Duration>);

impl Laps {
    pub(crate) fn of(count: u32) -> Self {
        Self(Vec::with_capacity(usize::try_from(count).unwrap_or(0)))
    }

    /// Just before a step is called.
    pub(crate) fn begin() -> Instant {
        Instant::now()
    }

    /// Just after it has returned.
    pub(crate) fn end(&mut self, begun: Instant) {
        self.0.push(begun.elapsed());
    }
}

impl Drop for Laps {
    fn drop(&mut self) {
        let mut steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
        steps.append(&mut self.0);
    }
}

/// Runs a round: as many tasks as workflows at once, each of which starts the next workflow when
/// its last one has ended.
pub(crate) async fn run<L: Library>(library: &L, work: Work) -> Result<Round, Error> {
    drop(taken_steps());
    let left = Arc::new(AtomicUsize::new(work.total));
    let (cpu, started) = (process::cpu(), Instant::now());
    let runners = (0..work.at_once)
        .map(|_| tokio::spawn(runner(library.clone(), work.count, Arc::clone(&left))));
    let mut workflows = Vec::with_capacity(work.total);
    for ended in try_join_all(runners).await? {
        workflows.extend(ended?);
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (process::cpu() - cpu).as_secs_f64();
    let (workflows, steps) = (sorted_us(&workflows), sorted_us(&taken_steps()));
    let total = number(work.total);
    Ok(Round {
        workflows_per_second: total / seconds,
        workflow_p50_us: percentile(&workflows, 50),
        workflow_p99_us: percentile(&workflows, 99),
        step_p50_us: percentile(&steps, 50),
        step_p99_us: percentile(&steps, 99),
        cpu_us_per_step: cpu * 1e6 / (total * f64::from(work.count)),
    })
}

/// Runs workflows one after the other until none is left, and says how long each took.
async fn runner<L: Library>(
    library: L,
    count: u32,
    left: Arc<AtomicUsize>,
) -> Result<Vec<Duration>, Error> {
    let one_less = |left: usize| left.checked_sub(1);
    let mut latencies = Vec::new();
    while left
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_ok()
    {
        let begun = Instant::now();
        library.run_steps(count).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

fn taken_steps() -> Vec<Duration> {
    mem::take(&mut *STEPS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn sorted_us(durations: &[Duration]) -> Vec<f64> {
    let mut sorted: Vec<f64> = durations
        .iter()
        .map(|duration| duration.as_secs_f64() * 1e6)
        .collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}
