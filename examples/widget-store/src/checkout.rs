//! The checkout, from the click to the parcel. Kill the process anywhere in here: the next one
//! goes on from the line where this one stopped.

use serde::{Deserialize, Serialize};
use stepwell::{Ctx, Event, Topic, workflow};

use crate::{
    orders::{
        OrderStatus, create_order, reserve_inventory, undo_reserve_inventory,
        update_order_progress, update_order_status,
    },
    shop::Shop,
};

/// What the payment provider tells the checkout.
pub const PAYMENT: Topic<PaymentStatus> = Topic::new("payment_status");
/// What the checkout tells the shop: where to pay, or nothing if the widgets are sold out.
pub const PAYMENT_ID: Event<Option<String>> = Event::new("payment_id");
/// What the checkout tells the payment page: the order it was about.
pub const ORDER_ID: Event<String> = Event::new("order_id");

/// How a payment went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// The customer has paid.
    Paid,
    /// The customer or the bank has declined.
    Failed,
}

/// Sells one widget: reserves it, waits for the payment, and sends it on its way.
#[workflow]
pub async fn checkout(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    let payment_id = ctx.id().to_owned();
    let time_to_pay = ctx.state().payment_timeout;

    let order_id = ctx.run(create_order(&payment_id)).await?;
    if !ctx.run(reserve_inventory(order_id, time_to_pay)).await? {
        ctx.run(update_order_status(order_id, OrderStatus::Cancelled))
            .await?;
        ctx.set_event(PAYMENT_ID, None).await;
        return Ok(());
    }

    // The customer goes to the payment page. This may take minutes, or several processes.
    ctx.set_event(PAYMENT_ID, Some(payment_id)).await;
    let payment = ctx.recv(PAYMENT).timeout(time_to_pay).await;

    if payment == Some(PaymentStatus::Paid) {
        ctx.run(update_order_status(order_id, OrderStatus::Paid))
            .await?;
        ctx.start(dispatch_order(order_id)).await;
    } else {
        ctx.run(undo_reserve_inventory(order_id)).await?;
        ctx.run(update_order_status(order_id, OrderStatus::Cancelled))
            .await?;
    }

    ctx.set_event(ORDER_ID, order_id.to_string()).await;
    Ok(())
}

/// Ships an order in ten parts, one a second.
#[workflow]
pub async fn dispatch_order(ctx: &mut Ctx<Shop>, order_id: i64) -> stepwell::Result<()> {
    let pause = ctx.state().dispatch_pause;
    for part in 1..=10 {
        ctx.sleep(pause).await;
        ctx.run(update_order_progress(order_id, part)).await?;
    }
    Ok(())
}
