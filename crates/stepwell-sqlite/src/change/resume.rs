//! A cancelled, stuck or dead workflow goes on.

use rusqlite::{OptionalExtension, params};
use stepwell_core::{State, WorkflowId, store::Resumed};

use super::Scope;
use crate::error::Failure;

pub(super) const FIND: &str = "
    select workflow_key, state
    from workflows
    where workflow_id = ?1";

/// Puts it back, like new but for its history. A deadline that has passed has done its work.
pub(super) const GO_ON: &str = "
    update workflows
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
        deadline_at = case when deadline_at > ?2 then deadline_at end
    where workflow_key = ?1";

/// Every version may try again.
pub(super) const UNSTICK: &str = "
    delete from stuck
    where workflow_key = ?1";

pub(super) fn apply(scope: &mut Scope<'_>, id: &WorkflowId) -> Result<Resumed, Failure> {
    let mut find = scope.db.prepare_cached(FIND)?;
    let found = find.query_row(params![id.as_str()], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            State::of_stored(row.get_ref(1)?.as_str()?),
        ))
    });
    let Some((key, state)) = found.optional()? else {
        return Ok(Resumed::NoSuchWorkflow);
    };
    if !matches!(state, State::Cancelled | State::Stuck | State::Dead) {
        return Ok(Resumed::Not(state));
    }
    scope
        .db
        .prepare_cached(GO_ON)?
        .execute(params![key, scope.now_micros()])?;
    scope.db.prepare_cached(UNSTICK)?.execute(params![key])?;
    Ok(Resumed::Now)
}
