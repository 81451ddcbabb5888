//! One processor for events of several sources: it writes each into the log and does what its source and
//! kind ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use stepwell::{
    Attempt, Call, Ctx, Failure, PostgresTx, events::Delivery, step, transaction, workflow,
};

use crate::{
    inventory::set_inventory,
    orders::mark_order_paid,
    outside::{Outside, Service, patience},
    processor::Processor,
};

/// An event, as its source told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The source's id of it.
    pub id: String,
    /// `stripe`, `github`, `partner`, `kafka`.
    pub source: String,
    /// What happened, in the source's words.
    pub kind: Option<String>,
    /// The body.
    pub payload: Value,
    /// What the source says beside it: topic, partition and offset of a Kafka message.
    pub metadata: BTreeMap<String, String>,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processed {
    /// Its number in the log.
    pub entry: i64,
    /// What was done.
    pub status: Done,
}

/// What was done about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// An order was paid.
    OrderPaid(String),
    /// A build was begun.
    BuildBegun(String),
    /// A product was counted.
    InventorySet(String),
    /// Nothing: nobody here is concerned. The log has it all the same.
    Ignored,
}

/// The workflow of a delivery. One whose body is no JSON is poison: it is kept, with its bytes.
///
/// # Errors
/// If the body is no JSON.
pub fn process(delivery: &Delivery) -> Result<Call<process_event>, serde_json::Error> {
    let payload: Value = delivery.json()?;
    let said = payload["event_type"].as_str().map(str::to_owned);
    Ok(process_event(Incoming {
        id: delivery.id.clone(),
        source: delivery.source.clone(),
        kind: delivery.kind.clone().or(said),
        payload,
        metadata: delivery.attributes.iter().cloned().collect(),
    }))
}

/// Writes an event into the log, and does what it asks for.
#[workflow]
pub async fn process_event(
    ctx: &mut Ctx<Processor>,
    event: Incoming,
) -> stepwell::Result<Processed> {
    let entry = ctx.run(log_event(&event)).await?;
    let kind = event.kind.as_deref().unwrap_or_default();
    let status = match (event.source.as_str(), kind) {
        ("stripe", "payment_intent.succeeded") => {
            let paid: PaymentSucceeded = read(&event)?;
            let (payment, order) = (paid.data.object.id, paid.data.object.metadata.order_id);
            ctx.run(mark_order_paid(&order, &payment)).await?;
            Done::OrderPaid(order)
        }
        ("github", "push") => {
            let push: Push = read(&event)?;
            Done::BuildBegun(ctx.run(begin_build(&push).retry(patience())).await?)
        }
        ("kafka", "inventory.counted") => {
            let counted: Counted = read(&event)?;
            ctx.run(set_inventory(&counted.product_id, counted.quantity))
                .await?;
            Done::InventorySet(counted.product_id)
        }
        _ => Done::Ignored,
    };
    Ok(Processed { entry, status })
}

/// Writes an event into the log, and answers its number there.
#[transaction]
async fn log_event(tx: &mut PostgresTx, event: &Incoming) -> stepwell::Result<i64> {
    let entry = sqlx::query_scalar(
        "insert into event_log (event_id, source, kind, payload, metadata)
         values ($1, $2, $3, $4, $5)
         returning entry",
    )
    .bind(&event.id)
    .bind(&event.source)
    .bind(&event.kind)
    .bind(&event.payload)
    .bind(Json(&event.metadata))
    .fetch_one(&mut *tx)
    .await?;
    Ok(entry)
}

/// Has the build server build what was pushed, and answers the build's name.
#[step]
async fn begin_build(
    #[state] outside: &Outside,
    #[attempt] attempt: &Attempt,
    push: &Push,
) -> stepwell::Result<String> {
    let what = format!("{} at {}", push.repository.full_name, push.reference);
    Ok(outside.ask(Service::Builds, attempt, &what).await?)
}

/// The payload of an event that is to be acted upon. One that does not have its form fails for good: a
/// dead letter, to be tried again by whoever has mended this.
fn read<'de, T: Deserialize<'de>>(event: &'de Incoming) -> stepwell::Result<T> {
    T::deserialize(&event.payload).map_err(|error| {
        let kind = event.kind.as_deref().unwrap_or_default();
        let what = format!("this {kind} of {} does not have its form", event.source);
        Failure::from(error).context(what).permanent()
    })
}

/// [The event of Stripe](https://docs.stripe.com/api/events/types#event_types-payment_intent.succeeded),
/// as far as it is needed.
#[derive(Debug, Deserialize)]
struct PaymentSucceeded {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    object: PaymentIntent,
}

#[derive(Debug, Deserialize)]
struct PaymentIntent {
    id: String,
    metadata: OrderOf,
}

#[derive(Debug, Deserialize)]
struct OrderOf {
    order_id: String,
}

/// [The event of GitHub](https://docs.github.com/webhooks/webhook-events-and-payloads#push), as far as it
/// is needed.
#[derive(Debug, Clone, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    repository: Repository,
}

#[derive(Debug, Clone, Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct Counted {
    product_id: String,
    quantity: i64,
}
