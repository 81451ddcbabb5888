//! Ending the runs of workflows that were cancelled, whoever asked for it.
//!
//! Every cancellation of a run is a row in the database, written together with the cancellation: it is
//! lost with no answer and with no caller. An interrupt speaks of the run that was cancelled and never
//! of a later one of the same workflow, which may be here by the time that the news arrives. Claims
//! forget older interrupts of what they take, so the rows that are taken belong to whatever was
//! claimed last before that; and runs are numbered as they begin, so a run that began before the rows
//! were asked for is the one that they mean. Of a run that began later nobody knows: there the database
//! is asked what is owned.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use super::Engine;
use crate::{id::WorkflowKey, run::Interrupt};

/// How long to wait after the database did not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Hears of cancellations until the executor stops. The look from time to time is the net below the
/// news: a claim that finds a deadline passed cancels descendants, too, and tells nobody.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut wait = engine.config.renewal();
    loop {
        tokio::select! {
            biased;
            () = engine.stopped.cancelled() => return,
            () = engine.client.0.hub.interrupts() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = match hear(&engine).await {
            Ok(()) => engine.config.renewal(),
            Err(()) => TRY_AGAIN.min(engine.config.renewal()),
        };
    }
}

/// Workflows that were cancelled and have no run here: mostly it is over. It may also be about to begin,
/// when the news of a start or a claim comes later than that of its cancellation. So they are kept for a
/// while, and a run that begins among them is looked into.
#[derive(Debug, Default)]
pub(super) struct Early {
    recent: HashSet<WorkflowKey>,
    older: HashSet<WorkflowKey>,
    /// When the recent ones become the older ones.
    turns_at: Option<Instant>,
}

impl Early {
    fn add(&mut self, key: WorkflowKey, kept: Duration) {
        let now = Instant::now();
        if self.turns_at.is_none_or(|at| at <= now) {
            self.older = std::mem::take(&mut self.recent);
            self.turns_at = now.checked_add(kept);
        }
        self.recent.insert(key);
    }

    /// Whether a workflow that begins to run is among them.
    pub(super) fn remove(&mut self, key: WorkflowKey) -> bool {
        self.recent.remove(&key) | self.older.remove(&key)
    }
}

async fn hear(engine: &Engine) -> Result<(), ()> {
    let Some(me) = engine.client.0.journal.executor() else {
        return Ok(());
    };
    let before = engine.begun_runs();
    match engine.client.0.store.take_interrupts(&me).await {
        Ok(keys) => {
            for key in keys {
                end(engine, key, before);
            }
            Ok(())
        }
        Err(error) => {
            warn!(%error, "could not ask for cancellations");
            // They may be taken, and the answer lost.
            engine.look_into();
            Err(())
        }
    }
}

/// Ends the run of a cancelled workflow, if it is among the first `before` runs that began here.
fn end(engine: &Engine, key: WorkflowKey, before: u64) {
    let runs = engine.runs();
    match runs.get(&key) {
        Some(run) if run.number < before => run.control.interrupt(Interrupt::Cancelled),
        // A later run of it, which the news is not about; or the one that it is about, whose claim
        // was not answered yet when this was asked.
        Some(_) => engine.look_into(),
        // Under the lock of the runs: one that begins now finds it.
        None => engine.early().add(key, engine.config.lease),
    }
    drop(runs);
}
