//! What an executor could take now.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use stepwell_core::{
    WorkflowKey,
    store::{Claim, QueueLimits, QueueRunning},
};

use crate::{error::Failure, rows::micros};

/// How many delays end in one claim. The next one goes on with the rest.
const WAKE_MAX: u32 = 1_000;

/// The delayed workflows whose time has come, the earliest first.
pub(crate) const DUE: &str = "
    update workflows
    set state = 'enqueued',
        wake_at = null
    where workflow_key in (
        select workflow_key
        from workflows
        where state = 'delayed'
          and wake_at <= ?1
        order by wake_at
        limit ?2
    )";

/// The oldest that wait in a queue (or in none: null) under a name.
pub(crate) const WAITING: &str = "
    select workflow_key
    from workflows
    where state = 'enqueued'
      and queue_name is ?1
      and name = ?2
    order by workflow_key
    limit ?3";

/// The queues that are not paused and in which something waits.
pub(crate) const QUEUES: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency
    from queues as q
    where q.paused_at is null
      and exists (
        select 1
        from workflows as w
        where w.state = 'enqueued'
          and w.queue_name = q.queue_name
    )";

/// How many of a queue run, counted no further than its limit.
pub(crate) const RUNNING_ALL: &str = "
    select count(*)
    from (
        select 1
        from workflows
        where state = 'running'
          and queue_name = ?1
          and queue_name is not null
        limit ?2
    )";

/// How many of a queue run in one executor, counted no further than its limit.
pub(crate) const RUNNING_HERE: &str = "
    select count(*)
    from (
        select 1
        from workflows
        where state = 'running'
          and executor_id = ?3
          and queue_name = ?1
        limit ?2
    )";

/// Lets the delays end whose time has come: what was delayed waits like the rest then.
pub(super) fn wake_delayed(db: &Connection, now: Timestamp) -> Result<(), Failure> {
    db.prepare_cached(DUE)?
        .execute(params![micros(now), WAKE_MAX])?;
    Ok(())
}

/// The oldest workflows that the executor may take now, up to a limit.
pub(super) fn find(
    db: &Connection,
    claim: &Claim,
    limit: u32,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut found = waiting(db, claim, None, limit)?;
    for queue in Queue::list(db, QUEUES)? {
        let free = queue.free(db, claim)?.min(limit);
        found.extend(waiting(db, claim, Some(&queue.name), free)?);
    }
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// The oldest that wait in one queue, under any of the names.
fn waiting(
    db: &Connection,
    claim: &Claim,
    queue: Option<&str>,
    limit: u32,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let mut statement = db.prepare_cached(WAITING)?;
    for name in &claim.names {
        let keys = statement.query_map(params![queue, name, limit], |row| row.get(0))?;
        for key in keys {
            found.push(WorkflowKey(key?));
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// A queue that is not paused.
pub(super) struct Queue {
    pub(super) name: String,
    limits: QueueLimits,
}

impl Queue {
    /// The queues that a statement finds.
    pub(super) fn list(db: &Connection, sql: &str) -> Result<Vec<Self>, Failure> {
        let mut statement = db.prepare_cached(sql)?;
        let queues = statement.query_map([], |row| {
            let limits = QueueLimits {
                concurrency: row.get(1)?,
                executor_concurrency: row.get(2)?,
            };
            Ok(Self {
                name: row.get(0)?,
                limits,
            })
        })?;
        Ok(queues.collect::<rusqlite::Result<_>>()?)
    }

    /// How many more of the queue the executor may take.
    pub(super) fn free(&self, db: &Connection, claim: &Claim) -> Result<u32, Failure> {
        let here = claim.executor.as_str();
        let mut running = QueueRunning::default();
        if let Some(limit) = self.limits.concurrency {
            let mut count = db.prepare_cached(RUNNING_ALL)?;
            running.all = count.query_row(params![self.name, limit], |row| row.get(0))?;
        }
        if let Some(limit) = self.limits.executor_concurrency {
            let mut count = db.prepare_cached(RUNNING_HERE)?;
            running.here = count.query_row(params![self.name, limit, here], |row| row.get(0))?;
        }
        Ok(self.limits.free_slots(running))
    }
}
