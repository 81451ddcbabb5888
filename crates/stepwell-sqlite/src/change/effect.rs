//! What a record brings about.

use rusqlite::params;
use stepwell_core::{
    Payload, Place, WorkflowKey,
    store::{Effect, EffectOutcome, NewMessage, NewWorkflow, Progress, Progressed, Started},
};

use super::{Scope, cancel, send, start};
use crate::error::Failure;

/// Publishes a value: the one with the highest number counts.
pub(super) const PUBLISH: &str = "
    insert into events (workflow_key, name, event_number, place, value, published_at)
    select ?1, ?2, coalesce(max(event_number), 0) + 1, ?3, ?4, ?5
    from events
    where workflow_key = ?1
      and name = ?2";

/// Appends behind the last value; offsets have no gap.
pub(super) const APPEND: &str = "
    insert into stream_entries (workflow_key, stream, entry_offset, place, value, appended_at)
    select ?1, ?2, coalesce(max(entry_offset), -1) + 1, ?3, ?4, ?5
    from stream_entries
    where workflow_key = ?1
      and stream = ?2";

/// Consumes a message, once. The record has its payload; the row stays for its key.
pub(super) const RECEIVE: &str = "
    update messages
    set received_at = ?3,
        payload = null
    where message_number = ?1
      and workflow_key = ?2
      and received_at is null";

/// Says in the record of a send, which was made in this transaction, that the message is in no inbox.
pub(super) const LOSE: &str = "
    update records
    set failed = 1,
        payload = ?3
    where workflow_key = ?1
      and place = ?2
      and kind = 'send'";

/// Whether an effect happened, or why its whole change does not.
enum Effected {
    Had(EffectOutcome),
    Conflict(String),
}

/// Applies the effects in their order. On a conflict the caller undoes the change.
pub(super) fn apply_all(scope: &mut Scope<'_>, progress: &Progress) -> Result<Progressed, Failure> {
    let mut outcomes = Vec::with_capacity(progress.effects.len());
    let origin = Origin {
        key: progress.key,
        place: progress
            .records
            .first()
            .map_or(&Place::Input, |record| &record.place),
    };
    for effect in &progress.effects {
        match apply(scope, &origin, effect)? {
            Effected::Had(outcome) => outcomes.push(outcome),
            Effected::Conflict(reason) => return Ok(Progressed::Conflict { reason }),
        }
    }
    Ok(Progressed::Recorded(outcomes))
}

/// The operation that has the effect.
struct Origin<'a> {
    key: WorkflowKey,
    place: &'a Place,
}

fn apply(scope: &mut Scope<'_>, origin: &Origin<'_>, effect: &Effect) -> Result<Effected, Failure> {
    match effect {
        Effect::SetEvent { name, value } => {
            let published = put(scope, origin, PUBLISH, name, value)?;
            scope.wake_waiters(origin.key)?;
            Ok(published)
        }
        Effect::Append { stream, value } => put(scope, origin, APPEND, stream, value),
        Effect::Send(message) => send(scope, origin, message),
        Effect::Receive { message } => receive(scope, origin, *message),
        Effect::Start(child) => start(scope, child),
        Effect::SetAttribute { name, value } => {
            start::set_attribute(scope, origin.key, name, value)?;
            Ok(Effected::Had(EffectOutcome::Done))
        }
        Effect::Cancel(child) => {
            let cancelled = cancel::apply(scope, child)?;
            Ok(Effected::Had(EffectOutcome::Cancelled(cancelled)))
        }
    }
}

/// Adds a value to those of a name.
fn put(
    scope: &Scope<'_>,
    origin: &Origin<'_>,
    sql: &str,
    name: &str,
    value: &Payload,
) -> Result<Effected, Failure> {
    scope.db.prepare_cached(sql)?.execute(params![
        origin.key.0,
        name,
        origin.place.encode(),
        value.as_str(),
        scope.now_micros(),
    ])?;
    Ok(Effected::Had(EffectOutcome::Done))
}

fn send(
    scope: &mut Scope<'_>,
    origin: &Origin<'_>,
    message: &NewMessage,
) -> Result<Effected, Failure> {
    let key = match &message.key {
        Some(_) => None,
        None => Some(NewMessage::key_at(origin.key, origin.place)),
    };
    let sent = send::apply(scope, message, key.as_deref())?;
    if let Some(reason) = sent.lost_because(&message.to) {
        let reason = Payload::text(&reason);
        let mut lose = scope.db.prepare_cached(LOSE)?;
        lose.execute(params![
            origin.key.0,
            origin.place.encode(),
            reason.as_str()
        ])?;
    }
    Ok(Effected::Had(EffectOutcome::Sent(sent)))
}

fn receive(scope: &Scope<'_>, origin: &Origin<'_>, message: i64) -> Result<Effected, Failure> {
    let received = scope.db.prepare_cached(RECEIVE)?.execute(params![
        message,
        origin.key.0,
        scope.now_micros()
    ])?;
    Ok(match received {
        1 => Effected::Had(EffectOutcome::Done),
        _ => Effected::Conflict(format!(
            "the message {message} is not in the workflow's inbox; another operation has received \
             it"
        )),
    })
}

fn start(scope: &mut Scope<'_>, child: &NewWorkflow) -> Result<Effected, Failure> {
    Ok(match start::apply(scope, child)? {
        Started::Conflict { name } => Effected::Conflict(format!(
            "the child's id `{}` belongs to a workflow `{name}` with other input; give the child \
             another id",
            child.id
        )),
        started => Effected::Had(EffectOutcome::Started(started)),
    })
}
