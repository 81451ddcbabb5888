//! A run leaves memory, and is woken.

use rusqlite::{Connection, params};
use stepwell_core::{
    State, WorkflowKey,
    store::{Park, Parked, Refusal, Wait},
};

use super::Scope;
use crate::{error::Failure, rows::micros};

/// Parks a workflow that was found to be running here.
pub(super) const PARK: &str = "
    update workflows
    set state = 'parked',
        previous_executor_id = executor_id,
        executor_id = null,
        reason = ?2,
        wake_at = min(coalesce(?3, deadline_at), coalesce(deadline_at, ?3))
    where workflow_key = ?1";

/// Whether it keeps a place.
pub(super) const IS_QUEUED: &str = "
    select 1
    from workflows
    where workflow_key = ?1
      and queue_name is not null";

pub(super) const HAS_MESSAGE: &str = "
    select 1
    from messages
    where workflow_key = ?1
      and topic = ?2
      and received_at is null";

/// Whether it has published it, or was deleted and will not.
pub(super) const HAS_EVENT: &str = "
    select 1
    where exists (
        select 1
        from events
        where workflow_key = ?1
          and name = ?2
    )
       or not exists (
        select 1
        from workflows
        where workflow_key = ?1
    )";

/// Whether it will not go on by itself, or was deleted.
pub(super) const HAS_ENDED: &str = "
    select 1
    where not exists (
        select 1
        from workflows
        where workflow_key = ?1
          and state not in ('succeeded', 'failed', 'cancelled')
    )";

pub(super) const ADD_WAITER: &str = "
    insert into waiters (workflow_key, waiter_key)
    values (?1, ?2)
    on conflict do nothing";

/// Lets a workflow wait for an executor, if it is parked.
pub(crate) const WAKE: &str = "
    update workflows
    set state = 'enqueued',
        reason = null,
        wake_at = null
    where workflow_key = ?1
      and state = 'parked'";

/// Whether anybody waits for anybody. Mostly nobody does, and then no end looks for its waiters.
pub(super) const HAS_WAITERS: &str = "select exists (select 1 from waiters)";

pub(super) const TAKE_WAITERS: &str = "
    delete from waiters
    where workflow_key = ?1
    returning waiter_key";

pub(super) fn apply(scope: &mut Scope<'_>, park: &Park) -> Result<Parked, Failure> {
    match scope.refusal(park.key)? {
        None => {}
        // Handed in again: only who ran it can have parked it.
        Some(Refusal::NotRunning(State::Parked)) => return Ok(Parked::Now),
        Some(refusal) => return Ok(Parked::Refused(refusal)),
    }
    if (scope.db.prepare_cached(IS_QUEUED)?).exists(params![park.key.0])? {
        return Ok(Parked::Never);
    }
    for wait in &park.waits {
        if is_over(scope, park.key, wait)? {
            return Ok(Parked::NotYet);
        }
    }
    let mut statement = scope.db.prepare_cached(PARK)?;
    let until = park.until.map(micros);
    statement.execute(params![park.key.0, park.reason, until])?;
    scope.mine.remove(&park.key);
    for of in park.waits.iter().filter_map(Wait::of) {
        let mut add = scope.db.prepare_cached(ADD_WAITER)?;
        add.execute(params![of.0, park.key.0])?;
        scope.has_waiters = Some(true);
    }
    Ok(Parked::Now)
}

/// Whether what is waited for is there.
fn is_over(scope: &Scope<'_>, key: WorkflowKey, wait: &Wait) -> Result<bool, Failure> {
    let db = scope.db;
    Ok(match wait {
        Wait::Message { topic } => db
            .prepare_cached(HAS_MESSAGE)?
            .exists(params![key.0, topic])?,
        Wait::Event { of, name } => db.prepare_cached(HAS_EVENT)?.exists(params![of.0, name])?,
        Wait::End { of } => db.prepare_cached(HAS_ENDED)?.exists(params![of.0])?,
    })
}

impl Scope<'_> {
    /// Wakes a workflow that has a new message, if it is parked.
    pub(super) fn wake(&mut self, key: WorkflowKey) -> Result<(), Failure> {
        self.woken |= wake(self.db, key)?;
        Ok(())
    }

    /// Wakes those that were parked until this workflow publishes a value or ends: it has.
    pub(super) fn wake_waiters(&mut self, key: WorkflowKey) -> Result<(), Failure> {
        let has_waiters = match self.has_waiters {
            Some(known) => known,
            None => (self.db.prepare_cached(HAS_WAITERS)?).query_row([], |row| row.get(0))?,
        };
        self.has_waiters = Some(has_waiters);
        if has_waiters {
            self.woken |= wake_waiters(self.db, key)?;
        }
        Ok(())
    }
}

/// Wakes those that were parked until this workflow does something. Whether there were any.
pub(super) fn wake_waiters(db: &Connection, key: WorkflowKey) -> Result<bool, Failure> {
    let waiters: Vec<i64> = (db.prepare_cached(TAKE_WAITERS)?)
        .query_map(params![key.0], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut woken = false;
    for waiter in waiters {
        woken |= wake(db, WorkflowKey(waiter))?;
    }
    Ok(woken)
}

fn wake(db: &Connection, key: WorkflowKey) -> Result<bool, Failure> {
    Ok(db.prepare_cached(WAKE)?.execute(params![key.0])? > 0)
}
