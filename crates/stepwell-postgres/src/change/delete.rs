//! Nothing is left of a workflow at rest.

use stepwell_core::store::{Cancel, CancelCause, Delete, Deleted};

use super::{Scope, cancel};
use crate::{error::Failure, params::params, rows};

/// A workflow, locked.
pub(super) const FIND: &str = "
    select workflow_key, state
    from {schema}.workflows
    where workflow_id = $1
    for update";

/// What is kept of it, and last the workflow itself. Its children stay, without a parent. Where a
/// queue's rate counts it, it stays counted.
///
/// Messages by their two indexes: every one has a key, or waits.
const DELETE: [&str; 11] = [
    "delete from {schema}.records where workflow_key = $1",
    "delete from {schema}.attributes where workflow_key = $1",
    "delete from {schema}.messages where workflow_key = $1 and message_key is not null",
    "delete from {schema}.messages where workflow_key = $1 and received_at is null",
    "delete from {schema}.events where workflow_key = $1",
    "delete from {schema}.stream_entries where workflow_key = $1",
    "delete from {schema}.takeovers where workflow_key = $1",
    "delete from {schema}.stuck where workflow_key = $1",
    "delete from {schema}.waiters where workflow_key = $1",
    "update {schema}.workflows set parent_key = null where parent_key = $1",
    "delete from {schema}.workflows where workflow_key = $1",
];

pub(super) async fn apply(scope: &mut Scope<'_>, it: &Delete) -> Result<Deleted, Failure> {
    let db = scope.db;
    let Some(row) = db.query_opt(FIND, params![it.id.as_str()]).await? else {
        return Ok(Deleted::NoSuchWorkflow);
    };
    let (key, state) = (rows::key(&row, 0)?, rows::state(&row, 1)?);
    if it.key.is_some_and(|seen| seen != key) {
        return Ok(Deleted::NoSuchWorkflow);
    }
    if !state.is_at_rest() {
        return Ok(Deleted::Not(state));
    }
    if !state.has_ended() {
        let (id, cause) = (it.id.clone(), CancelCause::Request);
        cancel::apply(scope, &Cancel { id, cause }).await?;
    }
    // What they wait for will never come: they say so.
    scope.wake_waiters(vec![key.0]).await?;
    for delete in DELETE {
        db.execute(delete, params![key.0]).await?;
    }
    Ok(Deleted::Now)
}
