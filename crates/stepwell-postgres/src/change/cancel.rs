//! A cancellation, of a workflow and of its attached descendants.

use std::collections::HashSet;

use stepwell_core::{
    State, WorkflowId, WorkflowKey,
    store::{Cancel, CancelCause, Cancelled, Change, Effect},
};

use super::{Scope, fence};
use crate::{
    bell::Ring,
    connection::Connection,
    error::Failure,
    params::{At, params},
    rows::{self, get, instant_opt},
};

const FIND: &str = "
    select workflow_key, state, deadline_at
    from {schema}.workflows
    where workflow_id = $1";

/// Workflows and their attached descendants.
///
/// `union`, not `union all`: bounded even if parents ever made a ring. It goes on below a child
/// that has ended: what that one left behind is attached all the same.
macro_rules! attached {
    ($roots:literal) => {
        concat!(
            "
    with recursive attached (workflow_key) as (
        ",
            $roots,
            "
        union
        select child.workflow_key
        from attached
        cross join lateral (
            select c.workflow_key
            from {schema}.workflows as c
            where c.parent_key = attached.workflow_key
              and not c.detached
            offset 0
        ) as child
    )"
        )
    };
}

/// The executors that run any of them.
pub(super) const OWNERS: &str = concat!(
    attached!("select workflow_key from {schema}.workflows where workflow_id = any($1)"),
    "
    select distinct own.executor_id
    from attached
    cross join lateral (
        select w.state, w.executor_id
        from {schema}.workflows as w
        where w.workflow_key = attached.workflow_key
        offset 0
    ) as own
    where own.state = 'running'
      and own.executor_id is not null"
);

/// Those that have not ended, locked, the oldest first.
pub(super) const DESCENDANTS: &str = concat!(
    attached!("select $1::bigint"),
    "
    select w.workflow_key, w.state, w.executor_id, w.watched
    from {schema}.workflows as w
    where w.workflow_key = any (array(select workflow_key from attached))
      and coalesce(w.state, '') in ('delayed', 'enqueued', 'running', 'parked', 'stuck', 'dead')
    order by w.workflow_key
    for no key update of w"
);

const END: &str = "
    update {schema}.workflows
    set state = 'cancelled',
        reason = case when workflow_key = $2 then $3 else $4 end,
        ended_at = $5,
        wake_at = null
    where workflow_key = any($1)";

const INTERRUPT: &str = "
    insert into {schema}.interrupts (executor_id, workflow_key)
    select i.executor_id, i.workflow_key
    from unnest($1::text[], $2::bigint[]) as i (executor_id, workflow_key)
    on conflict do nothing";

/// Tells the batches of these executors that are on their way that something was taken from them.
const COUNT_LOSS: &str = "
    update {schema}.executors
    set losses = losses + 1
    where executor_id = any($1)";

/// Why a descendant is cancelled.
const WITH_ITS_PARENT: &str = "its parent was cancelled";

/// A workflow that is to be cancelled.
struct Row {
    key: WorkflowKey,
    state: State,
    executor: Option<String>,
    /// Whether somebody is parked until it ends.
    is_watched: bool,
}

/// The executors that would lose a workflow by a batch's cancellations; none if it has none. Looked
/// up before the transaction, because their rows are locked first in it. If others run some of the
/// workflows by then, the batch begins anew.
pub(super) async fn losing(
    db: &Connection,
    changes: &[Change],
) -> Result<Option<HashSet<String>>, Failure> {
    let ids: Vec<_> = changes.iter().flat_map(cancelled).collect();
    if ids.is_empty() {
        return Ok(None);
    }
    owners(db, ids).await.map(Some)
}

/// What a change may cancel: by itself, or with the record of a race, with a dead letter that is tried
/// again or deleted.
fn cancelled(change: &Change) -> Vec<&str> {
    match change {
        Change::Cancel(cancel) => vec![cancel.id.as_str()],
        Change::Delete(it) => vec![it.id.as_str()],
        Change::Fork(fork) if fork.letter.is_some() => vec![fork.source.as_str()],
        Change::Progress(progress) => {
            let losers = progress.effects.iter().filter_map(|effect| match effect {
                Effect::Cancel(cancel) => Some(cancel.id.as_str()),
                _ => None,
            });
            losers.collect()
        }
        _ => Vec::new(),
    }
}

async fn owners(db: &Connection, ids: Vec<&str>) -> Result<HashSet<String>, Failure> {
    let rows = db.query(OWNERS, params![ids]).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Cancels a workflow that waits and whose deadline has passed, also one that is stuck; nobody
/// hears of the keys. For claims, which come across them.
pub(crate) async fn late(db: &Connection, id: &WorkflowId, ring: &Ring) -> Result<(), Failure> {
    let losing = owners(db, vec![id.as_str()]).await?;
    let now = fence::enter(db, None, Some(&losing)).await?;
    let mut scope = Scope::new((db, None), now, losing);
    if let Some(found) = db.query_opt(FIND, params![id.as_str()]).await? {
        let root = rows::key(&found, 0)?;
        let is_late = instant_opt(&found, 2)?.is_some_and(|at| at <= scope.now);
        let rows = descendants(&scope, root).await?;
        let waits = |row: &Row| {
            let waits = matches!(row.state, State::Enqueued | State::Stuck);
            row.key == root && waits
        };
        // Another claim may have seen to it, or somebody has resumed it without its deadline.
        if is_late && rows.iter().any(waits) {
            end(&mut scope, &rows, (root, CancelCause::Deadline)).await?;
        }
    }
    scope.commit(Some(ring)).await.map(drop)
}

pub(super) async fn apply(scope: &mut Scope<'_>, cancel: &Cancel) -> Result<Cancelled, Failure> {
    let id = cancel.id.as_str();
    let Some(found) = scope.db.query_opt(FIND, params![id]).await? else {
        return Ok(Cancelled::NoSuchWorkflow);
    };
    let (root, state) = (rows::key(&found, 0)?, rows::state(&found, 1)?);
    if state.has_ended() || state == State::Unknown {
        return Ok(Cancelled::Already(state));
    }
    let deadline_at = instant_opt(&found, 2)?;
    let is_ahead = deadline_at.is_none_or(|at| at > scope.now);
    if cancel.cause == CancelCause::Deadline && is_ahead {
        return Ok(Cancelled::NotDue);
    }
    let rows = descendants(scope, root).await?;
    if let Some(ended) = has_ended(scope, cancel, root, &rows).await? {
        return Ok(Cancelled::Already(ended));
    }
    end(scope, &rows, (root, cancel.cause)).await?;
    Ok(Cancelled::Now(rows.iter().map(|row| row.key).collect()))
}

/// Whether the workflow has ended while its lock was waited for.
async fn has_ended(
    scope: &Scope<'_>,
    cancel: &Cancel,
    root: WorkflowKey,
    rows: &[Row],
) -> Result<Option<State>, Failure> {
    if let Some(row) = rows.iter().find(|row| row.key == root) {
        return Ok(Some(row.state).filter(|state| state.has_ended()));
    }
    let found = scope
        .db
        .query_opt(FIND, params![cancel.id.as_str()])
        .await?;
    let found = found.ok_or(Failure::Moved)?;
    rows::state(&found, 1).map(Some)
}

/// The workflow and its attached descendants that have not ended, locked.
///
/// Of those that run, the executors must be locked already: then nobody starts another descendant
/// meanwhile, and no batch on its way writes to one.
async fn descendants(scope: &Scope<'_>, root: WorkflowKey) -> Result<Vec<Row>, Failure> {
    let found = scope.db.query(DESCENDANTS, params![root.0]).await?;
    let mut descendants = Vec::with_capacity(found.len());
    for row in &found {
        let row = Row {
            key: rows::key(row, 0)?,
            state: rows::state(row, 1)?,
            executor: get(row, 2)?,
            is_watched: get(row, 3)?,
        };
        if let Some(owner) = row.owner()
            && !scope.locked.contains(owner)
            && scope.me() != Some(owner)
        {
            return Err(Failure::Moved);
        }
        descendants.push(row);
    }
    Ok(descendants)
}

impl Row {
    /// Who runs it, if it runs.
    fn owner(&self) -> Option<&str> {
        match self.state {
            State::Running => self.executor.as_deref(),
            _ => None,
        }
    }
}

/// Cancels the rows. Those that run become interrupts of their executors.
async fn end(
    scope: &mut Scope<'_>,
    rows: &[Row],
    (root, cause): (WorkflowKey, CancelCause),
) -> Result<(), Failure> {
    let db = scope.db;
    let keys: Vec<_> = rows.iter().map(|row| row.key.0).collect();
    let (at, why) = (At(scope.now), cause.as_str());
    db.execute(END, params![keys, root.0, why, WITH_ITS_PARENT, at])
        .await?;
    let watched: Vec<_> = (rows.iter().filter(|row| row.is_watched))
        .map(|row| row.key.0)
        .collect();
    if !watched.is_empty() {
        scope.wake_waiters(watched).await?;
    }
    let owned = rows
        .iter()
        .filter_map(|row| Some((row.owner()?, row.key.0)));
    let (losing, keys): (Vec<_>, Vec<_>) = owned.unzip();
    if losing.is_empty() {
        return Ok(());
    }
    db.execute(COUNT_LOSS, params![losing]).await?;
    if let Some(executor) = scope.executor {
        // Ours may have changed as well; the next batch reads it.
        db.server.losses.forget(executor);
    }
    db.execute(INTERRUPT, params![losing, keys]).await?;
    Ok(())
}
