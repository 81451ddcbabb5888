//! What an executor could take now.

use stepwell_core::WorkflowKey;

use super::{
    Taking, lanes,
    queue::{self, Queue},
};
use crate::{
    connection::Connection,
    error::{Failure, corrupt},
    params::params,
    rows::{get, key},
};

/// How many delays end in one claim. The next one goes on with the rest.
const WAKE_MAX: i64 = 1_000;

/// The delayed and the parked workflows whose time has come, the earliest first, but for those that somebody else
/// wakes or cancels just now.
pub(crate) const DUE: &str = "
    update {schema}.workflows
    set state = 'enqueued',
        reason = null,
        wake_at = null
    where workflow_key = any (array(
        select workflow_key
        from {schema}.workflows
        where state in ('delayed', 'parked')
          and wake_at <= (select {schema}.clock())
        order by wake_at
        limit $1
        for update skip locked
    ))";

/// The first in line of each key in each queue under any of the names, up to the places of each; of
/// all these the first.
pub(crate) const WAITING: &str = "
    select p.number, w.queue_rank, w.workflow_key
    from unnest($1::text[], $2::text[], $3::bigint[]) with ordinality
        as p (queue_name, queue_key, places, number)
    cross join lateral (
        select c.queue_rank, c.workflow_key
        from unnest($4::text[]) as n (name)
        cross join lateral (
            select e.queue_rank, e.workflow_key
            from {schema}.workflows as e
            where e.state = 'enqueued'
              and e.queue_name = p.queue_name
              and e.queue_key = p.queue_key
              and e.name = n.name
            order by e.queue_rank, e.workflow_key
            limit p.places
        ) as c
        order by c.queue_rank, c.workflow_key
        limit p.places
    ) as w
    order by w.queue_rank, w.workflow_key
    limit $5";

/// A workflow that waits, by its rank.
pub(super) type Waiting = (i64, WorkflowKey);

/// A line that is looked at: of one key in one queue.
pub(super) struct Place {
    pub(super) queue: String,
    pub(super) key: String,
    /// How far.
    pub(super) limit: u32,
}

/// What could be taken, and from which queues more could.
pub(super) struct Candidates {
    /// The first in line first.
    pub(super) keys: Vec<i64>,
    /// Those that are not paused. The counted ones are locked.
    pub(super) queues: Vec<Queue>,
}

impl Candidates {
    /// Whether any of the queues counts what begins.
    pub(super) fn has_rates(&self) -> bool {
        let mut queues = self.queues.iter();
        queues.any(|queue| queue.limits.rate.is_some())
    }
}

/// Lets the delays end whose time has come: what was delayed waits like the rest then.
pub(super) async fn wake_delayed(db: &Connection) -> Result<(), Failure> {
    db.execute(DUE, params![WAKE_MAX]).await?;
    Ok(())
}

/// The workflows that the executor may take now: the first in line of each queue, and of all these
/// the first.
pub(super) async fn find(db: &Connection, taking: &Taking) -> Result<Candidates, Failure> {
    let window = taking.window();
    let queues = Queue::list(db).await?;
    let free = queue::free(db, taking.executor(), &queues).await?;
    let free = |queue: &Queue| {
        free.get(&queue.name)
            .copied()
            .unwrap_or(u32::MAX)
            .min(window)
    };
    let line = |queue: &str, limit| Place {
        queue: queue.to_owned(),
        key: String::new(),
        limit,
    };
    let mut lines = vec![line("", window)];
    let without_keys = queues.iter().filter(|queue| !queue.takes_turns());
    lines.extend(without_keys.map(|queue| line(&queue.name, free(queue))));
    let found = in_line(db, taking, &lines, window).await?;
    let mut found: Vec<_> = found.into_iter().map(|(_, waiting)| waiting).collect();
    for queue in queues.iter().filter(|queue| queue.takes_turns()) {
        found.extend(lanes::next(db, taking, (queue, free(queue))).await?);
    }
    // Stable, because of turns: those of one queue stay in their order.
    found.sort_by_key(|(rank, _)| *rank);
    found.truncate(usize::try_from(window).unwrap_or(usize::MAX));
    Ok(Candidates {
        keys: found.into_iter().map(|(_, key)| key.0).collect(),
        queues,
    })
}

/// The first in line of each place, with the number of the place.
pub(super) async fn in_line(
    db: &Connection,
    taking: &Taking,
    places: &[Place],
    limit: u32,
) -> Result<Vec<(usize, Waiting)>, Failure> {
    let queues: Vec<_> = places.iter().map(|it| it.queue.as_str()).collect();
    let keys: Vec<_> = places.iter().map(|it| it.key.as_str()).collect();
    let limits: Vec<_> = places.iter().map(|it| i64::from(it.limit)).collect();
    let names = &taking.claim.names;
    let rows = db
        .query(
            WAITING,
            params![queues, keys, limits, *names, i64::from(limit)],
        )
        .await?;
    let waiting = |row| {
        let number: i64 = get(row, 0)?;
        // It counts from one.
        let place = usize::try_from(number - 1).map_err(|_| corrupt("place", number))?;
        Ok((place, (get(row, 1)?, key(row, 2)?)))
    };
    rows.iter().map(waiting).collect()
}
