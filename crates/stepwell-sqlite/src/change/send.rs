//! A message comes into an inbox.

use rusqlite::{OptionalExtension, params};
use stepwell_core::{
    State, WorkflowId, WorkflowKey,
    store::{NewMessage, Sent, StartMessage},
};

use super::Scope;
use crate::error::Failure;

pub(crate) const KEY_OF_ID: &str = "
    select workflow_key
    from workflows
    where workflow_id = ?1";

pub(crate) const RECEIVER: &str = "
    select workflow_key, state
    from workflows
    where workflow_id = ?1";

/// Whether a message with a key was sent before.
pub(crate) const IS_KEY_USED: &str = "
    select exists (
        select 1
        from messages
        where workflow_key = ?1
          and message_key = ?2
    )";

/// Puts a message into an inbox, unless its key was used there.
pub(crate) const INSERT: &str = "
    insert into messages (workflow_key, topic, message_key, payload, sent_at)
    values (?1, ?2, ?3, ?4, ?5)
    on conflict do nothing";

/// Sends a message; `key` stands in for one that it does not have.
pub(super) fn apply(
    scope: &mut Scope<'_>,
    message: &NewMessage,
    key: Option<&str>,
) -> Result<Sent, Failure> {
    let Some((to, state)) = receiver(scope, &message.to)? else {
        return Ok(Sent::NoSuchWorkflow);
    };
    let message_key = message.key.as_deref().or(key);
    if state.has_ended() {
        // It may have ended since: a send whose answer was lost was no vain one.
        let mut is_used = scope.db.prepare_cached(IS_KEY_USED)?;
        return Ok(
            match is_used.query_row(params![to.0, message_key], |row| row.get(0))? {
                true => Sent::Duplicate { to },
                false => Sent::Ended { state },
            },
        );
    }
    let sent = scope.db.prepare_cached(INSERT)?.execute(params![
        to.0,
        message.topic,
        message_key,
        message.payload.as_str(),
        scope.now_micros(),
    ])?;
    if sent == 0 {
        return Ok(Sent::Duplicate { to });
    }
    scope.wake(to)?;
    Ok(Sent::New { to })
}

/// Puts a message that comes with a start into an inbox, unless its key was used there.
pub(super) fn put(
    scope: &mut Scope<'_>,
    to: WorkflowKey,
    message: &StartMessage,
) -> Result<(), Failure> {
    let sent = scope.db.prepare_cached(INSERT)?.execute(params![
        to.0,
        message.topic,
        message.key,
        message.payload.as_str(),
        scope.now_micros(),
    ])?;
    match sent {
        0 => Ok(()),
        _ => scope.wake(to),
    }
}

/// The workflow with an id, and where it is in its life.
fn receiver(scope: &Scope<'_>, id: &WorkflowId) -> Result<Option<(WorkflowKey, State)>, Failure> {
    let mut statement = scope.db.prepare_cached(RECEIVER)?;
    let found = statement.query_row(params![id.as_str()], |row| {
        let state = State::of_stored(row.get_ref(1)?.as_str()?);
        Ok((WorkflowKey(row.get(0)?), state))
    });
    Ok(found.optional()?)
}

/// The key of the workflow with an id.
pub(super) fn key_of_id(
    scope: &Scope<'_>,
    id: &WorkflowId,
) -> Result<Option<WorkflowKey>, Failure> {
    let mut statement = scope.db.prepare_cached(KEY_OF_ID)?;
    let key = statement
        .query_row(params![id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(key.map(WorkflowKey))
}
