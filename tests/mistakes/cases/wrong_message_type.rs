//! A message and an event of other types than were declared.

use serde::{Deserialize, Serialize};
use stepwell::{App, Ctx, Event, Topic};

#[derive(Serialize, Deserialize)]
enum Payment {
    Paid,
    Failed,
}

const PAYMENT: Topic<Payment> = Topic::new("payment");
const ORDER: Event<String> = Event::new("order");

async fn send(app: App) {
    let _sent = app.send("order-1", PAYMENT, "paid").await;
}

async fn publish(ctx: &mut Ctx) {
    ctx.set_event(ORDER, 7).await;
}

fn main() {}
