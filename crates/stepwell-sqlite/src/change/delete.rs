//! Nothing is left of a workflow at rest.

use rusqlite::{OptionalExtension, params};
use stepwell_core::{
    State, WorkflowKey,
    store::{Cancel, CancelCause, Delete, Deleted},
};

use super::{Scope, cancel};
use crate::error::Failure;

pub(super) const FIND: &str = "
    select workflow_key, state
    from workflows
    where workflow_id = ?1";

/// What is kept of it, and last the workflow itself. Its children stay, without a parent. Where a
/// queue's rate counts it, it stays counted.
///
/// Messages by their two indexes: every one has a key, or waits.
pub(super) const DELETE: [&str; 11] = [
    "delete from records where workflow_key = ?1",
    "delete from attributes where workflow_key = ?1",
    "delete from messages where workflow_key = ?1 and message_key is not null",
    "delete from messages where workflow_key = ?1 and received_at is null",
    "delete from events where workflow_key = ?1",
    "delete from stream_entries where workflow_key = ?1",
    "delete from takeovers where workflow_key = ?1",
    "delete from stuck where workflow_key = ?1",
    "delete from waiters where workflow_key = ?1",
    "update workflows set parent_key = null where parent_key = ?1",
    "delete from workflows where workflow_key = ?1",
];

pub(super) fn apply(scope: &mut Scope<'_>, it: &Delete) -> Result<Deleted, Failure> {
    let mut find = scope.db.prepare_cached(FIND)?;
    let found = find.query_row(params![it.id.as_str()], |row| {
        let state = State::of_stored(row.get_ref(1)?.as_str()?);
        Ok((row.get::<_, i64>(0)?, state))
    });
    let is_it = |(key, _): &(i64, State)| it.key.is_none_or(|seen| seen.0 == *key);
    let Some((key, state)) = found.optional()?.filter(is_it) else {
        return Ok(Deleted::NoSuchWorkflow);
    };
    if !state.is_at_rest() {
        return Ok(Deleted::Not(state));
    }
    if !state.has_ended() {
        let (id, cause) = (it.id.clone(), CancelCause::Request);
        cancel::apply(scope, &Cancel { id, cause })?;
    }
    // What they wait for will never come: they say so.
    scope.wake_waiters(WorkflowKey(key))?;
    for delete in DELETE {
        scope.db.prepare_cached(delete)?.execute(params![key])?;
    }
    Ok(Deleted::Now)
}
