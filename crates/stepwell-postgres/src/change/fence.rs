//! The fence: what an executor's batch stands on. Why it is as it is stands in `change.rs`.

use std::collections::HashSet;

use jiff::Timestamp;
use stepwell_core::ExecutorId;

use crate::{
    clock,
    connection::Connection,
    error::{Failure, corrupt},
    params::params,
    rows::{get, instant},
};

/// Reads the number that the one statement asks for.
const LOSSES: &str = "
    select losses
    from {schema}.executors
    where executor_id = $1
      and ended_at is null";

/// Holds an executor's row for a transaction, beside its other batches.
pub(crate) const HOLD: &str = "
    select {schema}.clock()
    from {schema}.executors
    where executor_id = $1
      and ended_at is null
    for key share";

/// Holds the rows of executors from which something is taken, alone: in one order, so that two who
/// take from each other do not lock each other out.
const HOLD_ALONE: &str = "
    select executor_id, ended_at is null
    from {schema}.executors
    where executor_id = any($1)
    order by executor_id
    for update";

/// How often workflows were taken away from a living executor.
pub(super) async fn losses(db: &Connection, executor: &ExecutorId) -> Result<i64, Failure> {
    if let Some(known) = db.server.losses.known(executor) {
        return Ok(known);
    }
    let row = db.query_opt(LOSSES, params![executor.as_str()]).await?;
    let row = row.ok_or_else(|| Failure::Fenced(executor.clone()))?;
    let losses = get(&row, 0)?;
    db.server.losses.learn(executor, losses);
    Ok(losses)
}

/// Begins a transaction and takes the fence in it. With `losing` it is to take workflows from those
/// executors. The server's time.
pub(super) async fn enter(
    db: &Connection,
    executor: Option<&ExecutorId>,
    losing: Option<&HashSet<String>>,
) -> Result<Timestamp, Failure> {
    match (executor, losing) {
        (None, None) => begin_at(db).await,
        (Some(executor), None) => hold(db, executor).await,
        (executor, Some(losing)) => {
            let now = begin_at(db).await?;
            hold_alone(db, executor, losing).await?;
            Ok(now)
        }
    }
}

/// Begins a transaction in which an executor's lease holds. The server's time.
pub(crate) async fn hold(db: &Connection, executor: &ExecutorId) -> Result<Timestamp, Failure> {
    let row = db.begin_with(HOLD, params![executor.as_str()]).await?;
    let row = row.ok_or_else(|| Failure::Fenced(executor.clone()))?;
    instant(&row, 0)
}

async fn begin_at(db: &Connection) -> Result<Timestamp, Failure> {
    let row = db.begin_with(clock::ASK, params![]).await?;
    let row = row.ok_or_else(|| corrupt("answer of the clock", "nothing"))?;
    instant(&row, 0)
}

async fn hold_alone(
    db: &Connection,
    executor: Option<&ExecutorId>,
    losing: &HashSet<String>,
) -> Result<(), Failure> {
    let me = executor.map(ExecutorId::as_str);
    let mut ids: Vec<&str> = losing.iter().map(String::as_str).collect();
    ids.extend(me.filter(|me| !losing.contains(*me)));
    let rows = db.query(HOLD_ALONE, params![ids]).await?;
    let Some(executor) = executor else {
        return Ok(());
    };
    for row in &rows {
        let (id, is_live): (&str, bool) = (get(row, 0)?, get(row, 1)?);
        if id == executor.as_str() && is_live {
            return Ok(());
        }
    }
    Err(Failure::Fenced(executor.clone()))
}

/// Refuses to go on unless an executor is live. It holds for this instant only.
pub(crate) async fn is_live(db: &Connection, executor: &ExecutorId) -> Result<(), Failure> {
    let row = db.query_opt(LOSSES, params![executor.as_str()]).await?;
    row.map(drop)
        .ok_or_else(|| Failure::Fenced(executor.clone()))
}
