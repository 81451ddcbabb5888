//! What the tables hold, as JSON.

use axum::{Json, extract::Path, http::StatusCode};
use serde_json::Value;
use stepwell::{PostgresTx, axum::HttpError};

use crate::names::is_name;

/// How many rows a list shows.
const ROWS_MAX: i64 = 100;

/// An account, as the projection has it.
pub(super) async fn account(
    tx: PostgresTx,
    Path(id): Path<String>,
) -> stepwell::Result<Json<Value>> {
    let found = "select to_jsonb(accounts) from accounts where account_id = $1";
    row(tx, "account", found, id).await
}

/// How much there is of a product.
pub(super) async fn product(
    tx: PostgresTx,
    Path(id): Path<String>,
) -> stepwell::Result<Json<Value>> {
    let found = "select to_jsonb(inventory) from inventory where product_id = $1";
    row(tx, "product", found, id).await
}

/// An order and its lines.
pub(super) async fn order(tx: PostgresTx, Path(id): Path<String>) -> stepwell::Result<Json<Value>> {
    let found = "select to_jsonb(orders) || jsonb_build_object('items', (
                     select coalesce(jsonb_agg(to_jsonb(item) - 'order_id'), '[]')
                     from order_items as item
                     where item.order_id = orders.order_id))
                 from orders
                 where order_id = $1";
    row(tx, "order", found, id).await
}

/// A payment.
pub(super) async fn payment(
    tx: PostgresTx,
    Path(id): Path<String>,
) -> stepwell::Result<Json<Value>> {
    let found = "select to_jsonb(payments) from payments where payment_id = $1";
    row(tx, "payment", found, id).await
}

/// The newest events.
pub(super) async fn event_log(tx: PostgresTx) -> stepwell::Result<Json<Vec<Value>>> {
    rows(
        tx,
        "select to_jsonb(event_log) from event_log order by entry desc limit $1",
    )
    .await
}

/// What services of others were asked for, newest first.
pub(super) async fn outside(tx: PostgresTx) -> stepwell::Result<Json<Vec<Value>>> {
    rows(
        tx,
        "select to_jsonb(outside) from outside order by reference desc limit $1",
    )
    .await
}

async fn row(
    mut tx: PostgresTx,
    what: &str,
    sql: &'static str,
    id: String,
) -> stepwell::Result<Json<Value>> {
    let found = match is_name(&id) {
        true => {
            let found = sqlx::query_scalar(sql).bind(&id);
            found.fetch_optional(&mut tx).await?
        }
        false => None,
    };
    let missing = HttpError::new(StatusCode::NOT_FOUND);
    Ok(Json(found.ok_or_else(|| {
        missing.message(format!("there is no {what} `{id}`"))
    })?))
}

async fn rows(mut tx: PostgresTx, sql: &'static str) -> stepwell::Result<Json<Vec<Value>>> {
    let found = sqlx::query_scalar(sql).bind(ROWS_MAX);
    Ok(Json(found.fetch_all(&mut tx).await?))
}
