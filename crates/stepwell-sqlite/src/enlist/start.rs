//! A start on the user's connection.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use stepwell_core::{
    Payload, Place, RecordKind, State, WorkflowKey,
    store::{Launch, NewWorkflow, QueueUse, Started, Store},
};

use super::trouble::Trouble;
use crate::{
    SqliteStore,
    change::{
        record,
        room::WAITING_MAX,
        start::{ADD_QUEUE, EXISTING, INSERT, SET_ATTRIBUTE, queue_rank},
    },
    rows::{after, micros},
};

/// Starts a workflow that any executor may run.
pub(super) async fn start(
    connection: &mut SqliteConnection,
    store: &SqliteStore,
    new: &NewWorkflow,
) -> Result<Started, Trouble> {
    if let Some(row) = existing(connection, new).await? {
        return Ok(found(&row, new)?);
    }
    let queue = match &new.launch {
        Launch::Queue(queue) => Some(queue),
        Launch::Here | Launch::Anywhere => None,
    };
    if let Some(queue) = queue {
        refuse_bounded(connection, queue).await?;
    }
    let now = store.now();
    let key = insert(connection, (new, queue), now).await?;
    add_input(connection, key, new, now).await?;
    for (name, value) in &new.attributes {
        let set = sqlx::query(SET_ATTRIBUTE).bind(key).bind(name).bind(value);
        set.execute(&mut *connection).await?;
    }
    if let Some(queue) = queue {
        add_queue(connection, queue, now).await?;
    }
    Ok(Started::New {
        key: WorkflowKey(key),
        replaced: None,
    })
}

async fn existing(
    connection: &mut SqliteConnection,
    new: &NewWorkflow,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    let existing = sqlx::query(EXISTING).bind(new.id.as_str());
    existing.fetch_optional(connection).await
}

/// Reads the one that has the id.
fn found(row: &SqliteRow, new: &NewWorkflow) -> Result<Started, sqlx::Error> {
    let name: String = row.try_get(1)?;
    let input = Payload::from_stored(row.try_get(4)?);
    if name != new.name || !input.same_value(&new.input) {
        return Ok(Started::Conflict { name });
    }
    let state: String = row.try_get(2)?;
    let state = State::of_stored(&state);
    Ok(Started::Existing {
        key: WorkflowKey(row.try_get(0)?),
        state,
        mine: false,
        nonce: None,
    })
}

/// A bound of a queue is refused here as it is in Postgres, where others would wait for it.
async fn refuse_bounded(
    connection: &mut SqliteConnection,
    queue: &QueueUse,
) -> Result<(), Trouble> {
    let known = sqlx::query_scalar(WAITING_MAX).bind(&queue.name);
    let known: Option<Option<i64>> = known.fetch_optional(connection).await?;
    match known.unwrap_or(queue.limits.waiting_max.map(i64::from)) {
        Some(_) => Err(Trouble::Bounded(queue.name.clone())),
        None => Ok(()),
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    (new, queue): (&NewWorkflow, Option<&QueueUse>),
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    let delay = new.delay.filter(|delay| !delay.is_zero());
    let state = match delay {
        Some(_) => State::Delayed,
        None => State::Enqueued,
    };
    let wake_at = delay.map(|delay| micros(after(now, delay)));
    let deadline_at = new.deadline.map(|deadline| micros(after(now, deadline)));
    let made = sqlx::query(INSERT)
        .bind(new.id.as_str())
        .bind(&new.name)
        .bind(state.as_str())
        .bind(None::<&str>)
        .bind(queue.map(|queue| &queue.name))
        .bind(queue.map_or("", |queue| &queue.key))
        .bind(queue_rank(wake_at.unwrap_or(micros(now)), queue))
        .bind(None::<i64>)
        .bind(false)
        .bind(new.origin.as_deref())
        .bind(0i64)
        .bind(micros(now))
        .bind(None::<i64>)
        .bind(deadline_at)
        .bind(wake_at)
        .bind(new.nonce.to_string())
        .execute(connection)
        .await?;
    Ok(made.last_insert_rowid())
}

async fn add_input(
    connection: &mut SqliteConnection,
    key: i64,
    new: &NewWorkflow,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let add = sqlx::query(record::ADD)
        .bind(key)
        .bind(Place::Input.encode())
        .bind(RecordKind::Input.as_str())
        .bind("")
        .bind(false)
        .bind(new.input.as_str())
        .bind(1i64)
        .bind(micros(now))
        .bind(micros(now));
    add.execute(connection).await.map(drop)
}

async fn add_queue(
    connection: &mut SqliteConnection,
    queue: &QueueUse,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let limits = &queue.limits;
    let add = sqlx::query(ADD_QUEUE)
        .bind(&queue.name)
        .bind(limits.concurrency)
        .bind(limits.executor_concurrency)
        .bind(limits.key_concurrency)
        .bind(limits.rate.map(|rate| rate.starts))
        .bind(limits.rate.map(|rate| rate.period_ms))
        .bind(limits.waiting_max)
        .bind(micros(now));
    add.execute(connection).await.map(drop)
}
