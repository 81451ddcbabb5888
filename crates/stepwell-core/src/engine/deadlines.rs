//! Deadlines of workflows that nobody runs: delayed ones, those that wait behind others, parked ones.
//!
//! Whoever runs a workflow sees to its deadline. The others would be come across by a claim alone,
//! which may be long after: they wait for an instant, or for a place that others have.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use tracing::warn;

use super::Engine;
use crate::store::{CancelCause, Deadline};

/// How many deadlines one look reads.
const LOOK_MAX: u32 = 500;

/// The pause between two looks, however much work arrives.
const PAUSE: Duration = Duration::from_millis(100);

/// Cancels what is late until the executor takes nothing more. All executors do: the row decides.
pub(super) async fn run(engine: Arc<Engine>) {
    loop {
        let next = look(&engine).await;
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = engine.client.0.hub.deadlines() => {}
            () = wait(&engine, next) => {}
        }
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Waits for the next deadline, but no longer than until it is time to look anyway.
async fn wait(engine: &Engine, next: Option<Timestamp>) {
    let look_again = engine.config.dispatch;
    match next {
        Some(at) => drop(tokio::time::timeout(look_again, engine.wait_until(at)).await),
        None => tokio::time::sleep(look_again).await,
    }
}

/// Cancels what is late. The next deadline after that, if it is known.
async fn look(engine: &Engine) -> Option<Timestamp> {
    let deadlines = match engine.client.0.store.deadlines(LOOK_MAX).await {
        Ok(deadlines) => deadlines,
        Err(error) => {
            warn!(%error, "could not look for deadlines");
            return None;
        }
    };
    let now = engine.client.now();
    let passed = deadlines.partition_point(|deadline| deadline.at <= now);
    let (late, ahead) = deadlines.split_at(passed);
    join_all(late.iter().map(|late| cancel(engine, late))).await;
    // When all were late, others may be.
    let next = ahead.first().map(|deadline| deadline.at);
    next.or_else(|| (!late.is_empty()).then_some(now))
}

async fn cancel(engine: &Engine, late: &Deadline) {
    let cancelled = engine
        .client
        .cancel_because(&late.id, CancelCause::Deadline);
    if let Err(error) = cancelled.await {
        warn!(workflow = %late.id, %error, "could not cancel at the deadline");
    }
}
