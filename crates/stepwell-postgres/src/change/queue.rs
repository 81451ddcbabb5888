//! A queue is steered by a person.

use stepwell_core::store::{QueueChange, QueueChanged};

use super::Scope;
use crate::{
    error::Failure,
    params::{At, params},
    queues::{columns, limits},
    rows::get,
};

/// Waits for claims that count what runs: after a pause nothing more begins.
const FIND: &str = "
    select concurrency, executor_concurrency, key_concurrency, rate_starts, rate_period_ms,
        waiting_max, paused_at is not null
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
        waiting_max = $7
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
    let known = limits(&row, 0)?;
    let paused: bool = get(&row, 6)?;
    match change {
        QueueChange::Limit { limits, .. } if *limits == known => return Ok(QueueChanged::Already),
        QueueChange::Pause { .. } if paused => return Ok(QueueChanged::Already),
        QueueChange::Resume { .. } if !paused => return Ok(QueueChanged::Already),
        QueueChange::Limit { name, limits } => {
            let [all, each, key, starts, period, waiting] = columns(limits);
            let name = name.as_str();
            let values = params![name, all, each, key, starts, period, waiting];
            db.execute(LIMIT, values).await?;
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
