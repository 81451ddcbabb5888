//! Executors and their leases.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use stepwell_core::{
    ExecutorId, Payload, WorkflowKey,
    store::{
        Claim, Claimed, Deadline, Executor, ExecutorStore, NewExecutor, Renewal, Renewed, Store,
        StoreFuture, TakeOver, TakenOver,
    },
};

use crate::{
    claim,
    connection::{snapshot, transaction},
    error::{Failure, is_of_values},
    releases,
    rows::{after, before, instant, micros, millis, workflow_id},
    store::SqliteStore,
    take_over,
};

/// How long an executor is kept after it has ended and its work was taken.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many old executors one registration removes.
const REMOVED_MAX: u32 = 1_000;

const INSERT: &str = "
    insert into executors
        (executor_id, application, version, host, pid, lease_ms, started_at, lease_expires_at,
         release_number, declares, names)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    on conflict do nothing";

const REMOVE_OLD: &str = "
    delete from executors
    where executor_id in (
        select executor_id
        from executors
        where drained_at is not null
          and drained_at < ?1
        limit ?2
    )";

const RENEW: &str = "
    update executors
    set lease_expires_at = ?2 + lease_ms * 1000,
        doing = coalesce(?3, doing)
    where executor_id = ?1
      and ended_at is null";

const DOING: &str = "
    select doing
    from executors
    where executor_id = ?1";

const TAKE_INTERRUPTS: &str = "
    delete from interrupts
    where executor_id = ?1
    returning workflow_key";

/// The earliest end of a delay.
pub(crate) const NEXT_WAKE: &str = "
    select min(at)
    from (
        select min(wake_at) as at
        from workflows
        where state in ('delayed', 'parked')
        union all
        -- When a rate counts one less, if somebody waits for that.
        select (
            select min(s.started_at) + q.rate_period_ms * 1000
            from queue_starts as s
            where s.queue_name = q.queue_name
              and s.started_at > ?1 - q.rate_period_ms * 1000
        )
        from queues as q
        where q.rate_starts is not null
          and q.paused_at is null
          and exists (
            select 1
            from workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
        )
    )";

/// The deadlines of what nobody runs, the earliest first.
pub(crate) const DEADLINES: &str = "
    select workflow_id, deadline_at
    from workflows
    where deadline_at is not null
      and state in ('delayed', 'enqueued', 'parked')
    order by deadline_at
    limit ?1";

/// Every executor that is live or has work, in the order of their starts.
const ACTIVE: &str = "
    select executor_id, application, version, host, pid, started_at, lease_expires_at, ended_at,
        names
    from executors
    where drained_at is null
    order by started_at, executor_id";

impl ExecutorStore for SqliteStore {
    fn register(&self, executor: NewExecutor) -> StoreFuture<'_, ()> {
        let now = self.now();
        let locks = self.locks();
        self.write("register an executor", move |db| {
            if let Some(locks) = locks {
                locks
                    .take(&executor.id)
                    .map_err(|error| Failure::File("its lock cannot be taken", error))?;
            }
            transaction(db, |db| register(db, &executor, now))
        })
    }

    fn renew(&self, renewal: Renewal) -> StoreFuture<'_, Renewed> {
        let now = self.now();
        let (locks, presence) = (self.locks(), self.presence());
        let Renewal { executor, doing } = renewal;
        self.write("renew a lease", move |db| {
            // An idle process hears of it, too.
            presence.map_or(Ok(()), |presence| presence.check())?;
            let renewed = transaction(db, |db| {
                let mut renew = db.prepare_cached(RENEW)?;
                let doing = doing.as_ref().map(Payload::as_str);
                Ok(renew.execute(params![executor.as_str(), micros(now), doing])?)
            })?;
            if renewed == 1 {
                return Ok(Renewed::Live);
            }
            if let Some(locks) = locks {
                locks.remove(&executor);
            }
            Ok(Renewed::Lost)
        })
    }

    fn doing(&self, executor: &ExecutorId) -> StoreFuture<'_, Option<Payload>> {
        let executor = executor.clone();
        self.read("read what an executor does", move |db| {
            let mut doing = db.prepare_cached(DOING)?;
            let doing = doing.query_row(params![executor.as_str()], |row| row.get(0));
            let doing: Option<Option<String>> = doing.optional()?;
            Ok(doing.flatten().map(Payload::from_stored))
        })
    }

    fn take_over(&self, look: TakeOver) -> StoreFuture<'_, TakenOver> {
        let now = self.now();
        let locks = self.locks();
        self.write("take over", move |db| {
            take_over::take_over(db, &look, (now, locks.as_deref()))
        })
    }

    fn claim(&self, claim: Claim) -> StoreFuture<'_, Vec<Claimed>> {
        let (now, turns) = (self.now(), self.turns());
        self.write("claim workflows", move |db| {
            transaction(db, |db| claim::claim(db, &claim, &turns, now))
        })
    }

    fn next_wake(&self) -> StoreFuture<'_, Option<Timestamp>> {
        let now = micros(self.now());
        self.read("look for the next delay", move |db| {
            let mut next = db.prepare_cached(NEXT_WAKE)?;
            let wake_at: Option<i64> = next.query_row(params![now], |row| row.get(0))?;
            Ok(wake_at.map(instant).transpose()?)
        })
    }

    fn deadlines(&self, limit: u32) -> StoreFuture<'_, Vec<Deadline>> {
        self.read("look for deadlines", move |db| {
            let mut find = db.prepare_cached(DEADLINES)?;
            let deadlines = find.query_map(params![limit], |row| {
                Ok(Deadline {
                    id: workflow_id(row.get(0)?)?,
                    at: instant(row.get(1)?)?,
                })
            })?;
            // One that cannot be read is no reason to let the others wait.
            let readable = deadlines.filter(|row| !row.as_ref().is_err_and(is_of_values));
            Ok(readable.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn owned(
        &self,
        executor: &ExecutorId,
        keys: Vec<WorkflowKey>,
    ) -> StoreFuture<'_, Vec<Claimed>> {
        let executor = executor.clone();
        self.read("read the workflows of an executor", move |db| {
            snapshot(db, |db| claim::owned(db, &executor, &keys))
        })
    }

    fn owned_keys(&self, executor: &ExecutorId) -> StoreFuture<'_, Vec<WorkflowKey>> {
        let executor = executor.clone();
        self.read("list the workflows of an executor", move |db| {
            claim::owned_keys(db, &executor)
        })
    }

    fn take_interrupts(&self, executor: &ExecutorId) -> StoreFuture<'_, Vec<WorkflowKey>> {
        let executor = executor.clone();
        self.write("look for interrupts", move |db| {
            transaction(db, |db| {
                let mut take = db.prepare_cached(TAKE_INTERRUPTS)?;
                let keys = take.query_map(params![executor.as_str()], |row| row.get(0))?;
                Ok(keys
                    .map(|key| key.map(WorkflowKey))
                    .collect::<rusqlite::Result<_>>()?)
            })
        })
    }

    fn retire(&self, executor: &ExecutorId) -> StoreFuture<'_, ()> {
        let now = self.now();
        let locks = self.locks();
        let executor = executor.clone();
        self.write("retire an executor", move |db| {
            take_over::retire(db, &executor, now)?;
            if let Some(locks) = locks {
                locks.remove(&executor);
            }
            Ok(())
        })
    }

    fn executors(&self) -> StoreFuture<'_, Vec<Executor>> {
        self.read("list executors", |db| {
            snapshot(db, |db| {
                let mut statement = db.prepare_cached(ACTIVE)?;
                let executors = statement.query_map([], executor)?;
                Ok(executors.collect::<rusqlite::Result<_>>()?)
            })
        })
    }
}

/// Makes the row. The same incarnation again is the same registration, unless it has ended.
fn register(db: &Connection, executor: &NewExecutor, now: Timestamp) -> Result<(), Failure> {
    let old = micros(before(now, KEPT));
    db.prepare_cached(REMOVE_OLD)?
        .execute(params![old, REMOVED_MAX])?;
    let release = releases::of_new(db, executor)?;
    db.prepare_cached(INSERT)?.execute(params![
        executor.id.as_str(),
        executor.application,
        executor.version,
        executor.host,
        executor.pid,
        millis(executor.lease),
        micros(now),
        micros(after(now, executor.lease)),
        release,
        json_array(&executor.declares),
        json_array(&executor.names),
    ])?;
    crate::change::fence(db, &executor.id)
}

/// Names as `json_each` reads them.
fn json_array(names: &[String]) -> String {
    // Text is always JSON; nothing of it can be refused.
    Payload::of(&names, usize::MAX).map_or_else(|_| "[]".to_owned(), |it| it.as_str().to_owned())
}

/// Names as [`json_array`] has written them. Of what is none nothing is known.
fn names(text: Option<String>) -> Option<Vec<String>> {
    text.and_then(|text| Payload::from_stored(text).read().ok())
}

fn executor(row: &Row<'_>) -> rusqlite::Result<Executor> {
    Ok(Executor {
        id: ExecutorId::from_stored(row.get(0)?),
        application: row.get(1)?,
        version: row.get(2)?,
        host: row.get(3)?,
        pid: row.get(4)?,
        started_at: instant(row.get(5)?)?,
        lease_expires_at: instant(row.get(6)?)?,
        ended_at: row.get::<_, Option<i64>>(7)?.map(instant).transpose()?,
        names: names(row.get(8)?),
    })
}
