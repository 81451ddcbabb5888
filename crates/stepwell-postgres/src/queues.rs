//! Reads of queues.

use futures_util::FutureExt;
use stepwell_core::{
    WorkflowKey,
    store::{
        COUNTED_MAX, Paused, QueueInfo, QueueLimited, QueueLimits, QueueSeen, QueueStore, Rate,
        StoreFuture,
    },
};
use tokio_postgres::Row;

use crate::{
    error::{Failure, corrupt},
    params::params,
    rows::{get, instant_opt, number},
    store::PostgresStore,
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
            select
            from {schema}.workflows as r
            where r.state = 'running'
              and r.queue_name = q.queue_name
              and r.queue_name <> ''
              ",
            $more,
            "
            limit ",
            $bound,
            "
        ) as running)"
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
            select
            from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
            limit $1
        ) as waiting),
        ",
    running!("$1", ""),
    ",
        q.limited_at
    from {schema}.queues as q
    order by q.queue_name"
);

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

    fn limits(&self) -> StoreFuture<'_, Vec<QueueLimited>> {
        self.side("read the limits of queues", (), |db, ()| {
            async move {
                let rows = db.query(LIMITS, params![]).await?;
                rows.iter().map(limited).collect()
            }
            .boxed()
        })
    }

    fn queue_of(&self, workflow: WorkflowKey) -> StoreFuture<'_, Option<QueueSeen>> {
        self.side("read the queue of a workflow", workflow, |db, workflow| {
            async move {
                let (key, counted_max) = (workflow.0, i64::from(COUNTED_MAX));
                let row = db.query_opt(SEEN, params![key, counted_max]).await?;
                row.map(|row| seen(&row)).transpose()
            }
            .boxed()
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
    running!("$2", ""),
    ",
        ",
    running!("$2", "and r.queue_key = w.queue_key"),
    ",
        (select count(*) from (
            select
            from {schema}.queue_starts as s
            where s.queue_name = q.queue_name
              and s.started_at > (select {schema}.clock()) - q.rate_period_ms * interval '1 millisecond'
            limit $2
        ) as started)
    from {schema}.workflows as w
    join {schema}.queues as q on q.queue_name = w.queue_name
    where w.workflow_key = $1"
);

fn seen(row: &Row) -> Result<QueueSeen, Failure> {
    Ok(QueueSeen {
        name: get(row, 0)?,
        limits: limits(row, 1)?,
        paused: paused(row, 7)?,
        key: get(row, 10)?,
        running: number(row, 11)?,
        running_of_key: number(row, 12)?,
        started: number(row, 13)?,
    })
}

const LIMITS: &str = "
    select queue_name, concurrency, executor_concurrency, key_concurrency, rate_starts,
        rate_period_ms, waiting_max, limited_at is not null
    from {schema}.queues
    order by queue_name";

fn limited(row: &Row) -> Result<QueueLimited, Failure> {
    Ok(QueueLimited {
        name: get(row, 0)?,
        limits: limits(row, 1)?,
        by_hand: get(row, 7)?,
    })
}

fn queue(row: &Row) -> Result<QueueInfo, Failure> {
    Ok(QueueInfo {
        name: get(row, 0)?,
        limits: limits(row, 1)?,
        limited_at: instant_opt(row, 12)?,
        paused: paused(row, 7)?,
        waiting: number(row, 10)?,
        running: number(row, 11)?,
    })
}

/// Makes a queue known with its limits, unless it is.
pub(crate) const ADD: &str = "
    insert into {schema}.queues
        (queue_name, created_at, concurrency, executor_concurrency, key_concurrency, rate_starts,
         rate_period_ms, waiting_max)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict do nothing";

/// Limits as columns hold them, in the order in which [`limits`] reads them.
pub(crate) fn columns(limits: &QueueLimits) -> [Option<i64>; 6] {
    [
        limits.concurrency,
        limits.executor_concurrency,
        limits.key_concurrency,
        limits.rate.map(|rate| rate.starts),
        limits.rate.map(|rate| rate.period_ms),
        limits.waiting_max,
    ]
    .map(|limit| limit.map(i64::from))
}

/// Reads the limits of a queue, from the column on where they begin.
pub(crate) fn limits(row: &Row, first: usize) -> Result<QueueLimits, Failure> {
    let rate = limit(row, first + 3)?.zip(limit(row, first + 4)?);
    Ok(QueueLimits {
        concurrency: limit(row, first)?,
        executor_concurrency: limit(row, first + 1)?,
        key_concurrency: limit(row, first + 2)?,
        rate: rate.map(|(starts, period_ms)| Rate { starts, period_ms }),
        waiting_max: limit(row, first + 5)?,
    })
}

/// Reads a limit, which may be none.
fn limit(row: &Row, column: usize) -> Result<Option<u32>, Failure> {
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
