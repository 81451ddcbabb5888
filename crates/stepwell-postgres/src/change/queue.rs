//! A queue is declared by the code of an executor, or steered by a person.

use stepwell_core::{
    ExecutorId,
    store::{Declaring, QueueChange, QueueChanged, QueueLimits, QueueUse},
};

use super::{Scope, start};
use crate::{
    error::Failure,
    params::{At, params},
    queues::{columns, limits},
    releases,
    rows::get,
};

/// Waits for claims that count what runs: after a pause nothing more begins.
const FIND: &str = "
    select concurrency, executor_concurrency, key_concurrency, rate_starts, rate_period_ms,
        waiting_max, paused_at is not null, limited_at is not null, release_number
    from {schema}.queues
    where queue_name = $1
    for update";

const LIMIT: &str = "
    update {schema}.queues
    set concurrency = $2,
        executor_concurrency = $3,
        key_concurrency = $4,
        rate_starts = $5,
        rate_period_ms = $6,
        waiting_max = $7,
        limited_at = $8,
        release_number = $9
    where queue_name = $1";

/// What began counts for nothing where there is no rate, and nothing would ever forget it. A claim
/// that notes what begins in a queue with a rate holds the queue's row.
const FORGET_STARTS: &str = "
    delete from {schema}.queue_starts
    where queue_name = $1";

const UNLIMIT: &str = "
    update {schema}.queues
    set limited_at = null,
        release_number = 0
    where queue_name = $1";

const PAUSE: &str = "
    update {schema}.queues
    set paused_at = $2,
        paused_by = $3,
        paused_why = $4
    where queue_name = $1";

const RESUME: &str = "
    update {schema}.queues
    set paused_at = null,
        paused_by = null,
        paused_why = null
    where queue_name = $1";

/// A queue that is there, and locked.
struct Known {
    limits: QueueLimits,
    paused: bool,
    by_hand: bool,
    release: i64,
}

pub(super) async fn apply(
    scope: &Scope<'_>,
    change: &QueueChange,
) -> Result<QueueChanged, Failure> {
    if let QueueChange::Declare {
        name,
        limits,
        executor,
        declaring,
    } = change
    {
        return declare(scope, (name, limits), (executor, *declaring)).await;
    }
    let db = scope.db;
    let Some(known) = find(scope, change.name()).await? else {
        return Ok(QueueChanged::NoSuchQueue);
    };
    match change {
        QueueChange::Limit { limits, .. } if known.by_hand && *limits == known.limits => {
            return Ok(QueueChanged::Already);
        }
        QueueChange::Unlimit { .. } if !known.by_hand => return Ok(QueueChanged::Already),
        QueueChange::Pause { .. } if known.paused => return Ok(QueueChanged::Already),
        QueueChange::Resume { .. } if !known.paused => return Ok(QueueChanged::Already),
        QueueChange::Declare { .. } => {}
        QueueChange::Limit { name, limits } => {
            set(scope, (name, limits), (Some(At(scope.now)), 0)).await?;
        }
        QueueChange::Unlimit { name } => {
            db.execute(UNLIMIT, params![name.as_str()]).await?;
        }
        QueueChange::Pause { name, by, why } => {
            let (name, by, why) = (name.as_str(), by.as_str(), why.as_str());
            db.execute(PAUSE, params![name, At(scope.now), by, why])
                .await?;
        }
        QueueChange::Resume { name } => {
            db.execute(RESUME, params![name.as_str()]).await?;
        }
    }
    Ok(QueueChanged::Done)
}

async fn find(scope: &Scope<'_>, name: &str) -> Result<Option<Known>, Failure> {
    let Some(row) = scope.db.query_opt(FIND, params![name]).await? else {
        return Ok(None);
    };
    Ok(Some(Known {
        limits: limits(&row, 0)?,
        paused: get(&row, 6)?,
        by_hand: get(&row, 7)?,
        release: get(&row, 8)?,
    }))
}

async fn declare(
    scope: &Scope<'_>,
    (name, limits): (&str, &QueueLimits),
    (executor, declaring): (&ExecutorId, Declaring),
) -> Result<QueueChanged, Failure> {
    let Some(mine) = releases::of_executor(scope.db, executor).await? else {
        return Ok(QueueChanged::Outdated);
    };
    let mut known = find(scope, name).await?;
    let is_new = known.is_none();
    if is_new {
        // Somebody else may make it just now: then that one's release is looked at, like any other.
        let queue = QueueUse {
            limits: *limits,
            ..QueueUse::new(name)
        };
        start::add_queue(scope, &queue).await?;
        known = find(scope, name).await?;
    }
    let known = known.ok_or(Failure::Moved)?;
    let is_same = known.limits == *limits;
    if known.by_hand {
        return Ok(match is_same {
            true => QueueChanged::Already,
            false => QueueChanged::SetByHand,
        });
    }
    let declared = releases::standing(scope.db, known.release).await?;
    if mine.counts_before(declared, declaring) {
        set(scope, (name, limits), (None, mine.number)).await?;
    } else if !is_same {
        return Ok(QueueChanged::Outdated);
    }
    Ok(match is_same && !is_new {
        true => QueueChanged::Already,
        false => QueueChanged::Done,
    })
}

/// Sets the limits, and since when they are a person's or which release declares them.
async fn set(
    scope: &Scope<'_>,
    (name, limits): (&str, &QueueLimits),
    (by_hand, release): (Option<At>, i64),
) -> Result<(), Failure> {
    let db = scope.db;
    if limits.rate.is_none() {
        db.execute(FORGET_STARTS, params![name]).await?;
    }
    let [all, each, key, starts, period, waiting] = columns(limits);
    db.execute(
        LIMIT,
        params![
            name, all, each, key, starts, period, waiting, by_hand, release
        ],
    )
    .await?;
    Ok(())
}
