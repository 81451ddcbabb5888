//! Waiting for a condition, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. Far beyond what it takes: what is measured is
/// printed, what is lost is seen here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Waits until `look` finds something. Fails with `what` when nothing is found in time.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain: {what}"
        );
        thread::sleep(LOOK_AGAIN);
    }
}

/// The middle one of some durations.
pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}
