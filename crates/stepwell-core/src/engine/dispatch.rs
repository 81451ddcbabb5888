//! Taking workflows that wait for an executor: enqueued, delayed and due, recovered, resumed.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tracing::{debug, warn};

use super::{Engine, Taken, driver::Past};
use crate::{
    id::{ExecutorId, WorkflowKey},
    run::{Interrupt, NewRun},
    store::{Claim, Claimed, RecoveryRules, Renewal, Renewed, StoreError, StoreErrorKind},
};

/// How many workflows one claim takes at most.
const CLAIM_MAX: u32 = 100;

/// The bound of workflows that are read at once, of those that are owned and not on their way.
const OWNED_PAGE: usize = 100;

/// The pause before what is due and was not claimed is claimed again.
const LEFT_AGAIN: Duration = Duration::from_millis(50);

/// Claims and launches until the executor takes nothing more.
pub(super) async fn run(engine: Arc<Engine>) {
    loop {
        if let Err(error) = reconcile(&engine).await {
            warn!(%error, "could not ask what this executor owns");
        }
        let claimed = claim(&engine).await;
        if claimed == Some(CLAIM_MAX) {
            continue;
        }
        tokio::select! {
            biased;
            () = engine.stopping.cancelled() => return,
            () = engine.client.0.hub.work() => {}
            // What is due stays due while nothing can be taken.
            () = next_wake(&engine), if claimed.is_some() => {}
            () = tokio::time::sleep(engine.config.dispatch), if claimed.is_none() => {}
        }
    }
}

/// Claims once. How many workflows came of it; none if it could not claim.
async fn claim(engine: &Arc<Engine>) -> Option<u32> {
    let limit = engine.free_places().min(CLAIM_MAX);
    let (executor, generation) = engine.client.0.journal.incarnation()?;
    if limit == 0 || engine.stopping.is_cancelled() {
        return None;
    }
    let claim = Claim {
        executor: executor.clone(),
        names: engine.registry.names(),
        version: engine.config.version.clone(),
        limit,
        rules: RecoveryRules {
            recoveries_max: engine.config.recoveries_max,
        },
    };
    let _taking = engine.taking.lock().await;
    match engine.client.0.store.claim(claim).await {
        Ok(claimed) => {
            let count = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
            claimed
                .into_iter()
                .for_each(|claimed| launch(engine, claimed, (Taken::Claimed, generation)));
            Some(count)
        }
        Err(error) if error.kind() == StoreErrorKind::Fenced => {
            super::lease::lost(engine, &executor);
            None
        }
        Err(error) => {
            // What was claimed although the answer is lost is found when the database is back.
            warn!(%error, "could not claim workflows");
            engine.doubt();
            None
        }
    }
}

/// Compares what the executor owns with what runs: no workflow is left running and run by nobody,
/// whatever has happened. Twice, because at any moment some are on their way: started and not yet
/// launched, ended and not yet forgotten.
pub(super) async fn compare(engine: &Arc<Engine>) -> Result<(), StoreError> {
    let Some(me) = engine.client.0.journal.executor() else {
        return Ok(());
    };
    let before: HashSet<_> = engine.runs().keys().copied().collect();
    let owned = engine.client.0.store.owned_keys(&me).await?;
    let owned: HashSet<_> = owned.into_iter().collect();
    let now: HashSet<_> = engine.runs().keys().copied().collect();
    let differing: HashSet<_> = {
        // Owned and running at no moment of the question; running all the time and not owned.
        let idle = owned
            .iter()
            .filter(|key| !before.contains(key) && !now.contains(key));
        let foreign = before.intersection(&now).filter(|key| !owned.contains(key));
        idle.chain(foreign).copied().collect()
    };
    let mut last = engine
        .differing
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let again = differing.intersection(&last).count();
    if again > 0 {
        warn!(
            workflows = again,
            "what runs is not what this executor owns; putting that right"
        );
        engine.look_into();
    }
    *last = differing;
    Ok(())
}

/// Compares what the executor owns with what runs, after the answer of a claim was lost, and puts the
/// difference right.
async fn reconcile(engine: &Arc<Engine>) -> Result<(), StoreError> {
    // Somebody else asks just now. The doubt stays, and is looked at in the next round.
    let (Some(me), Ok(_taking)) = (
        engine.client.0.journal.incarnation(),
        engine.taking.try_lock(),
    ) else {
        return Ok(());
    };
    if !engine.doubtful.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    *engine.ended() = Some(HashSet::new());
    let reconciled = put_right(engine, me).await;
    *engine.ended() = None;
    reconciled.inspect_err(|_| engine.doubt())
}

async fn put_right(
    engine: &Arc<Engine>,
    (me, generation): (ExecutorId, u64),
) -> Result<(), StoreError> {
    // Taken before the question: what begins in between is owned, but not in the answer.
    let before: Vec<_> = engine.runs().keys().copied().collect();
    let owned = engine.client.0.store.owned_keys(&me).await?;
    let keys: HashSet<_> = owned.iter().copied().collect();
    let is_gone = |key: &WorkflowKey| !keys.contains(key) && engine.runs_here(*key);
    let gone: Vec<_> = before.into_iter().filter(is_gone).collect();
    if !gone.is_empty() && is_lease_lost(engine, &me).await? {
        super::lease::lost(engine, &me);
        return Ok(());
    }
    // While the lease holds, these were cancelled, and perhaps resumed since: their steps have their
    // grace, whichever look at the database finds it first.
    for key in gone {
        engine.interrupt(key, Interrupt::Superseded);
    }
    let is_missing = |key: &WorkflowKey| !engine.has_ended(*key) && !engine.runs_here(*key);
    let mut missing: Vec<_> = owned.into_iter().filter(is_missing).collect();
    // In the order of their starts.
    missing.sort_unstable();
    for page in missing.chunks(OWNED_PAGE) {
        let claimed = engine.client.0.store.owned(&me, page.to_vec()).await?;
        for claimed in claimed.into_iter().filter(|it| is_missing(&it.key)) {
            engine.adopted().insert(claimed.key);
            launch(engine, claimed, (Taken::Owned, generation));
        }
    }
    Ok(())
}

/// Whether nothing is owned because everything was taken over. Asked as the lease is renewed, on the
/// connection that it stands on: no silent one may hold up the thread that keeps it.
async fn is_lease_lost(engine: &Engine, me: &ExecutorId) -> Result<bool, StoreError> {
    let renewed = engine.client.0.store.renew(Renewal::of(me.clone())).await;
    Ok(renewed? == Renewed::Lost)
}

fn launch(engine: &Arc<Engine>, claimed: Claimed, (taken, generation): (Taken, u64)) {
    debug!(workflow = %claimed.id, name = claimed.name, "claimed");
    let past = if claimed.has_history {
        Past::Recorded
    } else {
        Past::None
    };
    let run = NewRun {
        generation,
        key: claimed.key,
        id: claimed.id,
        nonce: claimed.nonce,
        name: claimed.name,
        deadline_at: claimed.deadline_at,
        origin: claimed.origin,
        created_at: claimed.created_at,
        claimed: true,
    };
    engine.spawn(run, claimed.input, (past, taken));
}

/// Returns when the next delayed workflow is due, or it is time to look anyway.
async fn next_wake(engine: &Engine) {
    let wake_at = match engine.client.0.store.next_wake().await {
        Ok(wake_at) => wake_at,
        Err(error) => {
            warn!(%error, "could not ask for delayed workflows");
            None
        }
    };
    match wake_at {
        // The claim before has left it: a transaction of the application may hold its row.
        Some(at) if at <= engine.client.now() => tokio::time::sleep(LEFT_AGAIN).await,
        Some(at) => drop(tokio::time::timeout(engine.config.dispatch, engine.wait_until(at)).await),
        None => tokio::time::sleep(engine.config.dispatch).await,
    }
}
