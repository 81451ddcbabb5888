//! A message on the user's connection.

use sqlx::SqliteConnection;
use stepwell_core::{
    WorkflowKey,
    store::{NewMessage, Sent, Store},
};

use crate::{
    SqliteStore,
    change::{
        park::WAKE,
        send::{INSERT, KEY_OF_ID},
    },
    rows::micros,
};

/// Puts a message into an inbox, unless its key was used there.
pub(super) async fn send(
    connection: &mut SqliteConnection,
    store: &SqliteStore,
    message: &NewMessage,
) -> Result<Sent, sqlx::Error> {
    let receiver = sqlx::query_scalar(KEY_OF_ID).bind(message.to.as_str());
    let Some(key) = receiver.fetch_optional(&mut *connection).await? else {
        return Ok(Sent::NoSuchWorkflow);
    };
    let key: i64 = key;
    let sent = sqlx::query(INSERT)
        .bind(key)
        .bind(&message.topic)
        .bind(message.key.as_deref())
        .bind(message.payload.as_str())
        .bind(micros(store.now()))
        .execute(&mut *connection)
        .await?;
    let to = WorkflowKey(key);
    if sent.rows_affected() == 0 {
        return Ok(Sent::Duplicate { to });
    }
    sqlx::query(WAKE).bind(key).execute(connection).await?;
    Ok(Sent::New { to })
}
