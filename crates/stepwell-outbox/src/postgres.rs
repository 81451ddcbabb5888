//! The table in Postgres. A batch is taken and accepted in one transaction of the table's database,
//! which locks its rows: other processes take others.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgPool, Row, postgres::PgListener, postgres::PgRow};
use stepwell_core::Workflow;
use stepwell_events::{BATCH_BYTES, Delivery, Intake};
use tracing::warn;

use crate::{
    consume::{Bell, Looked, accept},
    outbox::{After, Outbox},
};

/// What a trigger notifies of every table.
const CHANNEL: &str = "stepwell_outbox";

pub(crate) fn schema(table: &str) -> String {
    let name = table.replace('.', "_");
    format!(
        "create table {table} (
    id bigint generated always as identity primary key,
    kind text,
    key text,
    payload text not null,
    created_at timestamptz not null default now(),
    accepted_at timestamptz
);
create index {name}_waiting on {table} (id) where accepted_at is null;
create function {table}_notify() returns trigger language plpgsql as $$
begin
    perform pg_notify('{CHANNEL}', '{table}');
    return null;
end
$$;
create trigger {name}_notify after insert on {table}
    for each statement execute function {table}_notify();
"
    )
}

/// Hears of new rows. Without a trigger, or behind a pooler, the poll finds them.
pub(crate) async fn listen(outbox: &Outbox, pool: &PgPool) -> Bell {
    let listening = async {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    match listening.await {
        Ok(listener) => Bell::Postgres(Box::new(listener)),
        Err(error) => {
            let every = outbox.poll;
            warn!(
                source = outbox.source,
                error = error.to_string(),
                ?every,
                "cannot listen; the outbox is looked at"
            );
            Bell::Silent
        }
    }
}

/// Takes a batch and accepts it. The rows are marked before they are accepted, and that is committed
/// after it: a crash in between marks nothing, and they come again.
pub(crate) async fn look<W: Workflow>(
    outbox: &Outbox,
    pool: &PgPool,
    intake: &Intake<W>,
) -> Result<Looked, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let rows = sqlx::query(AssertSqlSafe(take(outbox)))
        .bind(i64::from(outbox.batch))
        .bind(i64::try_from(BATCH_BYTES).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await?;
    if rows.is_empty() {
        return Ok(Looked::All);
    }
    let deliveries = rows.iter().map(|row| delivery(outbox, row));
    let deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    if let Err(looked) = accept(intake, &deliveries).await {
        return Ok(looked);
    }
    tx.commit().await?;
    Ok(Looked::after(&deliveries, outbox))
}

/// Takes rows until their payloads have `$2` bytes, and locks `$1` at most.
fn take(outbox: &Outbox) -> String {
    let table = &outbox.table;
    let these = "id = any(array(select id from summed where bytes_before < $2))";
    let taken = match outbox.after {
        After::Marked => {
            format!("update {table} set accepted_at = now() where {these} returning *")
        }
        After::Deleted => format!("delete from {table} where {these} returning *"),
    };
    format!(
        "with next as (
             select id, coalesce(octet_length(payload::text), 0) as bytes from {table}
             where accepted_at is null order by id limit $1 for update skip locked),
         summed as (select id, sum(bytes) over (order by id) - bytes as bytes_before from next),
         taken as ({taken})
         select id::text, kind, key, payload::text,
             (extract(epoch from case when isfinite(created_at) then created_at end)
                 * 1000000)::bigint as created_at
         from taken
         order by taken.id"
    )
}

fn delivery(outbox: &Outbox, row: &PgRow) -> Result<Delivery, sqlx::Error> {
    // No payload is one that no workflow can be made of, and no reason to stand still.
    let payload: Option<String> = row.try_get("payload")?;
    let created_at: Option<i64> = row.try_get("created_at")?;
    Ok(Delivery {
        kind: row.try_get("kind")?,
        key: row.try_get("key")?,
        at: created_at.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        ..Delivery::new(
            &*outbox.source,
            row.try_get::<String, _>("id")?,
            payload.unwrap_or_default(),
        )
    })
}
