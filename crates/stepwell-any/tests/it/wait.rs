//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How long anything may take, far beyond what it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

/// The same, with more patience where there is more to do.
pub(crate) async fn until_within(
    patience: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < patience, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
