//! A queue is steered by a person.

use stepwell_core::store::{QueueChange, QueueChanged, QueueLimits};

use super::Scope;
use crate::{
    error::Failure,
    params::{At, params},
    queues::limit,
    rows::get,
};

/// Waits for claims that count what runs: after a pause nothing more begins.
const FIND: &str = "
    select concurrency, executor_concurrency, paused_at is not null
    from {schema}.queues
    where queue_name = $1
    for update";

const LIMIT: &str = "
    update {schema}.queues
    set concurrency = $2,
        executor_concurrency = $3
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

pub(super) async fn apply(
    scope: &Scope<'_>,
    change: &QueueChange,
) -> Result<QueueChanged, Failure> {
    let db = scope.db;
    let Some(row) = db.query_opt(FIND, params![change.name()]).await? else {
        return Ok(QueueChanged::NoSuchQueue);
    };
    let known = QueueLimits {
        concurrency: limit(&row, 0)?,
        executor_concurrency: limit(&row, 1)?,
    };
    let paused: bool = get(&row, 2)?;
    match change {
        QueueChange::Limit { limits, .. } if *limits == known => return Ok(QueueChanged::Already),
        QueueChange::Pause { .. } if paused => return Ok(QueueChanged::Already),
        QueueChange::Resume { .. } if !paused => return Ok(QueueChanged::Already),
        QueueChange::Limit { name, limits } => {
            let all = limits.concurrency.map(i64::from);
            let each = limits.executor_concurrency.map(i64::from);
            db.execute(LIMIT, params![name.as_str(), all, each]).await?;
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
