//! A new workflow that begins with another one's history before a position.

use rusqlite::{Connection, OptionalExtension, params};
use stepwell_core::{
    Place, State, WorkflowKey,
    store::{Acknowledge, Cancel, CancelCause, Fork, Forked, KnownFork},
};

use super::{Scope, acknowledge, cancel, delete, send::key_of_id, start};
use crate::error::Failure;

pub(super) const INSERT: &str = "
    insert into workflows (workflow_id, name, state, queue_name, queue_key, queue_rank,
        origin, forked_from, forked_place, created_at, nonce)
    select ?2, name, 'enqueued', queue_name, queue_key, ?3, origin, workflow_id, ?5, ?3, ?4
    from workflows
    where workflow_key = ?1";

/// Who has the id of a fork.
pub(super) const KNOWN: &str = "
    select workflow_key, forked_from, forked_place
    from workflows
    where workflow_id = ?1";

/// Places sort by their bytes, and the result sorts behind every position.
pub(super) const COPY_RECORDS: &str = "
    insert into records
        (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
    select ?2, place, kind, name, failed, payload, attempts, started_at, recorded_at
    from records
    where workflow_key = ?1
      and place < ?3
      and place not in (select value from json_each(?4))";

pub(super) const REPLACE_INPUT: &str = "
    update records
    set payload = ?2
    where workflow_key = ?1
      and place = ''";

pub(super) const COPY_EVENTS: &str = "
    insert into events (workflow_key, name, event_number, place, value, published_at)
    select ?2, name, event_number, place, value, published_at
    from events
    where workflow_key = ?1
      and place < ?3
      and place not in (select value from json_each(?4))";

/// Numbered anew: branches that ran side by side can leave gaps.
pub(super) const COPY_STREAMS: &str = "
    insert into stream_entries (workflow_key, stream, entry_offset, place, value, appended_at)
    select ?2, stream, row_number() over (partition by stream order by entry_offset) - 1,
        place, value, appended_at
    from stream_entries
    where workflow_key = ?1
      and place < ?3
      and place not in (select value from json_each(?4))";

const COPY_ATTRIBUTES: &str = "
    insert into attributes (workflow_key, name, value)
    select ?2, name, value
    from attributes
    where workflow_key = ?1";

pub(super) fn apply(scope: &mut Scope<'_>, fork: &Fork) -> Result<Forked, Failure> {
    let source = key_of_id(scope, &fork.source)?;
    // First, so that a fork whose answer was lost finds itself.
    if let Some(known) = known(scope, fork)? {
        return Ok(known.outcome(fork, source));
    }
    let Some(source) = source else {
        return Ok(Forked::NoSuchWorkflow);
    };
    if let Some(letter) = fork.letter
        && let Some(refused) = lay_aside(scope, fork, letter)?
    {
        return Ok(refused);
    }
    scope.db.prepare_cached(INSERT)?.execute(params![
        source.0,
        fork.id.as_str(),
        scope.now_micros(),
        fork.nonce.to_string(),
        fork.from.encode(),
    ])?;
    let key = WorkflowKey(scope.db.last_insert_rowid());
    copy_history(scope.db, source, key, fork)?;
    if let Some(input) = &fork.input {
        let mut replace = scope.db.prepare_cached(REPLACE_INPUT)?;
        replace.execute(params![key.0, input.as_str()])?;
    }
    for (name, value) in &fork.attributes {
        let mut set = scope.db.prepare_cached(start::SET_ATTRIBUTE)?;
        set.execute(params![key.0, name, value])?;
    }
    Ok(Forked::New { key })
}

/// Lays the letter aside that is tried again, or says why it is none.
fn lay_aside(
    scope: &mut Scope<'_>,
    fork: &Fork,
    letter: WorkflowKey,
) -> Result<Option<Forked>, Failure> {
    let id = fork.source.clone();
    let mut find = scope.db.prepare_cached(delete::FIND)?;
    let (key, state) = find.query_row(params![id.as_str()], |row| {
        let state = State::of_stored(row.get_ref(1)?.as_str()?);
        Ok((WorkflowKey(row.get(0)?), state))
    })?;
    drop(find);
    if key != letter {
        return Ok(Some(Forked::NoSuchWorkflow));
    }
    match state {
        State::Failed => {
            let note = fork.note();
            acknowledge::apply(scope, &Acknowledge { id, note })?;
        }
        State::Stuck | State::Dead => {
            let cause = CancelCause::StartedAnew;
            cancel::apply(scope, &Cancel { id, cause })?;
        }
        other => return Ok(Some(Forked::NoLetter(other))),
    }
    Ok(None)
}

fn known(scope: &Scope<'_>, fork: &Fork) -> Result<Option<KnownFork>, Failure> {
    let mut find = scope.db.prepare_cached(KNOWN)?;
    let known = find.query_row(params![fork.id.as_str()], |row| {
        Ok(KnownFork {
            key: WorkflowKey(row.get(0)?),
            source: row.get(1)?,
            place: row.get(2)?,
        })
    });
    Ok(known.optional()?)
}

fn copy_history(
    db: &Connection,
    source: WorkflowKey,
    key: WorkflowKey,
    fork: &Fork,
) -> Result<(), Failure> {
    let before = fork.from.encode();
    // Places have no character that JSON would escape.
    let quoted = |place: &Place| format!("\"{}\"", place.encode());
    let without: Vec<String> = fork.without.iter().map(quoted).collect();
    let without = format!("[{}]", without.join(","));
    for copy in [COPY_RECORDS, COPY_EVENTS, COPY_STREAMS] {
        db.prepare_cached(copy)?
            .execute(params![source.0, key.0, before, without])?;
    }
    db.prepare_cached(COPY_ATTRIBUTES)?
        .execute(params![source.0, key.0])?;
    Ok(())
}
