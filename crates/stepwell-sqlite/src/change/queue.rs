//! A queue is steered by a person.

use rusqlite::{OptionalExtension, Row, params};
use stepwell_core::store::{QueueChange, QueueChanged};

use super::Scope;
use crate::{error::Failure, rows::limits};

pub(super) const FIND: &str = "
    select concurrency, executor_concurrency, key_concurrency, rate_starts, rate_period_ms,
        waiting_max, paused_at is not null
    from queues
    where queue_name = ?1";

const LIMIT: &str = "
    update queues
    set concurrency = ?2,
        executor_concurrency = ?3,
        key_concurrency = ?4,
        rate_starts = ?5,
        rate_period_ms = ?6,
        waiting_max = ?7
    where queue_name = ?1";

const PAUSE: &str = "
    update queues
    set paused_at = ?2,
        paused_by = ?3,
        paused_why = ?4
    where queue_name = ?1";

const RESUME: &str = "
    update queues
    set paused_at = null,
        paused_by = null,
        paused_why = null
    where queue_name = ?1";

pub(super) fn apply(scope: &Scope<'_>, change: &QueueChange) -> Result<QueueChanged, Failure> {
    let read = |row: &Row<'_>| Ok((limits(row, 0)?, row.get::<_, bool>(6)?));
    let mut find = scope.db.prepare_cached(FIND)?;
    let found = find.query_row(params![change.name()], read).optional()?;
    let Some((known, paused)) = found else {
        return Ok(QueueChanged::NoSuchQueue);
    };
    let changed = match change {
        QueueChange::Limit { limits, .. } if *limits == known => 0,
        QueueChange::Pause { .. } if paused => 0,
        QueueChange::Resume { .. } if !paused => 0,
        QueueChange::Limit { name, limits } => scope.db.prepare_cached(LIMIT)?.execute(params![
            name,
            limits.concurrency,
            limits.executor_concurrency,
            limits.key_concurrency,
            limits.rate.map(|rate| rate.starts),
            limits.rate.map(|rate| rate.period_ms),
            limits.waiting_max,
        ])?,
        QueueChange::Pause { name, by, why } => scope
            .db
            .prepare_cached(PAUSE)?
            .execute(params![name, scope.now_micros(), by, why])?,
        QueueChange::Resume { name } => scope.db.prepare_cached(RESUME)?.execute(params![name])?,
    };
    Ok(match changed {
        0 => QueueChanged::Already,
        _ => QueueChanged::Done,
    })
}
