//! Reads of queues.

use rusqlite::{Row, params};
use stepwell_core::store::{COUNTED_MAX, Paused, QueueInfo, QueueLimited, QueueStore, StoreFuture};

use crate::{
    connection::snapshot,
    rows::{instant, limits},
    store::SqliteStore,
};

/// What [`queue`] reads. Each count ends at a bound: a listing stays quick beside a million.
pub(crate) const LIST: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency, q.key_concurrency, q.rate_starts,
        q.rate_period_ms, q.waiting_max, q.paused_at, q.paused_by, q.paused_why,
        (select count(*) from (
            select 1
            from workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
            limit ?1
        )),
        (select count(*) from (
            select 1
            from workflows as w
            where w.state = 'running'
              and w.queue_name = q.queue_name
              and w.queue_name is not null
            limit ?1
        )),
        q.limited_at
    from queues as q
    order by q.queue_name";

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
}

const LIMITS: &str = "
    select queue_name, concurrency, executor_concurrency, key_concurrency, rate_starts,
        rate_period_ms, waiting_max, limited_at is not null
    from queues
    order by queue_name";

fn queue(row: &Row<'_>) -> rusqlite::Result<QueueInfo> {
    let paused_at = row.get::<_, Option<i64>>(7)?.map(instant).transpose()?;
    let paused = paused_at.map(|at| -> rusqlite::Result<_> {
        Ok(Paused {
            at,
            by: row.get(8)?,
            why: row.get(9)?,
        })
    });
    Ok(QueueInfo {
        name: row.get(0)?,
        limits: limits(row, 1)?,
        limited_at: row.get::<_, Option<i64>>(12)?.map(instant).transpose()?,
        paused: paused.transpose()?,
        waiting: row.get(10)?,
        running: row.get(11)?,
    })
}
