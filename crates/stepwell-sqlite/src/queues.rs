//! Reads of queues.

use rusqlite::{OptionalExtension, Row, params};
use stepwell_core::{
    WorkflowKey,
    store::{
        COUNTED_MAX, Paused, QueueInfo, QueueLimited, QueueSeen, QueueStore, Store, StoreFuture,
    },
};

use crate::{
    connection::snapshot,
    rows::{instant, limits, micros},
    store::SqliteStore,
};

/// The columns of a queue `q` that [`queue`] and [`seen`] have in common.
macro_rules! columns {
    () => {
        "q.queue_name, q.concurrency, q.executor_concurrency, q.key_concurrency, q.rate_starts,
        q.rate_period_ms, q.waiting_max, q.paused_at, q.paused_by, q.paused_why"
    };
}

/// Counts what runs of a queue `q`, up to a bound: a listing stays quick beside a million.
macro_rules! running {
    ($bound:literal, $more:literal) => {
        concat!(
            "(select count(*) from (
            select 1
            from workflows as r
            where r.state = 'running'
              and r.queue_name = q.queue_name
              and r.queue_name is not null
              ",
            $more,
            "
            limit ",
            $bound,
            "
        ))"
        )
    };
}

/// The rows that [`queue`] reads.
pub(crate) const LIST: &str = concat!(
    "
    select ",
    columns!(),
    ",
        (select count(*) from (
            select 1
            from workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
            limit ?1
        )),
        ",
    running!("?1", ""),
    ",
        q.limited_at
    from queues as q
    order by q.queue_name"
);

impl QueueStore for SqliteStore {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueInfo>> {
        self.read("list queues", |db| {
            snapshot(db, |db| {
                let mut list = db.prepare_cached(LIST)?;
                let queues = list.query_map(params![COUNTED_MAX], queue)?;
                Ok(queues.collect::<rusqlite::Result<_>>()?)
            })
        })
    }

    fn limits(&self) -> StoreFuture<'_, Vec<QueueLimited>> {
        self.read("read the limits of queues", |db| {
            let mut list = db.prepare_cached(LIMITS)?;
            let queues = list.query_map(params![], |row| {
                Ok(QueueLimited {
                    name: row.get(0)?,
                    limits: limits(row, 1)?,
                    by_hand: row.get(7)?,
                })
            })?;
            Ok(queues.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn queue_of(&self, workflow: WorkflowKey) -> StoreFuture<'_, Option<QueueSeen>> {
        let now = micros(self.now());
        self.read("read the queue of a workflow", move |db| {
            let mut find = db.prepare_cached(SEEN)?;
            let found = find.query_row(params![workflow.0, COUNTED_MAX, now], seen);
            Ok(found.optional()?)
        })
    }
}

/// The queue of a workflow for [`seen`], counted no further than a bound.
pub(crate) const SEEN: &str = concat!(
    "
    select ",
    columns!(),
    ", w.queue_key,
        ",
    running!("?2", ""),
    ",
        ",
    running!("?2", "and r.queue_key = w.queue_key"),
    ",
        (select count(*) from (
            select 1
            from queue_starts as s
            where s.queue_name = q.queue_name
              and s.started_at > ?3 - q.rate_period_ms * 1000
            limit ?2
        ))
    from workflows as w
    join queues as q on q.queue_name = w.queue_name
    where w.workflow_key = ?1"
);

fn seen(row: &Row<'_>) -> rusqlite::Result<QueueSeen> {
    Ok(QueueSeen {
        name: row.get(0)?,
        limits: limits(row, 1)?,
        paused: paused(row)?,
        key: row.get(10)?,
        running: row.get(11)?,
        running_of_key: row.get(12)?,
        started: row.get(13)?,
    })
}

const LIMITS: &str = "
    select queue_name, concurrency, executor_concurrency, key_concurrency, rate_starts,
        rate_period_ms, waiting_max, limited_at is not null
    from queues
    order by queue_name";

fn queue(row: &Row<'_>) -> rusqlite::Result<QueueInfo> {
    Ok(QueueInfo {
        name: row.get(0)?,
        limits: limits(row, 1)?,
        limited_at: row.get::<_, Option<i64>>(12)?.map(instant).transpose()?,
        paused: paused(row)?,
        waiting: row.get(10)?,
        running: row.get(11)?,
    })
}

/// Reads since when a queue is paused, by whom and why.
fn paused(row: &Row<'_>) -> rusqlite::Result<Option<Paused>> {
    let at = row.get::<_, Option<i64>>(7)?.map(instant).transpose()?;
    let paused = |at| {
        Ok(Paused {
            at,
            by: row.get(8)?,
            why: row.get(9)?,
        })
    };
    at.map(paused).transpose()
}
