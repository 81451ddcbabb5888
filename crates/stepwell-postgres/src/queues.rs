//! Reads of queues.

use futures_util::FutureExt;
use stepwell_core::store::{COUNTED_MAX, Paused, QueueInfo, QueueLimits, QueueStore, StoreFuture};
use tokio_postgres::Row;

use crate::{
    error::{Failure, corrupt},
    params::params,
    rows::{get, instant_opt, number},
    store::PostgresStore,
};

/// What [`queue`] reads. Each count ends at a bound: a listing stays quick beside a million.
pub(crate) const LIST: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency, q.paused_at, q.paused_by,
        q.paused_why,
        (select count(*) from (
            select
            from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
            limit $1
        ) as waiting),
        (select count(*) from (
            select
            from {schema}.workflows as w
            where w.state = 'running'
              and w.queue_name = q.queue_name
              and w.queue_name <> ''
            limit $1
        ) as running)
    from {schema}.queues as q
    order by q.queue_name";

impl QueueStore for PostgresStore {
    fn queues(&self) -> StoreFuture<'_, Vec<QueueInfo>> {
        self.side("list queues", (), |db, ()| {
            async move {
                let rows = db.query(LIST, params![i64::from(COUNTED_MAX)]).await?;
                rows.iter().map(queue).collect()
            }
            .boxed()
        })
    }
}

fn queue(row: &Row) -> Result<QueueInfo, Failure> {
    Ok(QueueInfo {
        name: get(row, 0)?,
        limits: QueueLimits {
            concurrency: limit(row, 1)?,
            executor_concurrency: limit(row, 2)?,
        },
        paused: paused(row, 3)?,
        waiting: number(row, 6)?,
        running: number(row, 7)?,
    })
}

/// Reads a limit, which may be none.
pub(crate) fn limit(row: &Row, column: usize) -> Result<Option<u32>, Failure> {
    let limit: Option<i64> = get(row, column)?;
    limit
        .map(|limit| u32::try_from(limit).map_err(|_| corrupt("limit", limit)))
        .transpose()
}

/// Reads since when something is paused, by whom and why, from three columns.
pub(crate) fn paused(row: &Row, first: usize) -> Result<Option<Paused>, Failure> {
    let Some(at) = instant_opt(row, first)? else {
        return Ok(None);
    };
    Ok(Some(Paused {
        at,
        by: get(row, first + 1)?,
        why: get(row, first + 2)?,
    }))
}
