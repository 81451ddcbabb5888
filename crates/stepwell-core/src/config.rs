//! What an application can set, and what it gets if it does not.

use std::time::Duration;

use crate::limits::{InvalidInput, PAYLOAD_BYTES_MAX_DEFAULT, Text, check_duration};

/// The shortest and the longest lease: one that is renewed more often than the disk may answer ends by
/// itself, and what a dead machine has would wait for the end of the other.
const LEASE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(86_400));
/// The longest time that a shutdown waits for steps.
const GRACE_MAX: Duration = Duration::from_secs(86_400);
/// What `null` takes, and what a database can hold in one value.
const PAYLOAD_BYTES: (usize, usize) = (4, 512 * 1024 * 1024);

/// The longest wait of a client for a workflow without a look at the database. What ends a
/// workflow without a word to this process (a deadline that passed in a queue, another process whose write
/// was not noticed) is seen after this time.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

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
    /// The longest wait of a client for a workflow without a look at the database: a safety net.
    pub(crate) look_again: Duration,
    /// The longest wait for an instant without a look at the store's clock.
    pub(crate) clock: Duration,
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
    pub(crate) upkeep: Upkeep,
}

/// Where the lease is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// On a thread with a runtime of its own, which no step can block.
    Apart,
    /// In a task beside the workflows, whose time it shares: a test's clock may skip.
    Beside,
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
            look_again: LOOK_AGAIN,
            clock: Duration::from_secs(60),
            schedules: Duration::from_secs(10),
            recoveries_max: 100,
            workflows_max: 10_000,
            park_after: Some(PARK_AFTER),
            grace: Duration::from_secs(5),
            payload_bytes_max: PAYLOAD_BYTES_MAX_DEFAULT,
            upkeep: Upkeep::Apart,
        }
    }

    /// Checks what the application has set.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        Text::ApplicationName.check(&self.application)?;
        Text::Version.check(&self.version)?;
        self.check_lease()?;
        if self.grace > GRACE_MAX {
            return Err(InvalidInput::new(format!(
                "the grace period of {:?} is longer than {GRACE_MAX:?}; give a shorter one, and \
                 end long steps by their `Attempt::cancelled`",
                self.grace
            )));
        }
        if self.workflows_max == 0 {
            return Err(InvalidInput::new(
                "`workflows_max` is 0, so this process would take no work; give at least 1, or \
                 `build` the application and do not `launch` it",
            ));
        }
        if let Some(after) = self.park_after {
            check_duration("wait before a workflow is parked", after)?;
        }
        let bytes = self.payload_bytes_max;
        if !(PAYLOAD_BYTES.0..=PAYLOAD_BYTES.1).contains(&bytes) {
            return Err(InvalidInput::new(format!(
                "`payload_bytes_max` is {bytes}; give a size from {} to {} bytes",
                PAYLOAD_BYTES.0, PAYLOAD_BYTES.1
            )));
        }
        Ok(())
    }

    fn check_lease(&self) -> Result<(), InvalidInput> {
        let is_fine = (LEASE.0..=LEASE.1).contains(&self.lease);
        // Who is alone takes over from nobody.
        if is_fine || self.upkeep == Upkeep::Beside {
            return Ok(());
        }
        Err(InvalidInput::new(format!(
            "the lease of {:?} is out of bounds; give one from {:?} to {:?}",
            self.lease, LEASE.0, LEASE.1
        )))
    }

    /// Settings for a process that has its database to itself and whose clock may skip days: nothing
    /// needs to be looked after, and every tick that is not there is one that need not be skipped.
    pub(crate) fn alone(mut self) -> Self {
        const NEVER: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
        self.lease = NEVER;
        self.poll = NEVER;
        self.watch = NEVER;
        self.dispatch = NEVER;
        self.look_again = NEVER;
        self.clock = NEVER;
        self.schedules = NEVER;
        self.upkeep = Upkeep::Beside;
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
