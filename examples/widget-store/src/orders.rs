//! The transactions of the checkout, in the shop's own database, each applied exactly once.

use std::time::Duration;

use stepwell::{AnyTx, Timestamp, transaction};

use crate::{crash::CrashSwitch, shop::stored};

/// The only thing that the store sells.
pub(crate) const WIDGET_ID: i64 = 1;

/// Where an order is. The numbers are what the column `order_status` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[repr(i64)]
pub enum OrderStatus {
    /// Sold out, declined, or not paid in time.
    Cancelled = -1,
    /// Waits for its payment.
    Pending = 0,
    /// On its way to the customer.
    Dispatched = 1,
    /// Paid, and being shipped.
    Paid = 2,
}

/// Makes an order for a checkout and answers its number.
#[transaction]
pub async fn create_order(
    tx: &mut AnyTx,
    #[state] crash: &CrashSwitch,
    workflow_id: &str,
) -> stepwell::Result<i64> {
    let order_id = sqlx::query_scalar(
        "insert into orders (order_status, last_update_time, workflow_id)
         values ($1, $2, $3)
         returning order_id",
    )
    .bind(OrderStatus::Pending)
    .bind(stored(Timestamp::now()))
    .bind(workflow_id)
    .fetch_one(&mut *tx)
    .await?;
    applied(tx, crash, order_id, "create_order").await?;
    Ok(order_id)
}

/// Takes a widget from the stock for an order, which then has `time_to_pay`. False if there is none.
#[transaction]
pub async fn reserve_inventory(
    tx: &mut AnyTx,
    #[state] crash: &CrashSwitch,
    order_id: i64,
    time_to_pay: Duration,
) -> stepwell::Result<bool> {
    let taken = sqlx::query(
        "update products
         set inventory = inventory - 1
         where product_id = $1
           and inventory > 0",
    )
    .bind(WIDGET_ID)
    .execute(&mut *tx)
    .await?;
    let reserved = taken.rows_affected() > 0;
    if reserved {
        sqlx::query(
            "update orders
             set widgets = 1,
                 payment_id = workflow_id,
                 expires_at = $2
             where order_id = $1",
        )
        .bind(order_id)
        .bind(stored(Timestamp::now() + time_to_pay))
        .execute(&mut *tx)
        .await?;
    }
    applied(tx, crash, order_id, "reserve_inventory").await?;
    Ok(reserved)
}

/// Gives an order's widget back.
#[transaction]
pub async fn undo_reserve_inventory(
    tx: &mut AnyTx,
    #[state] crash: &CrashSwitch,
    order_id: i64,
) -> stepwell::Result<()> {
    sqlx::query("update products set inventory = inventory + 1 where product_id = $1")
        .bind(WIDGET_ID)
        .execute(&mut *tx)
        .await?;
    sqlx::query("update orders set widgets = widgets - 1 where order_id = $1")
        .bind(order_id)
        .execute(&mut *tx)
        .await?;
    applied(tx, crash, order_id, "undo_reserve_inventory").await
}

/// Moves an order on.
#[transaction]
pub async fn update_order_status(
    tx: &mut AnyTx,
    #[state] crash: &CrashSwitch,
    order_id: i64,
    status: OrderStatus,
) -> stepwell::Result<()> {
    sqlx::query(
        "update orders
         set order_status = $2,
             last_update_time = $3
         where order_id = $1",
    )
    .bind(order_id)
    .bind(status)
    .bind(stored(Timestamp::now()))
    .execute(&mut *tx)
    .await?;
    applied(tx, crash, order_id, &format!("status {status:?}")).await
}

/// Ships one part of an order; with the last one it is dispatched.
#[transaction]
pub async fn update_order_progress(
    tx: &mut AnyTx,
    #[state] crash: &CrashSwitch,
    order_id: i64,
    part: u32,
) -> stepwell::Result<()> {
    let remaining: i64 = sqlx::query_scalar(
        "update orders
         set progress_remaining = progress_remaining - 1,
             last_update_time = $2
         where order_id = $1
         returning progress_remaining",
    )
    .bind(order_id)
    .bind(stored(Timestamp::now()))
    .fetch_one(&mut *tx)
    .await?;
    if remaining == 0 {
        // The plain function: it runs here, in this transaction.
        update_order_status::plain(tx, crash, order_id, OrderStatus::Dispatched).await?;
    }
    applied(tx, crash, order_id, &format!("part {part}")).await
}

/// The end of every transaction: a row that tells that it was applied, in the transaction itself.
/// An armed crash strikes after it, with everything done and nothing committed.
async fn applied(
    tx: &mut AnyTx,
    crash: &CrashSwitch,
    order_id: i64,
    operation: &str,
) -> stepwell::Result<()> {
    sqlx::query(
        "insert into applied (workflow_id, operation)
         select workflow_id, $2
         from orders
         where order_id = $1",
    )
    .bind(order_id)
    .bind(operation)
    .execute(&mut *tx)
    .await?;
    crash.before_commit();
    Ok(())
}
