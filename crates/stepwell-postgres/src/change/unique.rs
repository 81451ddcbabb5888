//! A start that is one of a kind.

use jiff::Timestamp;
use stepwell_core::{
    State, Unique, UniqueRule, UniqueScope, WorkflowId, WorkflowKey,
    store::{CancelCause, NewWorkflow, Started},
};
use tokio_postgres::Row;

use super::{Scope, start};
use crate::{
    connection::Connection,
    error::Failure,
    params::{At, params},
    rows::{self, get, instant},
};

/// Two that start one of a kind at once: the second waits here and finds the first. By hashes: two
/// kinds that share one only wait for each other. In the order of the hashes: two batches that start
/// several must not wait for each other.
const LOCK: &str = "
    select pg_advisory_xact_lock(kind.hash)
    from (
        select distinct hashtextextended('{schema} ' || i.name || ' ' || i.unique_key, 0) as hash
        from unnest($1::text[], $2::text[]) as i (name, unique_key)
        order by hash
        offset 0
    ) as kind";

macro_rules! of_a_kind {
    ($condition:literal) => {
        concat!(
            "
    select workflow_key, workflow_id, state, queue_rank, coalesce(unique_since, created_at)
    from {schema}.workflows
    where name = $1
      and unique_key = $2
      and ",
            $condition
        )
    };
}

/// One of a kind that has not begun. It does not begin before we are done, for a claim passes over what
/// is locked: what comes with the start must be there then. A lock for that alone: it stands beside the
/// ends of other batches, so that two batches which meet several rows never wait for each other.
pub(super) const WAITING: &str = of_a_kind!(
    "state in ('delayed', 'enqueued')
      and started_at is null
    order by workflow_key + 0
    limit 1
    for key share"
);

/// One of a kind that has not ended.
pub(super) const UNFINISHED: &str = of_a_kind!(
    "state in ('delayed', 'enqueued', 'running', 'parked', 'stuck')
    order by workflow_key + 0
    limit 1
    for key share"
);

/// The last one of a kind that was started after an instant.
pub(super) const SINCE: &str = of_a_kind!(
    "created_at > $3
    order by created_at desc
    limit 1"
);

/// Cancels one that has not begun: nobody runs it, and it has no children.
pub(super) const CANCEL: &str = "
    update {schema}.workflows
    set state = 'cancelled',
        reason = $2,
        ended_at = $3,
        wake_at = null
    where workflow_key = $1
    returning watched";

pub(super) const SET: &str = "
    update {schema}.workflows
    set unique_key = $2,
        unique_since = $3,
        queue_rank = coalesce($4, queue_rank)
    where workflow_key = $1";

/// One of a kind that is there.
struct Known {
    key: WorkflowKey,
    id: WorkflowId,
    state: State,
    rank: i64,
    since: Timestamp,
}

/// Starts it, unless one of its kind counts in its place.
pub(super) async fn apply(
    scope: &mut Scope<'_>,
    new: &NewWorkflow,
    unique: &Unique,
) -> Result<Started, Failure> {
    lock_kinds(scope.db, &[(new.name.as_str(), unique.key())]).await?;
    // The same start may have been waited for.
    if let Some(existing) = start::existing(scope, new).await? {
        return Ok(existing);
    }
    match (unique.rule(), find(scope, new, unique).await?) {
        (_, None) => {
            let started = start::enter(scope, new).await?;
            set(scope, &started, unique, (None, None)).await?;
            Ok(started)
        }
        (UniqueRule::Join(_), Some(Known { key, id, state, .. })) => {
            Ok(Started::Joined { key, id, state })
        }
        (UniqueRule::Reject(_), Some(known)) => Ok(Started::Taken { id: known.id }),
        (UniqueRule::Replace { .. }, Some(known)) => replace(scope, new, (unique, &known)).await,
    }
}

/// Locks kinds, by the names of their workflows and their keys, to the end of the transaction.
pub(super) async fn lock_kinds(db: &Connection, kinds: &[(&str, &str)]) -> Result<(), Failure> {
    let (names, keys): (Vec<_>, Vec<_>) = kinds.iter().copied().unzip();
    db.query(LOCK, params![names, keys]).await?;
    Ok(())
}

async fn find(
    scope: &Scope<'_>,
    new: &NewWorkflow,
    unique: &Unique,
) -> Result<Option<Known>, Failure> {
    let scope_of = match unique.rule() {
        UniqueRule::Join(of) | UniqueRule::Reject(of) => of,
        UniqueRule::Replace { .. } => UniqueScope::Waiting,
    };
    let (db, name, key) = (scope.db, new.name.as_str(), unique.key());
    let found = match scope_of {
        UniqueScope::Waiting => db.query_opt(WAITING, params![name, key]).await?,
        UniqueScope::Unfinished => db.query_opt(UNFINISHED, params![name, key]).await?,
        UniqueScope::Within(period) => {
            let since = (scope.now.saturating_sub(period)).unwrap_or(Timestamp::MIN);
            db.query_opt(SINCE, params![name, key, At(since)]).await?
        }
    };
    found.as_ref().map(known).transpose()
}

fn known(row: &Row) -> Result<Known, Failure> {
    Ok(Known {
        key: rows::key(row, 0)?,
        id: rows::workflow_id(row, 1)?,
        state: rows::state(row, 2)?,
        rank: get(row, 3)?,
        since: instant(row, 4)?,
    })
}

/// Cancels the one that waits and starts the new one in its place: where that one stood in its
/// queue, if its delay has passed.
async fn replace(
    scope: &mut Scope<'_>,
    new: &NewWorkflow,
    (unique, known): (&Unique, &Known),
) -> Result<Started, Failure> {
    let why = CancelCause::Replaced.as_str();
    let cancelled = scope
        .db
        .query_opt(CANCEL, params![known.key.0, why, At(scope.now)])
        .await?;
    if let Some(row) = cancelled
        && get(&row, 0)?
    {
        scope.wake_waiters(vec![known.key.0]).await?;
    }
    let stood = known.state == State::Enqueued;
    let mut new = new.clone();
    new.delay = match stood {
        true => None,
        false => (unique.rule()).delay_of_replacement(new.delay, known.since, scope.now),
    };
    // It needs no room: it takes the place of one that waits.
    let mut started = start::apply(scope, &new).await?;
    let inherited = (Some(At(known.since)), stood.then_some(known.rank));
    set(scope, &started, unique, inherited).await?;
    // Somebody else has taken the id since it was looked for: then nothing is in the place of the one
    // that was cancelled, and all of it is undone and looked at again.
    let Started::New { replaced, .. } = &mut started else {
        return Err(Failure::Moved);
    };
    *replaced = Some(known.key);
    Ok(started)
}

/// Marks what was started.
async fn set(
    scope: &Scope<'_>,
    started: &Started,
    unique: &Unique,
    (since, rank): (Option<At>, Option<i64>),
) -> Result<(), Failure> {
    if let Started::New { key, .. } = started {
        scope
            .db
            .execute(SET, params![key.0, unique.key(), since, rank])
            .await?;
    }
    Ok(())
}
