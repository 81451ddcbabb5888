//! Kafka: changes of what is in stock.

use serde::{Deserialize, Serialize};
use stepwell::{
    Attempt, Call, Ctx, Failure, PostgresTx, Queue, events::Delivery, step, transaction, workflow,
};

use crate::{
    outside::{Outside, Service, patience},
    processor::Processor,
};

/// Changes of one product one after the other, so that none waits for another's lock on its row.
pub static INVENTORY: Queue = Queue::new("inventory").concurrency(64).key_concurrency(1);

/// Below this, somebody has to buy.
const LOW: i64 = 10;

/// A message of the topic `inventory-updates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryUpdate {
    /// The product.
    pub product_id: String,
    /// How many more there are, or fewer.
    pub quantity_change: i64,
}

/// How much there is of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The product.
    pub product_id: String,
    /// How many there are.
    pub quantity: i64,
}

/// The workflow of a message.
///
/// # Errors
/// If it does not have its form.
pub fn update(delivery: &Delivery) -> Result<Call<process_inventory_update>, serde_json::Error> {
    let update: InventoryUpdate = delivery.json()?;
    let product = update.product_id.clone();
    Ok(process_inventory_update(update)
        .queue(&INVENTORY)
        .queue_key(product))
}

/// Changes what is in stock, and says so where there is little left.
#[workflow]
pub async fn process_inventory_update(
    ctx: &mut Ctx<Processor>,
    update: InventoryUpdate,
) -> stepwell::Result<Stock> {
    let product_id = update.product_id;
    let quantity = ctx
        .run(update_inventory(&product_id, update.quantity_change))
        .await?;
    if quantity < LOW {
        ctx.run(send_inventory_alert(&product_id, quantity).retry(patience()))
            .await?;
    }
    Ok(Stock {
        product_id,
        quantity,
    })
}

/// Adds to what there is of a product, and answers how many there are.
#[transaction]
async fn update_inventory(
    tx: &mut PostgresTx,
    product_id: &str,
    quantity_change: i64,
) -> stepwell::Result<i64> {
    let quantity = sqlx::query_scalar(
        "update inventory
         set quantity = quantity + $2
         where product_id = $1
         returning quantity",
    )
    .bind(product_id)
    .bind(quantity_change)
    .fetch_optional(&mut *tx)
    .await?;
    quantity.ok_or_else(|| Failure::msg(format!("there is no product `{product_id}`")).permanent())
}

/// Says how many there are of a product, which may be a new one.
#[transaction]
pub async fn set_inventory(
    tx: &mut PostgresTx,
    product_id: &str,
    quantity: i64,
) -> stepwell::Result<()> {
    sqlx::query(
        "insert into inventory (product_id, quantity)
         values ($1, $2)
         on conflict (product_id) do update set quantity = excluded.quantity",
    )
    .bind(product_id)
    .bind(quantity)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Says that there is little left of a product.
#[step]
async fn send_inventory_alert(
    #[state] outside: &Outside,
    #[attempt] attempt: &Attempt,
    product_id: &str,
    quantity: i64,
) -> stepwell::Result<()> {
    let what = format!("only {quantity} of {product_id} are left");
    outside.ask(Service::Buyers, attempt, &what).await?;
    Ok(())
}
