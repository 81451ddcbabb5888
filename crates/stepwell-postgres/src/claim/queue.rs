//! A queue, as a claim sees it: its limits, and how much of them is used.

use std::collections::HashMap;

use stepwell_core::{
    ExecutorId,
    store::{QueueLimits, QueueUsed},
};
use tokio_postgres::Row;

use crate::{
    connection::Connection,
    error::Failure,
    params::params,
    queues,
    rows::{get, number},
};

macro_rules! select_queues {
    () => {
        "
    select q.queue_name, q.concurrency, q.executor_concurrency, q.key_concurrency, q.rate_starts,
        q.rate_period_ms, q.waiting_max,
        exists (
            select from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
              and w.queue_key > ''
        )
    from {schema}.queues as q
    where q.paused_at is null"
    };
}

/// The queues that are not paused and in which something waits or is stuck.
pub(crate) const QUEUES: &str = concat!(
    select_queues!(),
    "
      and (exists (
            select from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
        ) or exists (
            select from {schema}.stuck as s
            where s.queue_name = q.queue_name
        ))"
);

/// Locks queues of which is counted how much is used: whoever counts must be alone, or two would
/// take the last place.
const LOCK: &str = concat!(
    select_queues!(),
    "
      and q.queue_name = any($1)
    order by q.queue_name
    for update"
);

/// How many of each queue run, in all executors and in one, and how many began in the period of its
/// rate, counted no further than the limits.
pub(crate) const USED: &str = "
    select q.queue_name,
        (select count(*) from (
            select 1
            from {schema}.workflows as w
            where w.state = 'running'
              and w.queue_name = q.queue_name
              and w.queue_name <> ''
            limit q.concurrency
        ) as running),
        (select count(*) from (
            select 1
            from {schema}.workflows as w
            where w.state = 'running'
              and w.queue_name = q.queue_name
              and w.queue_name <> ''
              and w.executor_id = $6
            limit q.executor_concurrency
        ) as running),
        (select count(*) from (
            select 1
            from {schema}.queue_starts as s
            where s.queue_name = q.queue_name
              and s.started_at > (select {schema}.clock()) - q.period_ms * interval '1 millisecond'
            limit q.starts
        ) as started)
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
        as q (queue_name, concurrency, executor_concurrency, starts, period_ms)";

/// What a rate does not count any more.
/// Those that lie ahead as well: the clock has been put back since.
const FORGET_STARTS: &str = "
    delete from {schema}.queue_starts as s
    using unnest($1::text[], $2::bigint[]) as q (queue_name, period_ms)
    where s.queue_name = q.queue_name
      and (s.started_at <= (select {schema}.clock()) - q.period_ms * interval '1 millisecond'
        or s.started_at > (select {schema}.clock()) + interval '5 seconds')";

/// A queue that is not paused. One of which is counted how much is used is locked.
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) limits: QueueLimits,
    /// Whether something waits under a key.
    pub(super) has_keys: bool,
}

impl Queue {
    fn read(row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            name: get(row, 0)?,
            limits: queues::limits(row, 1)?,
            has_keys: get(row, 7)?,
        })
    }

    /// Whether its keys must be told apart. The empty key alone has its limit too.
    pub(super) fn takes_turns(&self) -> bool {
        self.has_keys || self.limits.key_concurrency.is_some()
    }

    /// Those that a claim may take from, with the limits that hold until it ends.
    pub(super) async fn list(db: &Connection) -> Result<Vec<Self>, Failure> {
        let found: Result<Vec<_>, _> = (db.query(QUEUES, params![]).await?.iter())
            .map(Self::read)
            .collect();
        let (counted, mut queues): (Vec<_>, Vec<_>) =
            (found?.into_iter()).partition(|queue| queue.limits.is_counted());
        if counted.is_empty() {
            return Ok(queues);
        }
        let names: Vec<_> = counted.into_iter().map(|queue| queue.name).collect();
        for row in db.query(LOCK, params![names]).await? {
            queues.push(Self::read(&row)?);
        }
        Ok(queues)
    }
}

/// How many more of each counted queue the executor may take.
pub(super) async fn free(
    db: &Connection,
    executor: &ExecutorId,
    queues: &[Queue],
) -> Result<HashMap<String, u32>, Failure> {
    let counted: Vec<_> = (queues.iter())
        .filter(|queue| queue.limits.is_counted())
        .collect();
    if counted.is_empty() {
        return Ok(HashMap::new());
    }
    forget_starts(db, &counted).await?;
    let names: Vec<_> = counted.iter().map(|queue| queue.name.as_str()).collect();
    // Without a limit nothing need be counted.
    let of = |limit: fn(&QueueLimits) -> Option<u32>| -> Vec<_> {
        let limits = counted
            .iter()
            .map(|queue| limit(&queue.limits).unwrap_or(0));
        limits.map(i64::from).collect()
    };
    let (all, here) = (of(|it| it.concurrency), of(|it| it.executor_concurrency));
    let starts = of(|it| it.rate.map(|rate| rate.starts));
    let periods = of(|it| it.rate.map(|rate| rate.period_ms));
    let me = executor.as_str();
    let mut free = HashMap::new();
    for row in db
        .query(USED, params![names, all, here, starts, periods, me])
        .await?
    {
        let name: String = get(&row, 0)?;
        let used = QueueUsed {
            running: number(&row, 1)?,
            running_here: number(&row, 2)?,
            started: number(&row, 3)?,
        };
        if let Some(queue) = counted.iter().find(|queue| queue.name == name) {
            free.insert(name, queue.limits.free_places(used));
        }
    }
    Ok(free)
}

async fn forget_starts(db: &Connection, queues: &[&Queue]) -> Result<(), Failure> {
    let rated = (queues.iter()).filter_map(|queue| Some((&queue.name, queue.limits.rate?)));
    let (names, periods): (Vec<_>, Vec<_>) = rated
        .map(|(name, rate)| (name.as_str(), i64::from(rate.period_ms)))
        .unzip();
    if !names.is_empty() {
        db.execute(FORGET_STARTS, params![names, periods]).await?;
    }
    Ok(())
}
