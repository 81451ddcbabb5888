//! What an application can set, and what it gets if it does not.

use std::time::Duration;

use crate::limits::PAYLOAD_BYTES_MAX_DEFAULT;

/// How long a workflow waits in memory unless it is said otherwise.
const PARK_AFTER: Duration = Duration::from_secs(60);

/// The settings of an executor.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) application: String,
    /// The version of the code; stuck workflows are tried again by another one.
    pub(crate) version: String,
    /// How long an executor may be silent before others take its workflows over.
    pub(crate) lease: Duration,
    /// How often the database is asked what other processes have written.
    pub(crate) poll: Duration,
    /// How often dead executors are looked for.
    pub(crate) watch: Duration,
    /// How long the dispatcher sleeps at most if nobody wakes it: a safety net.
    pub(crate) dispatch: Duration,
    /// How often the schedules are read that other processes may have changed.
    pub(crate) schedules: Duration,
    /// How many recoveries without progress make a workflow dead.
    pub(crate) recoveries_max: u32,
    /// How many workflows this executor runs at once. The others wait for a place.
    pub(crate) workflows_max: u32,
    /// How long a workflow waits in memory before it is parked; for ever, if none.
    pub(crate) park_after: Option<Duration>,
    /// How long a step may go on after its workflow was cancelled, or the application told to stop.
    pub(crate) grace: Duration,
    pub(crate) payload_bytes_max: usize,
}

impl Config {
    pub(crate) fn new(application: String) -> Self {
        Self {
            application,
            version: build_fingerprint(),
            // With the time until others look, a dead machine's work goes on within ten seconds.
            lease: Duration::from_secs(8),
            poll: Duration::from_millis(100),
            watch: Duration::from_millis(500),
            dispatch: Duration::from_secs(5),
            schedules: Duration::from_secs(10),
            recoveries_max: 100,
            workflows_max: 10_000,
            park_after: Some(PARK_AFTER),
            grace: Duration::from_secs(5),
            payload_bytes_max: PAYLOAD_BYTES_MAX_DEFAULT,
        }
    }

    /// Settings for a process that has its database to itself and whose clock may skip days: nothing
    /// needs to be looked after, and every tick that is not there is one that need not be skipped.
    pub(crate) fn alone(mut self) -> Self {
        const NEVER: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
        self.lease = NEVER;
        self.poll = NEVER;
        self.watch = NEVER;
        self.dispatch = NEVER;
        self.schedules = NEVER;
        // Somebody who says when wants to see it.
        self.park_after = self.park_after.filter(|after| *after != PARK_AFTER);
        self
    }

    /// How often the lease is renewed: three times in its length.
    pub(crate) fn renewal(&self) -> Duration {
        self.lease / 3
    }
}

/// Tells builds apart well enough to let a stuck workflow try a new one: the executable's size and
/// time of change. An application that deploys by version sets its own.
fn build_fingerprint() -> String {
    let metadata = std::env::current_exe().and_then(std::fs::metadata);
    let changed = metadata
        .as_ref()
        .ok()
        .and_then(|metadata| metadata.modified().ok());
    let age = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    match (metadata, age) {
        (Ok(metadata), Some(age)) => format!("build-{:x}-{:x}", metadata.len(), age.as_millis()),
        _ => "unknown".to_owned(),
    }
}
