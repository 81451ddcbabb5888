//! A queue, as a claim sees it: its limits, and how much of them is used.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use stepwell_core::store::{Claim, QueueLimits, QueueUsed};

use crate::{
    error::Failure,
    rows::{self, after, before, micros},
};

/// How far the running workflows of a key are counted when nothing limits them: enough to see whose
/// turn it is.
const COUNTED_MAX: u32 = 1_000;

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

/// How many of a key run, counted no further than its limit. An index that leaves out the empty key
/// stays small for those who use none.
pub(crate) const RUNNING_OF: &str = "
    select count(*)
    from (
        select 1
        from workflows
        where state = 'running'
          and queue_name = ?1
          and queue_key = ?2
          and queue_key <> ''
        limit ?3
    )";

/// The same for the empty key.
pub(crate) const RUNNING_OF_NOBODY: &str = "
    select count(*)
    from (
        select 1
        from workflows
        where state = 'running'
          and queue_name = ?1
          and queue_name is not null
          and queue_key = ?2
        limit ?3
    )";

/// Those that lie ahead as well: the clock has been put back since.
const FORGET_STARTS: &str = "
    delete from queue_starts
    where queue_name = ?1
      and (started_at <= ?2 or started_at > ?3)";

/// How far the clocks of two processes may be apart.
const APART: Duration = Duration::from_secs(5);

/// How many began in a queue since [`FORGET_STARTS`], counted no further than its limit.
const STARTED: &str = "
    select count(*)
    from (
        select 1
        from queue_starts
        where queue_name = ?1
        limit ?2
    )";

/// A queue that is not paused.
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) limits: QueueLimits,
    /// Whether something waits under a key.
    pub(super) has_keys: bool,
}

impl Queue {
    /// The queues that a statement finds.
    pub(super) fn list(db: &Connection, sql: &str) -> Result<Vec<Self>, Failure> {
        let mut statement = db.prepare_cached(sql)?;
        let queues = statement.query_map([], |row: &Row<'_>| {
            Ok(Self {
                name: row.get(0)?,
                limits: rows::limits(row, 1)?,
                has_keys: row.get(7)?,
            })
        })?;
        Ok(queues.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether its keys must be told apart. The empty key alone has its limit too.
    pub(super) fn takes_turns(&self) -> bool {
        self.has_keys || self.limits.key_concurrency.is_some()
    }

    /// How many more of the queue the executor may take.
    pub(super) fn free(
        &self,
        db: &Connection,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<u32, Failure> {
        let here = claim.executor.as_str();
        let mut used = QueueUsed::default();
        if let Some(limit) = self.limits.concurrency {
            let mut count = db.prepare_cached(RUNNING_ALL)?;
            used.running = count.query_row(params![self.name, limit], |row| row.get(0))?;
        }
        if let Some(limit) = self.limits.executor_concurrency {
            let mut count = db.prepare_cached(RUNNING_HERE)?;
            used.running_here =
                count.query_row(params![self.name, limit, here], |row| row.get(0))?;
        }
        if let Some(rate) = self.limits.rate {
            let since = micros(before(now, rate.period()));
            let ahead = micros(after(now, APART));
            db.prepare_cached(FORGET_STARTS)?
                .execute(params![self.name, since, ahead])?;
            let mut count = db.prepare_cached(STARTED)?;
            used.started = count.query_row(params![self.name, rate.starts], |row| row.get(0))?;
        }
        Ok(self.limits.free_places(used))
    }

    /// How many of a key run.
    pub(super) fn running_of(&self, db: &Connection, key: &str) -> Result<u32, Failure> {
        let sql = match key {
            "" => RUNNING_OF_NOBODY,
            _ => RUNNING_OF,
        };
        let limit = self.limits.key_concurrency.unwrap_or(COUNTED_MAX);
        let mut count = db.prepare_cached(sql)?;
        Ok(count.query_row(params![self.name, key, limit], |row| row.get(0))?)
    }
}
