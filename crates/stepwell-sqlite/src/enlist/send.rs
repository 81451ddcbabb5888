//! A message on the user's connection.

use sqlx::SqliteConnection;
use stepwell_core::{
    State, WorkflowKey,
    store::{NewMessage, Sent, Store},
};

use crate::{
    SqliteStore,
    change::{
        park::WAKE,
        send::{INSERT, IS_KEY_USED, RECEIVER},
    },
    rows::micros,
};

/// Puts a message into an inbox, unless its key was used there.
pub(super) async fn send(
    connection: &mut SqliteConnection,
    store: &SqliteStore,
    message: &NewMessage,
) -> Result<Sent, sqlx::Error> {
    let receiver = sqlx::query_as(RECEIVER).bind(message.to.as_str());
    let receiver: Option<(i64, String)> = receiver.fetch_optional(&mut *connection).await?;
    let Some((key, state)) = receiver else {
        return Ok(Sent::NoSuchWorkflow);
    };
    let to = WorkflowKey(key);
    if let Some(state) = State::parse(&state).filter(|state| state.has_ended()) {
        let is_used = sqlx::query_scalar(IS_KEY_USED).bind(key);
        let is_used = is_used.bind(message.key.as_deref());
        return Ok(match is_used.fetch_one(&mut *connection).await? {
            true => Sent::Duplicate { to },
            false => Sent::Ended { state },
        });
    }
    let sent = sqlx::query(INSERT)
        .bind(key)
        .bind(&message.topic)
        .bind(message.key.as_deref())
        .bind(message.payload.as_str())
        .bind(micros(store.now()))
        .execute(&mut *connection)
        .await?;
    if sent.rows_affected() == 0 {
        return Ok(Sent::Duplicate { to });
    }
    sqlx::query(WAKE).bind(key).execute(connection).await?;
    Ok(Sent::New { to })
}
