//! A message comes into an inbox.

use stepwell_core::{
    WorkflowKey,
    store::{NewMessage, Sent, StartMessage},
};

use super::Scope;
use crate::{
    error::{Failure, corrupt},
    params::{At, params},
    rows::{self, get, key},
};

/// Puts a message into an inbox, unless its key was used there. Two sends with one key at once: the
/// second waits in the index for the first. The receiver's lock is the one that whoever parks it looks
/// for (`park.rs`).
pub(super) const SEND: &str = "
    with receiver as materialized (
        select workflow_key, state
        from {schema}.workflows
        where workflow_id = $1
        for key share
    ),
    sent as (
        insert into {schema}.messages (workflow_key, topic, message_key, payload, sent_at)
        select workflow_key, $2, $3, $4, $5
        from receiver
        where state not in ('succeeded', 'failed', 'cancelled')
        on conflict do nothing
        returning message_number
    )
    select workflow_key, exists (select from sent), state = 'parked', state, exists (
            select from {schema}.messages as m
            where m.workflow_key = receiver.workflow_key
              and m.message_key = $3::text
        )
    from receiver";

/// The same, by the receiver's key.
pub(super) const PUT: &str = "
    with receiver as materialized (
        select workflow_key, state
        from {schema}.workflows
        where workflow_key = $1
        for key share
    ),
    sent as (
        insert into {schema}.messages (workflow_key, topic, message_key, payload, sent_at)
        select workflow_key, $2, $3, $4, $5
        from receiver
        on conflict do nothing
        returning message_number
    )
    select exists (select from sent), state = 'parked'
    from receiver";

/// Sends a message; `message_key` stands in for one that it does not have.
pub(super) async fn apply(
    scope: &mut Scope<'_>,
    message: &NewMessage,
    message_key: Option<&str>,
) -> Result<Sent, Failure> {
    let row = scope
        .db
        .query_opt(
            SEND,
            params![
                message.to.as_str(),
                message.topic.as_str(),
                message.key.as_deref().or(message_key),
                message.payload.as_str(),
                At(scope.now),
            ],
        )
        .await?;
    let Some(row) = row else {
        return Ok(Sent::NoSuchWorkflow);
    };
    let to = key(&row, 0)?;
    let (is_new, is_parked): (bool, bool) = (get(&row, 1)?, get(&row, 2)?);
    if !is_new {
        let state = rows::state(&row, 3)?;
        // It may have ended since: a send whose answer was lost was no vain one.
        return Ok(match state.has_ended() && !get::<bool>(&row, 4)? {
            true => Sent::Ended { state },
            false => Sent::Duplicate { to },
        });
    }
    if is_parked {
        scope.wake(to);
    }
    Ok(Sent::New { to })
}

/// Puts a message that comes with a start into an inbox, unless its key was used there.
pub(super) async fn put(
    scope: &mut Scope<'_>,
    to: WorkflowKey,
    message: &StartMessage,
) -> Result<(), Failure> {
    let (topic, key) = (message.topic.as_str(), message.key.as_str());
    let payload = message.payload.as_str();
    let row = scope
        .db
        .query_opt(PUT, params![to.0, topic, key, payload, At(scope.now)])
        .await?;
    let row = row.ok_or_else(|| corrupt("workflow", to))?;
    let (is_new, is_parked): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
    if is_new && is_parked {
        scope.wake(to);
    }
    Ok(())
}
