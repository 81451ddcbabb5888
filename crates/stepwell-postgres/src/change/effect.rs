//! What a record brings about.

use stepwell_core::{
    Payload, Place, WorkflowKey,
    store::{Effect, EffectOutcome, NewMessage, NewWorkflow, Progress, Progressed, Started},
};

use super::{Scope, cancel, send, start};
use crate::{
    error::Failure,
    params::{At, params},
};

/// Publishes a value: the one with the highest number counts. The workflow's lock keeps the number
/// from being given twice.
pub(super) const PUBLISH: &str = "
    insert into {schema}.events (workflow_key, name, event_number, place, value, published_at)
    select $1, $2, coalesce(max(event_number), 0) + 1, $3, $4, $5
    from {schema}.events
    where workflow_key = $1
      and name = $2";

/// Appends behind the last value; offsets have no gap, for the same reason.
pub(super) const APPEND: &str = "
    insert into {schema}.stream_entries
        (workflow_key, stream, entry_offset, place, value, appended_at)
    select $1, $2, coalesce(max(entry_offset), -1) + 1, $3, $4, $5
    from {schema}.stream_entries
    where workflow_key = $1
      and stream = $2";

/// Consumes a message, once. The record has its payload; the row stays for its key.
pub(super) const RECEIVE: &str = "
    update {schema}.messages
    set received_at = $3,
        payload = null
    where message_number = $1
      and workflow_key = $2
      and received_at is null";

/// Sets an attribute, in place of the last value.
pub(super) const SET_ATTRIBUTE: &str = "
    insert into {schema}.attributes (workflow_key, name, value)
    values ($1, $2, $3)
    on conflict (workflow_key, name) do update set value = excluded.value";

/// Says in the record of a send, which was made in this transaction, that the message is in no inbox.
pub(super) const LOSE: &str = "
    update {schema}.records
    set failed = true,
        payload = $3
    where workflow_key = $1
      and place = $2
      and kind = 'send'";

/// Whether an effect happened, or why its whole change does not.
enum Effected {
    Had(EffectOutcome),
    Conflict(String),
}

/// The operation that has the effect.
struct Origin<'a> {
    key: WorkflowKey,
    place: &'a Place,
    /// Whether somebody is parked until this workflow publishes something.
    is_watched: bool,
}

/// Applies the effects in their order. On a conflict the caller undoes the change.
pub(super) async fn apply_all(
    scope: &mut Scope<'_>,
    progress: &Progress,
    is_watched: bool,
) -> Result<Progressed, Failure> {
    let mut outcomes = Vec::with_capacity(progress.effects.len());
    let first = progress.records.first();
    let origin = Origin {
        key: progress.key,
        place: first.map_or(&Place::Input, |record| &record.place),
        is_watched,
    };
    for effect in &progress.effects {
        match apply(scope, &origin, effect).await? {
            Effected::Had(outcome) => outcomes.push(outcome),
            Effected::Conflict(reason) => return Ok(Progressed::Conflict { reason }),
        }
    }
    Ok(Progressed::Recorded(outcomes))
}

async fn apply(
    scope: &mut Scope<'_>,
    origin: &Origin<'_>,
    effect: &Effect,
) -> Result<Effected, Failure> {
    match effect {
        Effect::SetEvent { name, value } => {
            let published = put(scope, origin, PUBLISH, (name, value)).await?;
            if origin.is_watched {
                scope.wake_waiters(vec![origin.key.0]).await?;
            }
            Ok(published)
        }
        Effect::Append { stream, value } => put(scope, origin, APPEND, (stream, value)).await,
        Effect::Send(message) => send(scope, origin, message).await,
        Effect::Receive { message } => receive(scope, origin, *message).await,
        Effect::Start(child) => start(scope, child).await,
        Effect::SetAttribute { name, value } => {
            scope
                .db
                .execute(
                    SET_ATTRIBUTE,
                    params![origin.key.0, name.as_str(), value.as_str()],
                )
                .await?;
            Ok(Effected::Had(EffectOutcome::Done))
        }
        Effect::Cancel(child) => {
            let cancelled = cancel::apply(scope, child).await?;
            Ok(Effected::Had(EffectOutcome::Cancelled(cancelled)))
        }
    }
}

/// Adds a value to those of a name.
async fn put(
    scope: &Scope<'_>,
    origin: &Origin<'_>,
    sql: &'static str,
    (name, value): (&str, &Payload),
) -> Result<Effected, Failure> {
    let (place, at) = (origin.place.encode(), At(scope.now));
    scope
        .db
        .execute(sql, params![origin.key.0, name, place, value.as_str(), at])
        .await?;
    Ok(Effected::Had(EffectOutcome::Done))
}

async fn send(
    scope: &mut Scope<'_>,
    origin: &Origin<'_>,
    message: &NewMessage,
) -> Result<Effected, Failure> {
    let key = match &message.key {
        Some(_) => None,
        None => Some(NewMessage::key_at(origin.key, origin.place)),
    };
    let sent = send::apply(scope, message, key.as_deref()).await?;
    if let Some(reason) = sent.lost_because(&message.to) {
        let (place, reason) = (origin.place.encode(), Payload::text(&reason));
        scope
            .db
            .execute(LOSE, params![origin.key.0, place, reason.as_str()])
            .await?;
    }
    Ok(Effected::Had(EffectOutcome::Sent(sent)))
}

async fn receive(
    scope: &Scope<'_>,
    origin: &Origin<'_>,
    message: i64,
) -> Result<Effected, Failure> {
    Ok(
        match scope
            .db
            .execute(RECEIVE, params![message, origin.key.0, At(scope.now)])
            .await?
        {
            1 => Effected::Had(EffectOutcome::Done),
            _ => Effected::Conflict(format!(
                "the message {message} is not in the workflow's inbox; another operation has received \
             it"
            )),
        },
    )
}

async fn start(scope: &mut Scope<'_>, child: &NewWorkflow) -> Result<Effected, Failure> {
    Ok(match start::apply(scope, child).await? {
        Started::Conflict { name } => Effected::Conflict(format!(
            "the child's id `{}` belongs to a workflow `{name}` with other input; give the child \
             another id",
            child.id
        )),
        started => Effected::Had(EffectOutcome::Started(started)),
    })
}
