//! A queue is declared by the code of an executor, or steered by a person.

use rusqlite::{OptionalExtension, Row, params};
use stepwell_core::{
    ExecutorId,
    store::{Declaring, QueueChange, QueueChanged, QueueLimits, QueueUse},
};

use super::{Scope, start};
use crate::{error::Failure, releases, rows::limits};

pub(super) const FIND: &str = "
    select concurrency, executor_concurrency, key_concurrency, rate_starts, rate_period_ms,
        waiting_max, paused_at is not null, limited_at is not null, release_number
    from queues
    where queue_name = ?1";

const LIMIT: &str = "
    update queues
    set concurrency = ?2,
        executor_concurrency = ?3,
        key_concurrency = ?4,
        rate_starts = ?5,
        rate_period_ms = ?6,
        waiting_max = ?7,
        limited_at = ?8,
        release_number = ?9
    where queue_name = ?1";

/// What began counts for nothing where there is no rate, and nothing would ever forget it.
const FORGET_STARTS: &str = "
    delete from queue_starts
    where queue_name = ?1";

const UNLIMIT: &str = "
    update queues
    set limited_at = null,
        release_number = 0
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

/// A queue that is there.
struct Known {
    limits: QueueLimits,
    paused: bool,
    by_hand: bool,
    release: i64,
}

pub(super) fn apply(scope: &Scope<'_>, change: &QueueChange) -> Result<QueueChanged, Failure> {
    if let QueueChange::Declare {
        name,
        limits,
        executor,
        declaring,
    } = change
    {
        return declare(scope, (name, limits), (executor, *declaring));
    }
    let Some(known) = find(scope, change.name())? else {
        return Ok(QueueChanged::NoSuchQueue);
    };
    let changed = match change {
        QueueChange::Declare { .. } => 0,
        QueueChange::Limit { limits, .. } if known.by_hand && *limits == known.limits => 0,
        QueueChange::Unlimit { .. } if !known.by_hand => 0,
        QueueChange::Pause { .. } if known.paused => 0,
        QueueChange::Resume { .. } if !known.paused => 0,
        QueueChange::Limit { name, limits } => {
            set(scope, (name, limits), (Some(scope.now_micros()), 0))?
        }
        QueueChange::Unlimit { name } => {
            scope.db.prepare_cached(UNLIMIT)?.execute(params![name])?
        }
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

fn find(scope: &Scope<'_>, name: &str) -> Result<Option<Known>, Failure> {
    let read = |row: &Row<'_>| {
        Ok(Known {
            limits: limits(row, 0)?,
            paused: row.get(6)?,
            by_hand: row.get(7)?,
            release: row.get(8)?,
        })
    };
    let mut find = scope.db.prepare_cached(FIND)?;
    Ok(find.query_row(params![name], read).optional()?)
}

fn declare(
    scope: &Scope<'_>,
    (name, limits): (&str, &QueueLimits),
    (executor, declaring): (&ExecutorId, Declaring),
) -> Result<QueueChanged, Failure> {
    let Some(mine) = releases::of_executor(scope.db, executor)? else {
        return Ok(QueueChanged::Outdated);
    };
    let known = find(scope, name)?;
    let is_same = known.as_ref().is_some_and(|known| known.limits == *limits);
    match &known {
        None => {
            let queue = QueueUse {
                limits: *limits,
                ..QueueUse::new(name)
            };
            start::add_queue(scope, &queue)?;
        }
        Some(known) if known.by_hand && is_same => return Ok(QueueChanged::Already),
        Some(known) if known.by_hand => return Ok(QueueChanged::SetByHand),
        Some(known) => {
            let declared = releases::standing(scope.db, known.release, scope.now)?;
            if !mine.counts_before(declared, declaring) {
                return Ok(match is_same {
                    true => QueueChanged::Already,
                    false => QueueChanged::Outdated,
                });
            }
        }
    }
    set(scope, (name, limits), (None, mine.number))?;
    Ok(match is_same {
        true => QueueChanged::Already,
        false => QueueChanged::Done,
    })
}

/// Sets the limits, and since when they are a person's or which release declares them.
fn set(
    scope: &Scope<'_>,
    (name, limits): (&str, &QueueLimits),
    (by_hand, release): (Option<i64>, i64),
) -> Result<usize, Failure> {
    if limits.rate.is_none() {
        scope
            .db
            .prepare_cached(FORGET_STARTS)?
            .execute(params![name])?;
    }
    Ok(scope.db.prepare_cached(LIMIT)?.execute(params![
        name,
        limits.concurrency,
        limits.executor_concurrency,
        limits.key_concurrency,
        limits.rate.map(|rate| rate.starts),
        limits.rate.map(|rate| rate.period_ms),
        limits.waiting_max,
        by_hand,
        release,
    ])?)
}
