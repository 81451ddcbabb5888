//! A start that is one of a kind.

use rusqlite::{OptionalExtension, Row, params};
use stepwell_core::{
    State, Unique, UniqueRule, UniqueScope, WorkflowId, WorkflowKey,
    store::{CancelCause, NewWorkflow, Started},
};

use super::{Scope, cancel, start};
use crate::{
    error::Failure,
    rows::{self, before, instant, micros},
};

/// One of a kind that has not begun. The first list of states is the index's, the second ours.
pub(super) const WAITING: &str = "
    select workflow_key, workflow_id, state, queue_rank, coalesce(unique_since, created_at)
    from workflows
    where name = ?1
      and unique_key = ?2
      and state in ('delayed', 'enqueued', 'running', 'parked', 'stuck')
      and state in ('delayed', 'enqueued')
      and started_at is null
    order by workflow_key
    limit 1";

/// One of a kind that has not ended.
pub(super) const UNFINISHED: &str = "
    select workflow_key, workflow_id, state, queue_rank, coalesce(unique_since, created_at)
    from workflows
    where name = ?1
      and unique_key = ?2
      and state in ('delayed', 'enqueued', 'running', 'parked', 'stuck')
    order by workflow_key
    limit 1";

/// The last one of a kind that was started after an instant.
pub(super) const SINCE: &str = "
    select workflow_key, workflow_id, state, queue_rank, coalesce(unique_since, created_at)
    from workflows
    where name = ?1
      and unique_key = ?2
      and created_at > ?3
    order by created_at desc
    limit 1";

const SET: &str = "
    update workflows
    set unique_key = ?2,
        unique_since = ?3,
        queue_rank = coalesce(?4, queue_rank)
    where workflow_key = ?1";

/// One of a kind that is there.
struct Known {
    key: WorkflowKey,
    id: WorkflowId,
    state: State,
    rank: i64,
    since: i64,
}

/// Starts it, unless one of its kind counts in its place.
pub(super) fn apply(
    scope: &mut Scope<'_>,
    new: &NewWorkflow,
    unique: &Unique,
) -> Result<Started, Failure> {
    match (unique.rule(), find(scope, new, unique)?) {
        (_, None) => {
            let started = start::enter(scope, new)?;
            set(scope, &started, unique, (None, None))?;
            Ok(started)
        }
        (UniqueRule::Join(_), Some(Known { key, id, state, .. })) => {
            Ok(Started::Joined { key, id, state })
        }
        (UniqueRule::Reject(_), Some(known)) => Ok(Started::Taken { id: known.id }),
        (UniqueRule::Replace { .. }, Some(known)) => replace(scope, new, (unique, &known)),
    }
}

fn find(scope: &Scope<'_>, new: &NewWorkflow, unique: &Unique) -> Result<Option<Known>, Failure> {
    let scope_of = match unique.rule() {
        UniqueRule::Join(of) | UniqueRule::Reject(of) => of,
        UniqueRule::Replace { .. } => UniqueScope::Waiting,
    };
    let (name, key) = (&new.name, unique.key());
    let db = scope.db;
    let found = match scope_of {
        UniqueScope::Waiting => db
            .prepare_cached(WAITING)?
            .query_row(params![name, key], known),
        UniqueScope::Unfinished => db
            .prepare_cached(UNFINISHED)?
            .query_row(params![name, key], known),
        UniqueScope::Within(period) => {
            let since = micros(before(scope.now, period));
            db.prepare_cached(SINCE)?
                .query_row(params![name, key, since], known)
        }
    };
    Ok(found.optional()?)
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        key: WorkflowKey(row.get(0)?),
        id: rows::workflow_id(row.get(1)?)?,
        state: State::of_stored(row.get_ref(2)?.as_str()?),
        rank: row.get(3)?,
        since: row.get(4)?,
    })
}

/// Cancels the one that waits and starts the new one in its place: where that one stood in its
/// queue, if its delay has passed.
fn replace(
    scope: &mut Scope<'_>,
    new: &NewWorkflow,
    (unique, known): (&Unique, &Known),
) -> Result<Started, Failure> {
    let now = scope.now_micros();
    let rows = cancel::descendants(scope.db, known.key)?;
    let cause = (known.key, CancelCause::Replaced);
    scope.woken |= cancel::end(scope.db, &rows, cause, now)?;
    let stood = known.state == State::Enqueued;
    let since = instant(known.since)?;
    let mut new = new.clone();
    new.delay = match stood {
        true => None,
        false => (unique.rule()).delay_of_replacement(new.delay, since, scope.now),
    };
    // It needs no room: it takes the place of one that waits.
    let mut started = start::apply(scope, &new)?;
    set(
        scope,
        &started,
        unique,
        (Some(known.since), stood.then_some(known.rank)),
    )?;
    if let Started::New { replaced, .. } = &mut started {
        *replaced = Some(known.key);
    }
    Ok(started)
}

/// Marks what was started.
fn set(
    scope: &Scope<'_>,
    started: &Started,
    unique: &Unique,
    (since, rank): (Option<i64>, Option<i64>),
) -> Result<(), Failure> {
    if let Started::New { key, .. } = started {
        scope
            .db
            .prepare_cached(SET)?
            .execute(params![key.0, unique.key(), since, rank])?;
    }
    Ok(())
}
