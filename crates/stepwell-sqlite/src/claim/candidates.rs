//! What an executor could take now.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use stepwell_core::{
    WorkflowKey,
    store::{Claim, Turns},
};

use super::{lanes, queue::Queue};
use crate::{error::Failure, rows::micros};

/// How many delays end in one claim. The next one goes on with the rest.
const WAKE_MAX: u32 = 1_000;

/// The delayed and the parked workflows whose time has come, the earliest first.
pub(crate) const DUE: &str = "
    update workflows
    set state = 'enqueued',
        reason = null,
        wake_at = null
    where workflow_key in (
        select workflow_key
        from workflows
        where state in ('delayed', 'parked')
          and wake_at <= ?1
        order by wake_at
        limit ?2
    )";

/// The first in line in a queue (or in none: null) of one key under a name.
pub(crate) const WAITING: &str = "
    select queue_rank, workflow_key
    from workflows
    where state = 'enqueued'
      and queue_name is ?1
      and queue_key = ?2
      and name = ?3
    order by queue_rank, workflow_key
    limit ?4";

/// The queues that are not paused and in which something waits.
pub(crate) const QUEUES: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency, q.key_concurrency, q.rate_starts,
        q.rate_period_ms, q.waiting_max,
        exists (
            select 1
            from workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
              and w.queue_key > ''
        )
    from queues as q
    where q.paused_at is null
      and exists (
        select 1
        from workflows as w
        where w.state = 'enqueued'
          and w.queue_name = q.queue_name
    )";

/// A workflow that waits, by its rank.
pub(super) type Waiting = (i64, WorkflowKey);

/// Lets the delays end whose time has come: what was delayed waits like the rest then.
pub(super) fn wake_delayed(db: &Connection, now: Timestamp) -> Result<(), Failure> {
    db.prepare_cached(DUE)?
        .execute(params![micros(now), WAKE_MAX])?;
    Ok(())
}

/// The workflows that the executor may take now, up to a limit: the first in line of each queue, and
/// of all these the first.
pub(super) fn find(
    db: &Connection,
    (claim, turns): (&Claim, &Turns),
    limit: u32,
    now: Timestamp,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut found = in_line(db, claim, (None, ""), limit)?;
    for queue in Queue::list(db, QUEUES)? {
        let places = queue.free(db, claim, now)?.min(limit);
        found.extend(if queue.takes_turns() {
            lanes::next(db, (claim, turns), &queue, places)?
        } else {
            in_line(db, claim, (Some(&queue.name), ""), places)?
        });
    }
    // Stable, because of turns: those of one queue stay in their order.
    found.sort_by_key(|(rank, _)| *rank);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found.into_iter().map(|(_, key)| key).collect())
}

/// The first in line of one key in one queue, under any of the names.
pub(super) fn in_line(
    db: &Connection,
    claim: &Claim,
    (queue, key): (Option<&str>, &str),
    limit: u32,
) -> Result<Vec<Waiting>, Failure> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let mut statement = db.prepare_cached(WAITING)?;
    for name in &claim.names {
        let rows = statement.query_map(params![queue, key, name, limit], |row| {
            Ok((row.get(0)?, WorkflowKey(row.get(1)?)))
        })?;
        for row in rows {
            found.push(row?);
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}
