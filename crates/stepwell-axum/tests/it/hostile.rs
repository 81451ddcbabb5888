//! Clients that mean harm. Everything here is bounded, and stays on this machine.
//!
//! `STEPWELL_HOSTILE_HTTP` multiplies the dose: `just hostile-http-long`.

mod access;
mod bodies;
mod cross_site;
mod logs;
mod silent;
mod slow;

use std::time::Duration;

/// How often a case is repeated, and how much it sends.
fn dose() -> usize {
    let asked = std::env::var("STEPWELL_HOSTILE_HTTP").ok();
    asked.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// What hangs has failed.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, what).await.expect("it hangs")
}
