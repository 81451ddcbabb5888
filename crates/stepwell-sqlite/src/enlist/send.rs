//! A message on the user's connection.

use sqlx::SqliteConnection;
use stepwell_core::{
    WorkflowKey,
    store::{NewMessage, Sent, Store},
};

use crate::{
    SqliteStore,
    change::send::{INSERT, KEY_OF_ID},
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
        .execute(connection)
        .await?;
    let to = WorkflowKey(key);
    Ok(match sent.rows_affected() {
        1 => Sent::New { to },
        _ => Sent::Duplicate { to },
    })
}
