//! The table in SQLite, perhaps in the very file that keeps the workflows: no transaction is open while
//! a batch is accepted, or both would wait for each other. Two processes may take the same rows; the
//! second finds their workflows.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row, SqlitePool, sqlite::SqliteRow};
use stepwell_core::Workflow;
use stepwell_events::{BATCH_BYTES, Delivery, Intake};

use crate::{
    consume::{Looked, accept},
    outbox::{After, Outbox},
};

pub(crate) fn schema(table: &str) -> String {
    format!(
        "create table {table} (
    id integer primary key autoincrement,
    kind text,
    key text,
    payload text not null,
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ')),
    accepted_at text
);
create index {table}_waiting on {table} (id) where accepted_at is null;
"
    )
}

/// Takes a batch, accepts it, and marks it then: a crash in between lets it come again.
pub(crate) async fn look<W: Workflow>(
    outbox: &Outbox,
    pool: &SqlitePool,
    intake: &Intake<W>,
) -> Result<Looked, sqlx::Error> {
    let table = &outbox.table;
    let columns = ["kind", "key", "payload", "created_at"].map(as_text_or_blob);
    let next = format!(
        "select id, cast(id as text) as name, {}
         from {table} where accepted_at is null order by id limit $1",
        columns.join(", ")
    );
    let (mut ids, mut deliveries, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut rows = sqlx::query(AssertSqlSafe(next))
        .bind(i64::from(outbox.batch))
        .fetch(pool);
    while bytes < BATCH_BYTES
        && let Some(row) = rows.try_next().await?
    {
        let delivery = delivery(outbox, &row);
        ids.push(row.try_get("id")?);
        bytes += delivery.body.len();
        deliveries.push(delivery);
    }
    drop(rows);
    if deliveries.is_empty() {
        return Ok(Looked::All);
    }
    if let Err(looked) = accept(intake, &deliveries).await {
        return Ok(looked);
    }
    done(outbox, pool, &ids).await?;
    Ok(Looked::after(&deliveries, outbox))
}

/// A column as text, or as the blob that it holds. SQLite keeps values of any type in a column, and where
/// the table was made with `payload json` the payload `42` is a number.
fn as_text_or_blob(column: &str) -> String {
    format!(
        "case typeof({column}) when 'blob' then {column} else cast({column} as text) end as {column}"
    )
}

async fn done(outbox: &Outbox, pool: &SqlitePool, ids: &[i64]) -> Result<(), sqlx::Error> {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    let table = &outbox.table;
    let these = "id in (select value from json_each($1))";
    let sql = match outbox.after {
        After::Marked => {
            format!("update {table} set accepted_at = strftime('%Y-%m-%dT%H:%M:%fZ') where {these}")
        }
        After::Deleted => format!("delete from {table} where {these}"),
    };
    sqlx::query(AssertSqlSafe(sql))
        .bind(format!("[{}]", ids.join(",")))
        .execute(pool)
        .await?;
    Ok(())
}

/// A row as it is handed over. No row keeps others from it, whatever it holds: a payload that is none is
/// one that no workflow can be made of.
fn delivery(outbox: &Outbox, row: &SqliteRow) -> Delivery {
    let text = |column| Some(String::from_utf8_lossy(&bytes(row, column)?).into_owned());
    Delivery {
        kind: text("kind"),
        key: text("key"),
        at: text("created_at").and_then(|text| text.parse::<Timestamp>().ok()),
        ..Delivery::new(
            &*outbox.source,
            text("name").unwrap_or_default(),
            bytes(row, "payload").unwrap_or_default(),
        )
    }
}

/// The bytes of a column: text need not be UTF-8, and `jsonb` and serialised values are blobs.
fn bytes(row: &SqliteRow, column: &str) -> Option<Vec<u8>> {
    let text = row.try_get::<Option<String>, _>(column);
    let bytes = text.map(|text| text.map(String::into_bytes));
    bytes
        .or_else(|_| row.try_get::<Option<Vec<u8>>, _>(column))
        .ok()
        .flatten()
}
