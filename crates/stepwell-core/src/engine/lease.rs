//! Keeping the lease, and seeing that others have lost theirs.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::{Engine, dispatch};
use crate::{
    id::ExecutorId,
    store::{Renewed, StoreError, StoreErrorKind},
};

/// How many workflows of dead executors one call hands back.
const TAKE_OVER_MAX: u32 = 1_000;

/// Makes this process known under a new incarnation.
pub(super) async fn register(engine: &Engine) -> Result<(), StoreError> {
    let id = ExecutorId::generate();
    engine
        .client
        .0
        .store
        .register(engine.new_executor(id.clone()))
        .await?;
    engine.client.0.journal.set_executor(Some(id));
    Ok(())
}

/// Hands the workflows of dead executors back, so that the living can claim them.
pub(super) async fn take_over(engine: &Engine) {
    loop {
        let Some(me) = engine.client.0.journal.executor() else {
            return;
        };
        match engine.client.0.store.take_over(&me, TAKE_OVER_MAX).await {
            Ok(taken) => {
                if !taken.executors.is_empty() || taken.workflows > 0 {
                    let dead: Vec<_> = taken.executors.iter().map(ExecutorId::as_str).collect();
                    info!(executors = ?dead, workflows = taken.workflows, "took over from the dead");
                    engine.client.0.hub.work_arrived();
                }
                if !taken.more {
                    return;
                }
            }
            Err(error) if error.kind() == StoreErrorKind::Fenced => return lost(engine, &me),
            Err(error) => return warn!(%error, "could not look for dead executors"),
        }
    }
}

/// Renews the lease, looks for dead executors, and hears what was written elsewhere, until the end.
pub(super) async fn keep(engine: Arc<Engine>) {
    let mut renewal = ticks(engine.config.renewal());
    let mut poll = ticks(engine.config.poll);
    let mut watch = ticks(engine.config.watch);
    // After the database was away nobody could renew: everybody gets the time of one renewal
    // before anybody is judged, or all would take over from all.
    let mut judge_from = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = engine.stopped.cancelled() => return,
            () = engine.client.0.journal.fenced.notified() => begin_anew(&engine).await,
            _ = renewal.tick() => {
                if let Err(error) = renew(&engine).await {
                    warn!(%error, "could not renew the lease");
                    judge_from = Instant::now() + engine.config.renewal() * 2;
                }
            }
            _ = watch.tick() => {
                if judge_from <= Instant::now() {
                    take_over(&engine).await;
                }
            }
            _ = poll.tick() => look_around(&engine).await,
            () = engine.client.0.store.told() => look_around(&engine).await,
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn renew(engine: &Arc<Engine>) -> Result<(), StoreError> {
    let Some(me) = engine.client.0.journal.executor() else {
        begin_anew(engine).await;
        return Ok(());
    };
    if engine.client.0.store.renew(&me).await? == Renewed::Lost {
        lost(engine, &me);
        return Ok(());
    }
    dispatch::compare(engine).await?;
    dispatch::reconcile(engine).await
}

/// Another executor has declared this one dead: what it runs is not its own any more.
pub(super) fn lost(engine: &Engine, me: &ExecutorId) {
    // A newer incarnation has nothing to do with the news about an older one.
    if engine.client.0.journal.executor().as_ref() == Some(me) {
        warn!("the lease was lost: the workflows of this executor go on elsewhere");
        engine.client.0.journal.set_executor(None);
        engine.drop_runs();
    }
    engine.client.0.journal.fenced.notify_one();
}

/// Takes a new incarnation after the old one was declared dead. The process goes on.
async fn begin_anew(engine: &Arc<Engine>) {
    if engine.stopping.is_cancelled() || engine.client.0.journal.executor().is_some() {
        return;
    }
    engine.drop_runs();
    match register(engine).await {
        Ok(()) => {
            info!("took a new incarnation");
            engine.client.0.hub.work_arrived();
        }
        // The next renewal tries again.
        Err(error) => warn!(%error, "could not register a new incarnation"),
    }
}

/// Hears what other processes have written, and whether a process of this machine is gone.
async fn look_around(engine: &Arc<Engine>) {
    match engine.client.0.store.news().await {
        Ok(news) => engine.client.0.hub.hear(news),
        Err(error) => warn!(%error, "could not ask what others have written"),
    }
}
