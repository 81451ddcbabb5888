//! Letting go in order, within bounds: a database that is away, or a step that blocks its thread,
//! holds up nobody for long.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::{Engine, Stage, driver};
use crate::run::Interrupt;

/// The shortest and the longest time for writing what has ended and handing back the rest. In
/// between it is as long as steps have.
const LAST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// How many workflows a warning names.
const SHOWN_MAX: usize = 20;

impl Engine {
    /// Lets go in order: takes nothing new, lets running steps end within the grace period, writes
    /// what they recorded, hands the rest back so that others take it at once.
    ///
    /// It returns after the grace period and twice the last part ([`LAST`]), whatever hangs.
    pub(crate) async fn shut_down(self: &Arc<Self>) {
        // A launch that is on its way gives up.
        self.stopping.cancel();
        let mut stage = self.stage.lock().await;
        self.shutting_down.cancel();
        match *stage {
            Stage::New => {
                let_go(self).await;
                retire(self).await;
            }
            Stage::Running => {
                self.keeping.close();
                self.keeping.wait().await;
            }
            Stage::Over => {}
        }
        *stage = Stage::Over;
    }

    /// What a crash does, as far as one process can: everything is dropped where it stands, and
    /// nothing is handed back. For tests.
    pub(crate) async fn crash(self: &Arc<Self>) {
        self.orphaned.cancel();
        self.abandon.cancel();
        self.stopping.cancel();
        self.stopped.cancel();
        self.drop_runs();
        self.client.0.journal.close();
        self.writer.close();
        self.writer.wait().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.keeping.close();
        self.keeping.wait().await;
    }
}

/// Lets go of everything but the lease, when it is told to.
pub(super) async fn let_go(engine: &Arc<Engine>) {
    engine.shutting_down.cancelled().await;
    let grace = engine.config.grace;
    let_steps_end(engine, Instant::now() + grace).await;
    {
        // Under one lock: whoever begins to run later sees that all has stopped.
        let runs = engine.runs();
        for run in runs.values() {
            // A step has ended a moment before its record is handed in.
            run.control.interrupt(Interrupt::HandedBack);
        }
        engine.stopped.cancel();
    }
    write_the_rest(engine, Instant::now() + last(grace)).await;
}

fn last(grace: Duration) -> Duration {
    grace.clamp(LAST.0, LAST.1)
}

/// Waits for steps and transactions. None begins any more: each looks whether the executor stops
/// after it was counted, and here it is counted after that was said.
async fn let_steps_end(engine: &Engine, until: Instant) {
    let running: Vec<_> = engine.runs().values().map(Arc::clone).collect();
    debug!(workflows = running.len(), "stopping");
    for run in &running {
        // One that goes on too long is dropped, or, if it blocks its thread, left behind.
        drop(timeout_at(until, driver::steps_ended(run)).await);
    }
}

/// Waits until every run is over and all that was recorded is on disk.
async fn write_the_rest(engine: &Engine, until: Instant) {
    engine.tasks.close();
    let ended = timeout_at(until, engine.tasks.wait()).await;
    if ended.is_err() {
        let left: Vec<_> = {
            let runs = engine.runs();
            let ids = runs.values().map(|run| run.id.clone());
            ids.take(SHOWN_MAX).collect()
        };
        warn!(
            workflows = ?left,
            "did not end in time: their steps block their threads, or the database is away"
        );
    }
    engine.client.0.journal.close();
    engine.writer.close();
    if timeout_at(until, engine.writer.wait()).await.is_err() {
        // What was not written was acknowledged to nobody; it is done again elsewhere.
        engine.abandon.cancel();
    }
}

/// Hands back what this executor still has. If that fails, its lease ends by itself.
pub(super) async fn retire(engine: &Engine) {
    let Some(executor) = engine.client.0.journal.executor() else {
        return;
    };
    let retired = engine.client.0.store.retire(&executor);
    match timeout(last(engine.config.grace), retired).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "could not hand the workflows back"),
        Err(_) => warn!("could not hand the workflows back in time"),
    }
    // A blocked step that goes on later finds nobody to write for.
    engine.client.0.journal.set_executor(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_bounded_however_long_steps_have() {
        let seconds = |grace| last(Duration::from_secs(grace)).as_secs();
        assert_eq!([0, 2, 3_600].map(seconds), [1, 2, 5]);
    }
}
