//! Keeping the lease, and seeing that others have lost theirs.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::{info, warn};

use super::{Engine, answers::Answers, dispatch, doing::Saying, pulse::Pulse};
use crate::{
    id::ExecutorId,
    store::{Renewal, Renewed, StoreError, StoreErrorKind, TakeOver},
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

/// What is left of the dead after one look.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
}

/// Hands back a part of what executors have left whose process is seen to be gone. Of leases nothing
/// is known yet: their executors may have waited for the database, too.
pub(super) async fn take_over_first(engine: &Engine) {
    let (now, lease) = (Instant::now(), engine.config.lease);
    let mut answers = Answers::new(lease, now, engine.client.now());
    take_over(engine, &mut answers).await;
}

/// Hands a part of the workflows of dead executors back, so that the living can claim them. A part:
/// between two of them this executor may have to renew its own lease.
async fn take_over(engine: &Engine, answers: &mut Answers) -> Left {
    let Some(me) = engine.client.0.journal.executor() else {
        return Left::Nothing;
    };
    let look = TakeOver {
        executor: me.clone(),
        workflows_max: TAKE_OVER_MAX,
        at: answers.at(Instant::now()),
        answered_for: answers.came_for(),
    };
    let taken = match engine.client.0.store.take_over(look).await {
        Ok(taken) => taken,
        Err(error) if error.kind() == StoreErrorKind::Fenced => {
            lost(engine, &me);
            return Left::Nothing;
        }
        Err(error) => {
            warn!(%error, "could not look for dead executors");
            answers.failed(Instant::now());
            return Left::Nothing;
        }
    };
    if !taken.executors.is_empty() || taken.workflows > 0 {
        let dead: Vec<_> = taken.executors.iter().map(ExecutorId::as_str).collect();
        info!(executors = ?dead, workflows = taken.workflows, "took over from the dead");
        engine.client.0.hub.work_arrived();
    }
    match taken.more {
        true => Left::More,
        false => Left::Nothing,
    }
}

/// Renews the lease, looks for dead executors, and hears what was written elsewhere, for ever.
pub(super) async fn keep(engine: &Arc<Engine>, pulse: &mut Pulse) {
    let mut renewal = ticks(engine.config.renewal());
    let mut poll = ticks(engine.config.poll);
    let mut watch = ticks(engine.config.watch);
    // The launch may have left something.
    watch.reset_immediately();
    let mut answers = Answers::new(engine.config.lease, Instant::now(), engine.client.now());
    let mut saying = Saying::default();
    loop {
        tokio::select! {
            biased;
            () = engine.client.0.journal.fenced.notified() => begin_anew(engine).await,
            _ = renewal.tick() => {
                pulse.feel();
                renew(engine, &mut answers, &mut saying).await;
            }
            _ = watch.tick() => {
                if take_over(engine, &mut answers).await == Left::More {
                    watch.reset_immediately();
                }
            }
            _ = poll.tick() => look_around(engine).await,
            () = engine.client.0.store.told() => look_around(engine).await,
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn renew(engine: &Arc<Engine>, answers: &mut Answers, saying: &mut Saying) {
    let Some(me) = engine.client.0.journal.executor() else {
        return begin_anew(engine).await;
    };
    let doing = saying.news(engine, &me);
    let renewal = Renewal {
        executor: me.clone(),
        doing: doing.clone(),
    };
    match engine.client.0.store.renew(renewal).await {
        Ok(Renewed::Live) => {
            saying.said(me, doing);
            answers.came(Instant::now(), engine.client.now());
            look_at_what_is_owned(engine).await;
        }
        Ok(Renewed::Lost) => lost(engine, &me),
        Err(error) => {
            warn!(%error, "could not renew the lease");
            saying.doubt(me);
            answers.failed(Instant::now());
        }
    }
}

/// Compares what this executor owns with what runs here. The next renewal does not wait for it.
async fn look_at_what_is_owned(engine: &Arc<Engine>) {
    let compared = timeout(engine.config.renewal(), dispatch::compare(engine));
    if let Ok(Err(error)) = compared.await {
        warn!(%error, "could not ask what this executor owns");
    }
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
