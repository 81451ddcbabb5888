//! A run ends.

use stepwell_core::{
    DECLINED_NOTE, End, Payload, State,
    store::{Finish, Finished, Room, Started},
};

use super::{Scope, acknowledge::ACKNOWLEDGE, start};
use crate::{
    error::Failure,
    params::{At, params},
    rows::{self, get, sentence},
};

/// Locks the workflow and says who runs it, and whether somebody is parked until it ends.
pub(super) const OWNER: &str = "
    select state, coalesce(executor_id = $2, false), watched
    from {schema}.workflows
    where workflow_key = $1
    for no key update";

/// Ends a locked workflow with its result.
pub(super) const END: &str = "
    with ended as (
        update {schema}.workflows
        set state = $2,
            reason = $6,
            fingerprint = $3,
            ended_at = $5
        where workflow_key = $1
        returning workflow_key
    )
    insert into {schema}.records
        (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
    select workflow_key, '~', 'result', '', $2 = 'failed', $4, 1, $5, $5
    from ended
    on conflict do nothing";

/// Held to the end of the transaction by whoever adds to `stuck`, so that its numbers are committed
/// in their order: a cursor that moved past a number which comes later would never see it. And by
/// whoever moves a cursor, so that what is behind it was claimed.
pub(crate) const LOCK_STUCK: &str =
    "select pg_advisory_xact_lock(hashtextextended('stepwell stuck ' || '{schema}', 0))";

/// Ends a locked workflow without a result.
pub(super) const STICK: &str = "
    update {schema}.workflows
    set state = 'stuck',
        reason = $2,
        fingerprint = null,
        ended_at = $3
    where workflow_key = $1";

/// Remembers which version got stuck.
pub(super) const NOTE_STUCK: &str = "
    insert into {schema}.stuck (workflow_key, queue_name, name, version)
    select workflow_key, queue_name, name, $2
    from {schema}.workflows
    where workflow_key = $1";

pub(super) async fn apply(scope: &mut Scope<'_>, finish: &Finish) -> Result<Finished, Failure> {
    let Some(row) = scope
        .db
        .query_opt(OWNER, params![finish.key.0, scope.me()])
        .await?
    else {
        return Ok(Finished::NotMine);
    };
    match (rows::state(&row, 0)?, get(&row, 1)?) {
        (State::Running, true) => {}
        (state, _) if state.is_at_rest() => return Ok(Finished::Already(state)),
        _ => return Ok(Finished::NotMine),
    }
    let watched: bool = get(&row, 2)?;
    match &finish.end {
        End::Succeeded(output) => end(scope, finish, &Ended::with(output)).await?,
        End::Failed {
            error,
            fingerprint,
            reason,
        }
        | End::Declined {
            error,
            fingerprint,
            reason,
        } => {
            let failed = Ended {
                state: State::Failed,
                fingerprint: Some(sentence(fingerprint)),
                reason: Some(sentence(reason)),
                ..Ended::with(error)
            };
            end(scope, finish, &failed).await?;
        }
        End::Stuck { reason } => stick(scope, finish, reason).await?,
    }
    if matches!(finish.end, End::Declined { .. }) {
        let (key, now) = (finish.key.0, At(scope.now));
        let values = params![key, now, DECLINED_NOTE];
        scope.db.execute(ACKNOWLEDGE, values).await?;
    }
    let has_result = !matches!(finish.end, End::Stuck { .. });
    if watched && has_result {
        scope.wake_waiters(vec![finish.key.0]).await?;
    }
    for alert in &finish.alerts {
        let mut started = start::ask(scope, alert).await?;
        if let Started::Conflict { name } = &started {
            started = start::ask(scope, &alert.beside(name)).await?;
        }
        alert.not_started(&started);
        // It may have taken the place of another one that waited.
        scope.room = Room::default();
    }
    Ok(Finished::Now)
}

/// The columns of a workflow that has ended with a result.
struct Ended<'c> {
    state: State,
    payload: &'c Payload,
    fingerprint: Option<String>,
    reason: Option<String>,
}

impl<'c> Ended<'c> {
    fn with(output: &'c Payload) -> Self {
        Self {
            state: State::Succeeded,
            payload: output,
            fingerprint: None,
            reason: None,
        }
    }
}

async fn end(scope: &Scope<'_>, finish: &Finish, ended: &Ended<'_>) -> Result<(), Failure> {
    let (key, now) = (finish.key.0, At(scope.now));
    let (state, payload) = (ended.state.as_str(), ended.payload.as_str());
    let (fingerprint, reason) = (ended.fingerprint.as_deref(), ended.reason.as_deref());
    let values = params![key, state, fingerprint, payload, now, reason];
    scope.db.execute(END, values).await?;
    Ok(())
}

async fn stick(scope: &Scope<'_>, finish: &Finish, reason: &str) -> Result<(), Failure> {
    let (db, key) = (scope.db, finish.key.0);
    db.execute(STICK, params![key, sentence(reason), At(scope.now)])
        .await?;
    db.query(LOCK_STUCK, params![]).await?;
    db.execute(NOTE_STUCK, params![key, finish.version.as_str()])
        .await?;
    Ok(())
}
