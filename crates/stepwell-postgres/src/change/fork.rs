//! A new workflow that begins with another one's history before a position.

use stepwell_core::{
    Payload, Place, State, WorkflowKey,
    store::{Acknowledge, Cancel, CancelCause, Fork, Forked, KnownFork},
};

use super::{Scope, acknowledge, cancel, delete};
use crate::{
    error::Failure,
    params::{At, params},
    rows::{self, get, key},
};

/// Who has the id of a fork, and the key of the one to be forked.
const FIND: &str = "
    select known.workflow_key, known.forked_from, known.forked_place,
        (select s.workflow_key from {schema}.workflows as s where s.workflow_id = $2)
    from (select 1) as one
    left join {schema}.workflows as known
      on known.workflow_id = $1";

/// Makes the workflow and copies what stands before the position. One statement: the source may run
/// meanwhile, and all parts are of the same instant.
///
/// Places sort by their bytes, and the result sorts behind every position. Streams are numbered
/// anew: branches that ran side by side can leave gaps.
pub(crate) const FORK: &str = "
    with source as materialized (
        select workflow_key, workflow_id, name, queue_name, queue_key, origin
        from {schema}.workflows
        where workflow_id = $1
    ),
    fork as (
        insert into {schema}.workflows
            (workflow_id, name, state, queue_name, queue_key, queue_rank, origin, forked_from,
            forked_place, created_at, nonce)
        select $2, name, 'enqueued', queue_name, queue_key,
            (extract(epoch from $5::timestamptz) * 1000000)::bigint, origin, workflow_id,
            $3, $5, $9::text::uuid
        from source
        on conflict (workflow_id) do nothing
        returning workflow_key
    ),
    record_copies as (
        insert into {schema}.records
            (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
        select fork.workflow_key, r.place, r.kind, r.name, r.failed,
            case when r.place = '' then coalesce($6, r.payload) else r.payload end,
            r.attempts, r.started_at, r.recorded_at
        from fork
        cross join source
        join {schema}.records as r
          on r.workflow_key = source.workflow_key
         and r.place < $3
         and r.place <> all($4)
    ),
    event_copies as (
        insert into {schema}.events
            (workflow_key, name, event_number, place, value, published_at)
        select fork.workflow_key, e.name, e.event_number, e.place, e.value, e.published_at
        from fork
        cross join source
        join {schema}.events as e
          on e.workflow_key = source.workflow_key
         and e.place < $3
         and e.place <> all($4)
    ),
    stream_copies as (
        insert into {schema}.stream_entries
            (workflow_key, stream, entry_offset, place, value, appended_at)
        select fork.workflow_key, s.stream,
            row_number() over (partition by s.stream order by s.entry_offset) - 1,
            s.place, s.value, s.appended_at
        from fork
        cross join source
        join {schema}.stream_entries as s
          on s.workflow_key = source.workflow_key
         and s.place < $3
         and s.place <> all($4)
    ),
    attribute_copies as (
        insert into {schema}.attributes (workflow_key, name, value)
        select fork.workflow_key, a.name, a.value
        from fork
        cross join source
        join {schema}.attributes as a
          on a.workflow_key = source.workflow_key
         and a.name <> all($7)
    ),
    attributes as (
        insert into {schema}.attributes (workflow_key, name, value)
        select fork.workflow_key, a.name, a.value
        from fork
        cross join unnest($7::text[], $8::text[]) as a (name, value)
    )
    select workflow_key
    from fork";

pub(super) async fn apply(scope: &mut Scope<'_>, fork: &Fork) -> Result<Forked, Failure> {
    let (source, id) = (fork.source.as_str(), fork.id.as_str());
    // The new one first, so that a fork whose answer was lost finds itself.
    let found = find(scope, fork).await?;
    match found {
        Found::Known(forked) => return Ok(forked),
        Found::NoSource => return Ok(Forked::NoSuchWorkflow),
        Found::Free => {}
    }
    if let Some(letter) = fork.letter
        && let Some(refused) = lay_aside(scope, fork, letter).await?
    {
        return Ok(refused);
    }
    let before = fork.from.encode();
    let without: Vec<String> = fork.without.iter().map(Place::encode).collect();
    let input = fork.input.as_ref().map(Payload::as_str);
    let attributes = fork.attributes.iter();
    let (names, values): (Vec<&str>, Vec<&str>) = attributes
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .unzip();
    let now = At(scope.now);
    let nonce = fork.nonce.to_string();
    let values = params![
        source, id, before, without, now, input, names, values, nonce
    ];
    Ok(match scope.db.query_opt(FORK, values).await? {
        Some(row) => Forked::New { key: key(&row, 0)? },
        // Somebody else has taken the id in between, and has committed it. A letter stays where it is.
        None if fork.letter.is_some() => return Err(Failure::Moved),
        None => match find(scope, fork).await? {
            Found::Known(forked) => forked,
            Found::NoSource | Found::Free => return Err(Failure::Moved),
        },
    })
}

/// Lays the letter aside that is tried again, or says why it is none.
async fn lay_aside(
    scope: &mut Scope<'_>,
    fork: &Fork,
    letter: WorkflowKey,
) -> Result<Option<Forked>, Failure> {
    let id = fork.source.clone();
    let Some(row) = scope
        .db
        .query_opt(delete::FIND, params![id.as_str()])
        .await?
    else {
        return Ok(Some(Forked::NoSuchWorkflow));
    };
    let (key, state) = (key(&row, 0)?, rows::state(&row, 1)?);
    if key != letter {
        return Ok(Some(Forked::NoSuchWorkflow));
    }
    match state {
        State::Failed => {
            let note = fork.note();
            acknowledge::apply(scope, &Acknowledge { id, note }).await?;
        }
        State::Stuck | State::Dead => {
            let cause = CancelCause::StartedAnew;
            cancel::apply(scope, &Cancel { id, cause }).await?;
        }
        other => return Ok(Some(Forked::NoLetter(other))),
    }
    Ok(None)
}

/// What a fork finds before it is made.
enum Found {
    /// A workflow that has its id.
    Known(Forked),
    NoSource,
    Free,
}

async fn find(scope: &Scope<'_>, fork: &Fork) -> Result<Found, Failure> {
    let (source, id) = (fork.source.as_str(), fork.id.as_str());
    let row = scope.db.query_opt(FIND, params![id, source]).await?;
    let row = row.ok_or(Failure::Moved)?;
    let source: Option<i64> = get(&row, 3)?;
    if let Some(known) = get(&row, 0)? {
        let known = KnownFork {
            key: WorkflowKey(known),
            source: get(&row, 1)?,
            place: get(&row, 2)?,
        };
        return Ok(Found::Known(known.outcome(fork, source.map(WorkflowKey))));
    }
    Ok(match source {
        Some(_) => Found::Free,
        None => Found::NoSource,
    })
}
