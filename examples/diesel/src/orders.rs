//! A workflow that sells, and the transaction in which it does.

use diesel::prelude::*;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use stepwell::{Ctx, transaction, workflow};

use crate::tx::{DieselTx, Pool};
use schema::orders;

#[allow(unreachable_pub, reason = "diesel writes it")]
mod schema {
    diesel::table! {
        orders (id) {
            id -> BigInt,
            item -> Text,
        }
    }
}

/// What the workflow works with.
#[derive(stepwell::State)]
#[allow(missing_debug_implementations, reason = "the pool of diesel has none")]
pub struct Shop {
    /// The shop's database.
    #[provide]
    pub db: Pool,
}

/// Makes the table of the orders.
///
/// # Errors
/// If the database cannot be reached or the table cannot be made.
pub async fn make_table(db: &Pool) -> stepwell::Result<()> {
    let mut connection = db.get().await?;
    let table = "create table if not exists orders (id bigserial primary key, item text not null)";
    connection.batch_execute(table).await?;
    Ok(())
}

/// Writes an order down and answers how many there are.
///
/// # Errors
/// As the database.
#[transaction]
pub async fn enter(tx: &mut DieselTx, item: &str) -> stepwell::Result<i64> {
    diesel::insert_into(orders::table)
        .values(orders::item.eq(item))
        .execute(&mut **tx)
        .await?;
    Ok(orders::table.count().get_result(&mut **tx).await?)
}

/// Sells one thing.
///
/// # Errors
/// As the database.
#[workflow]
pub async fn sell(ctx: &mut Ctx<Shop>, item: String) -> stepwell::Result<i64> {
    ctx.run(enter(&item)).await
}
