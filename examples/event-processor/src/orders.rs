//! SQS: orders.

use serde::{Deserialize, Serialize};
use stepwell::{
    Attempt, Call, Ctx, Failure, PostgresTx,
    events::{Delivery, event_id},
    step, transaction, workflow,
};

use crate::{
    outside::{Outside, Service, patience},
    processor::Processor,
};

/// A message of the queue `orders`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order.
    pub order_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// What is to be sent.
    pub items: Vec<Item>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The product.
    pub product_id: String,
    /// How many of it.
    pub quantity: u32,
}

/// The workflow of a message. The order's id tells it from others, not the message's: a shop that is
/// cut off before it knows that it has sent an order sends it again, as another message.
///
/// # Errors
/// If it does not have its form.
pub fn order(delivery: &Delivery) -> Result<Call<handle_order>, serde_json::Error> {
    let order: Order = delivery.json()?;
    let id = event_id("orders", &[&order.order_id]);
    Ok(handle_order(order).id(id))
}

/// Takes an order, and tells the customer.
#[workflow]
pub async fn handle_order(ctx: &mut Ctx<Processor>, order: Order) -> stepwell::Result<()> {
    ctx.run(insert_order(&order)).await?;
    ctx.run(notify_customer(&order).retry(patience())).await
}

#[transaction]
async fn insert_order(tx: &mut PostgresTx, order: &Order) -> stepwell::Result<()> {
    sqlx::query("insert into orders (order_id, customer_id) values ($1, $2)")
        .bind(&order.order_id)
        .bind(&order.customer_id)
        .execute(&mut *tx)
        .await?;
    for item in &order.items {
        sqlx::query("insert into order_items (order_id, product_id, quantity) values ($1, $2, $3)")
            .bind(&order.order_id)
            .bind(&item.product_id)
            .bind(i64::from(item.quantity))
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

#[step]
async fn notify_customer(
    #[state] outside: &Outside,
    #[attempt] attempt: &Attempt,
    order: &Order,
) -> stepwell::Result<()> {
    let Order {
        order_id,
        customer_id,
        ..
    } = order;
    let what = format!("to {customer_id}: your order {order_id} has been received");
    outside.ask(Service::Mail, attempt, &what).await?;
    Ok(())
}

/// Marks an order as paid.
#[transaction]
pub async fn mark_order_paid(
    tx: &mut PostgresTx,
    order_id: &str,
    payment_id: &str,
) -> stepwell::Result<()> {
    let paid = sqlx::query(
        "update orders
         set status = 'paid',
             payment_id = $2
         where order_id = $1",
    )
    .bind(order_id)
    .bind(payment_id)
    .execute(&mut *tx)
    .await?;
    match paid.rows_affected() {
        // It may come yet: then this is tried again, with the events that are dead letters.
        0 => Err(Failure::msg(format!("there is no order `{order_id}`")).permanent()),
        _ => Ok(()),
    }
}
