//! A cancelled, stuck or dead workflow goes on.

use stepwell_core::{State, WorkflowId, store::Resumed};

use super::Scope;
use crate::{
    error::Failure,
    params::{At, params},
    rows,
};

const FIND: &str = "
    select workflow_key, state
    from {schema}.workflows
    where workflow_id = $1
    for update";

/// Puts it back, like new but for its history. A deadline that has passed has done its work.
const GO_ON: &str = "
    update {schema}.workflows
    set state = 'enqueued',
        reason = null,
        fingerprint = null,
        acknowledged_at = null,
        acknowledged_note = null,
        previous_executor_id = coalesce(executor_id, previous_executor_id),
        executor_id = null,
        lost_at = null,
        lost_why = null,
        recoveries = 0,
        ended_at = null,
        wake_at = null,
        deadline_at = case when deadline_at > $2 then deadline_at end
    where workflow_key = $1";

/// Every version may try again.
const UNSTICK: &str = "
    delete from {schema}.stuck
    where workflow_key = $1";

pub(super) async fn apply(scope: &Scope<'_>, id: &WorkflowId) -> Result<Resumed, Failure> {
    let db = scope.db;
    let Some(row) = db.query_opt(FIND, params![id.as_str()]).await? else {
        return Ok(Resumed::NoSuchWorkflow);
    };
    let (key, state) = (rows::key(&row, 0)?, rows::state(&row, 1)?);
    if !matches!(state, State::Cancelled | State::Stuck | State::Dead) {
        return Ok(Resumed::Not(state));
    }
    db.execute(GO_ON, params![key.0, At(scope.now)]).await?;
    db.execute(UNSTICK, params![key.0]).await?;
    Ok(Resumed::Now)
}
