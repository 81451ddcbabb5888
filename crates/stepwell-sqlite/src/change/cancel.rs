//! A cancellation, of a workflow and of its attached descendants.

use rusqlite::{Connection, OptionalExtension, params};
use stepwell_core::{
    State, WorkflowKey,
    store::{Cancel, CancelCause, Cancelled},
};

use super::{Scope, park};
use crate::error::Failure;

pub(super) const FIND: &str = "
    select workflow_key, state, deadline_at
    from workflows
    where workflow_id = ?1";

/// The workflow and its attached descendants that have not ended, the oldest first.
///
/// `union`, not `union all`: bounded even if parents ever made a ring. It goes on below a child
/// that has ended: what that one left behind is attached all the same.
pub(super) const DESCENDANTS: &str = "
    with recursive attached (workflow_key) as (
        select ?1
        union
        select child.workflow_key
        from attached
        cross join workflows as child
        where child.parent_key = attached.workflow_key
          and not child.detached
    )
    select w.workflow_key, w.state, w.executor_id
    from attached
    cross join workflows as w
    where w.workflow_key = attached.workflow_key
      and w.state in ('delayed', 'enqueued', 'running', 'parked', 'stuck', 'dead')
    order by w.workflow_key";

pub(super) const END: &str = "
    update workflows
    set state = 'cancelled',
        reason = ?2,
        ended_at = ?3,
        wake_at = null
    where workflow_key = ?1";

pub(super) const INTERRUPT: &str = "
    insert into interrupts (executor_id, workflow_key)
    values (?1, ?2)
    on conflict do nothing";

/// Why a descendant is cancelled.
const WITH_ITS_PARENT: &str = "its parent was cancelled";

/// A workflow that is to be cancelled.
pub(crate) struct Row {
    key: WorkflowKey,
    state: State,
    executor: Option<String>,
}

/// As a change of its own, or as what the record of a race brings about.
pub(super) fn apply(scope: &mut Scope<'_>, cancel: &Cancel) -> Result<Cancelled, Failure> {
    let mut find = scope.db.prepare_cached(FIND)?;
    let found = find.query_row(params![cancel.id.as_str()], |row| {
        let deadline_at: Option<i64> = row.get(2)?;
        Ok((
            row.get(0)?,
            State::of_stored(row.get_ref(1)?.as_str()?),
            deadline_at,
        ))
    });
    let Some((key, state, deadline_at)) = found.optional()? else {
        return Ok(Cancelled::NoSuchWorkflow);
    };
    if state.has_ended() || state == State::Unknown {
        return Ok(Cancelled::Already(state));
    }
    let now = scope.now_micros();
    if cancel.cause == CancelCause::Deadline && deadline_at.is_none_or(|at| at > now) {
        return Ok(Cancelled::NotDue);
    }
    let root = WorkflowKey(key);
    let rows = descendants(scope.db, root)?;
    scope.woken |= end(scope.db, &rows, (root, cancel.cause), now)?;
    for row in &rows {
        scope.mine.remove(&row.key);
    }
    Ok(Cancelled::Now(rows.iter().map(|row| row.key).collect()))
}

/// The workflow and its attached descendants that have not ended.
pub(crate) fn descendants(db: &Connection, root: WorkflowKey) -> Result<Vec<Row>, Failure> {
    let mut statement = db.prepare_cached(DESCENDANTS)?;
    let rows = statement.query_map(params![root.0], |row| {
        Ok(Row {
            key: WorkflowKey(row.get(0)?),
            state: State::of_stored(row.get_ref(1)?.as_str()?),
            executor: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Cancels the rows. Those that run become interrupts of their executors. Whether others were parked
/// until one of them ends.
pub(crate) fn end(
    db: &Connection,
    rows: &[Row],
    (root, cause): (WorkflowKey, CancelCause),
    now: i64,
) -> Result<bool, Failure> {
    let mut woken = false;
    let mut end = db.prepare_cached(END)?;
    let mut interrupt = db.prepare_cached(INTERRUPT)?;
    for row in rows {
        let reason = if row.key == root {
            cause.as_str()
        } else {
            WITH_ITS_PARENT
        };
        end.execute(params![row.key.0, reason, now])?;
        if row.state == State::Running {
            interrupt.execute(params![row.executor, row.key.0])?;
        }
        woken |= park::wake_waiters(db, row.key)?;
    }
    Ok(woken)
}
