//! What an executor could take now.

use std::collections::HashMap;

use stepwell_core::{
    ExecutorId,
    store::{QueueLimits, QueueRunning},
};
use tokio_postgres::Row;

use super::Taking;
use crate::{
    connection::Connection,
    error::{Failure, corrupt},
    params::params,
    rows::{get, number},
};

/// How many delays end in one claim. The next one goes on with the rest.
const WAKE_MAX: i64 = 1_000;

/// The delayed workflows whose time has come, the earliest first, but for those that somebody else
/// wakes or cancels just now.
pub(crate) const DUE: &str = "
    update {schema}.workflows
    set state = 'enqueued',
        wake_at = null
    where workflow_key = any (array(
        select workflow_key
        from {schema}.workflows
        where state = 'delayed'
          and wake_at <= {schema}.clock()
        order by wake_at
        limit $1
        for update skip locked
    ))";

/// The queues that are not paused and in which something waits or is stuck.
pub(crate) const QUEUES: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency
    from {schema}.queues as q
    where q.paused_at is null
      and (exists (
            select from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
        ) or exists (
            select from {schema}.stuck as s
            where s.queue_name = q.queue_name
        ))";

/// Locks queues with limits: whoever counts must be alone, or two would take the last place.
const LOCK_QUEUES: &str = "
    select queue_name, concurrency, executor_concurrency
    from {schema}.queues
    where queue_name = any($1)
      and paused_at is null
    order by queue_name
    for update";

/// How many of each queue run, in all executors and in one, counted no further than the limits.
pub(crate) const RUNNING: &str = "
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
              and w.executor_id = $4
            limit q.executor_concurrency
        ) as running)
    from unnest($1::text[], $2::bigint[], $3::bigint[])
        as q (queue_name, concurrency, executor_concurrency)";

/// The oldest that wait in each queue under any of the names, up to the queue's places; of all
/// these the oldest.
pub(crate) const WAITING: &str = "
    select w.workflow_key
    from unnest($1::text[], $2::bigint[]) as q (queue_name, places)
    cross join lateral (
        select c.workflow_key
        from unnest($3::text[]) as n (name)
        cross join lateral (
            select e.workflow_key
            from {schema}.workflows as e
            where e.state = 'enqueued'
              and e.queue_name = q.queue_name
              and e.name = n.name
            order by e.workflow_key + 0
            limit q.places
        ) as c
        order by c.workflow_key
        limit q.places
    ) as w
    order by w.workflow_key
    limit $4";

/// What could be taken, and from which queues more could.
pub(super) struct Candidates {
    /// The oldest first.
    pub(super) keys: Vec<i64>,
    /// Those that are not paused. The ones with limits are locked.
    pub(super) queues: Vec<Queue>,
}

/// A queue that is not paused.
pub(super) struct Queue {
    pub(super) name: String,
    limits: QueueLimits,
}

impl Queue {
    fn read(row: &Row) -> Result<Self, Failure> {
        let limit = |column| -> Result<Option<u32>, Failure> {
            let limit: Option<i64> = get(row, column)?;
            let limit = limit.map(|it| u32::try_from(it).map_err(|_| corrupt("limit", it)));
            limit.transpose()
        };
        Ok(Self {
            name: get(row, 0)?,
            limits: QueueLimits {
                concurrency: limit(1)?,
                executor_concurrency: limit(2)?,
            },
        })
    }

    fn has_limits(&self) -> bool {
        self.limits != QueueLimits::default()
    }
}

/// Lets the delays end whose time has come: what was delayed waits like the rest then.
pub(super) async fn wake_delayed(db: &Connection) -> Result<(), Failure> {
    db.execute(DUE, params![WAKE_MAX]).await?;
    Ok(())
}

/// The oldest workflows that the executor may take now.
pub(super) async fn find(db: &Connection, taking: &Taking) -> Result<Candidates, Failure> {
    let window = taking.window();
    let queues = queues(db).await?;
    let free = free(db, taking.executor(), &queues).await?;
    let mut names = vec![""];
    let mut places = vec![i64::from(window)];
    for queue in &queues {
        names.push(&queue.name);
        let free = free.get(&queue.name).copied().unwrap_or(u32::MAX);
        places.push(i64::from(free.min(window)));
    }
    let rows = db
        .query(
            WAITING,
            params![names, places, taking.claim.names, i64::from(window)],
        )
        .await?;
    let keys: Result<_, _> = rows.iter().map(|row| get(row, 0)).collect();
    Ok(Candidates {
        keys: keys?,
        queues,
    })
}

/// The queues that are not paused, with the limits that hold until the claim ends.
async fn queues(db: &Connection) -> Result<Vec<Queue>, Failure> {
    let found: Result<Vec<_>, _> = (db.query(QUEUES, params![]).await?.iter())
        .map(Queue::read)
        .collect();
    let (limited, mut queues): (Vec<_>, Vec<_>) = found?.into_iter().partition(Queue::has_limits);
    if limited.is_empty() {
        return Ok(queues);
    }
    let names: Vec<_> = limited.into_iter().map(|queue| queue.name).collect();
    for row in db.query(LOCK_QUEUES, params![names]).await? {
        queues.push(Queue::read(&row)?);
    }
    Ok(queues)
}

/// How many more of each queue with limits the executor may take.
pub(super) async fn free(
    db: &Connection,
    executor: &ExecutorId,
    queues: &[Queue],
) -> Result<HashMap<String, u32>, Failure> {
    let limited: Vec<_> = queues.iter().filter(|queue| queue.has_limits()).collect();
    if limited.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<_> = limited.iter().map(|queue| queue.name.as_str()).collect();
    let limits = |of: fn(&QueueLimits) -> Option<u32>| -> Vec<_> {
        // Without a limit nothing need be counted.
        let limits = limited.iter().map(|queue| of(&queue.limits).unwrap_or(0));
        limits.map(i64::from).collect()
    };
    let (all, here) = (
        limits(|limits| limits.concurrency),
        limits(|limits| limits.executor_concurrency),
    );
    let mut free = HashMap::new();
    for row in db
        .query(RUNNING, params![names, all, here, executor.as_str()])
        .await?
    {
        let name: String = get(&row, 0)?;
        let (all, here) = (number(&row, 1)?, number(&row, 2)?);
        if let Some(queue) = limited.iter().find(|queue| queue.name == name) {
            free.insert(name, queue.limits.free_slots(QueueRunning { all, here }));
        }
    }
    Ok(free)
}
