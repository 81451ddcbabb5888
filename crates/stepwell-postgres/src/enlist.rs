//! Starts and sends in a transaction of the user's own.
//!
//! The work is done by two functions of the schema (see the end of `0001.sql`): one round trip on
//! the user's connection, and nothing of it is there until the user commits.

mod trouble;

use sqlx::{AssertSqlSafe, PgConnection, PgExecutor, Postgres, Row, Transaction, postgres::PgRow};
use stepwell_core::{
    BoxFuture, Enlist, Error, Payload, State, WorkflowKey,
    store::{
        Applied, Change, Launch, NewMessage, NewWorkflow, PRIORITY_STEP, QueueUse, Sent, Started,
        Store,
    },
    store_as,
};

use crate::{
    PostgresStore, PostgresTx, PostgresTxConnection,
    connection::Connection,
    error::{Failure, corrupt},
    params::params,
    queues::columns,
    rows::{get, micros},
};

const START: &str = "
    select outcome, found_key, found_name, found_state, found_input
    from {schema}.start_workflow($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

const SEND: &str = "
    select outcome, found_key
    from {schema}.send_message($1, $2, $3, $4, $5)";

const IDENTITY: &str = "select identity from {schema}.identity";

/// Asks which schema this is.
pub(crate) async fn ask_identity(db: &Connection) -> Result<String, Failure> {
    let row = db.query_opt(IDENTITY, params![]).await?;
    let row = row.ok_or_else(|| corrupt("identity of the schema", "nothing"))?;
    get(&row, 0)
}

/// On a bare connection without a transaction, a change is its own.
impl Enlist<PostgresStore> for PgConnection {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(apply(self, store, change))
    }
}

impl Enlist<PostgresStore> for Transaction<'_, Postgres> {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(apply(&mut **self, store, change))
    }
}

impl Enlist<PostgresStore> for PostgresTxConnection<'_> {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        // Not on the connection below it: this one notices conflicts.
        Box::pin(apply(self, store, change))
    }
}

impl Enlist<PostgresStore> for PostgresTx {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        (**self).apply(store, change)
    }
}

async fn apply<'c>(
    connection: impl PgExecutor<'c>,
    store: &dyn Store,
    change: &Change,
) -> Result<Applied, Error> {
    let store = store_as::<PostgresStore>(store)?;
    match change {
        Change::Start(new) => start(connection, store, new).await.map(Applied::Start),
        Change::Send(message) => send(connection, store, message).await.map(Applied::Send),
        _ => Err(trouble::not_enlisted()),
    }
}

async fn start<'c>(
    connection: impl PgExecutor<'c>,
    store: &PostgresStore,
    new: &NewWorkflow,
) -> Result<Started, Error> {
    let what = format!("start `{}` as `{}` in the transaction", new.name, new.id);
    let identity = store.identity(&what).await?;
    let queue = match &new.launch {
        Launch::Queue(queue) => Some(queue),
        Launch::Here | Launch::Anywhere => None,
    };
    let (names, values): (Vec<&str>, Vec<&str>) = (new.attributes.iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .unzip();
    let delay = new.delay.filter(|delay| !delay.is_zero());
    let asked = sqlx::query(AssertSqlSafe(store.server.text(START)))
        .bind(identity)
        .bind(new.id.as_str())
        .bind(new.nonce.to_string())
        .bind(new.name.as_str())
        .bind(new.input.as_str())
        .bind(queue.map_or("", |queue| &queue.name))
        .bind(queue.map_or("", |queue| &queue.key))
        .bind(queue.map_or([None; 6], |queue| columns(&queue.limits)))
        .bind(advance_us(queue))
        .bind(delay.map(micros))
        .bind(new.deadline.map(micros))
        .bind(new.origin.as_deref())
        .bind(names)
        .bind(values)
        .fetch_one(connection);
    let row = (asked.await).map_err(|error| trouble::of(&what, store, error))?;
    let outcome = text(&row, 0).map_err(|error| trouble::unreadable(&what, error))?;
    match outcome {
        "elsewhere" => Err(trouble::elsewhere(&what, store)),
        "moved" => Err(trouble::moved(&what)),
        "bounded" => Err(trouble::bounded(&what, queue).into()),
        outcome => started(&row, outcome, new).map_err(|error| trouble::unreadable(&what, error)),
    }
}

/// What each point of priority is worth.
fn advance_us(queue: Option<&QueueUse>) -> i64 {
    let priority = queue.map_or(0, |queue| i64::from(queue.priority));
    priority.saturating_mul(micros(PRIORITY_STEP))
}

/// Reads what was made or found.
fn started(row: &PgRow, outcome: &str, new: &NewWorkflow) -> Result<Started, sqlx::Error> {
    let key = WorkflowKey(row.try_get(1)?);
    if outcome == "new" {
        return Ok(Started::New {
            key,
            replaced: None,
        });
    }
    let name: String = row.try_get(2)?;
    let input = Payload::from_stored(row.try_get(4)?);
    if name != new.name || !input.same_value(&new.input) {
        return Ok(Started::Conflict { name });
    }
    let state = text(row, 3)?;
    let state = State::of_stored(state);
    Ok(Started::Existing {
        key,
        state,
        mine: false,
        nonce: None,
    })
}

async fn send<'c>(
    connection: impl PgExecutor<'c>,
    store: &PostgresStore,
    message: &NewMessage,
) -> Result<Sent, Error> {
    let what = format!("send to `{}` in the transaction", message.to);
    let identity = store.identity(&what).await?;
    let asked = sqlx::query(AssertSqlSafe(store.server.text(SEND)))
        .bind(identity)
        .bind(message.to.as_str())
        .bind(message.topic.as_str())
        .bind(message.key.as_deref())
        .bind(message.payload.as_str())
        .fetch_one(connection);
    let row = (asked.await).map_err(|error| trouble::of(&what, store, error))?;
    let sent = read_sent(&row).map_err(|error| trouble::unreadable(&what, error))?;
    sent.ok_or_else(|| trouble::elsewhere(&what, store))
}

/// Reads what a send came to; none if it was another schema.
fn read_sent(row: &PgRow) -> Result<Option<Sent>, sqlx::Error> {
    let key = || row.try_get(1).map(WorkflowKey);
    Ok(Some(match text(row, 0)? {
        "new" => Sent::New { to: key()? },
        "duplicate" => Sent::Duplicate { to: key()? },
        "missing" => Sent::NoSuchWorkflow,
        "elsewhere" => return Ok(None),
        other => match State::parse(other).filter(|state| state.has_ended()) {
            Some(state) => Sent::Ended { state },
            None => return Err(decode(format!("`{other}` is no outcome of a send"))),
        },
    }))
}

fn text(row: &PgRow, column: usize) -> Result<&str, sqlx::Error> {
    row.try_get(column)
}

fn decode(message: String) -> sqlx::Error {
    sqlx::Error::Decode(message.into())
}
