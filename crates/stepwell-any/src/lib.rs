//! Transactions in the user's own database, which is SQLite or Postgres as its URL says.
//!
//! [`AnyPool::connect`] opens the database; [`AnyTx`] is the transaction of a workflow in it, and
//! [`AnyTransaction`] one outside of workflows. All three run queries of [`sqlx::Any`], written
//! once: placeholders are `$1`, `$2`, … on both databases.
//!
//! ```
//! use stepwell::{AnyPool, AnyTx, transaction};
//!
//! #[derive(stepwell::State)]
//! struct Shop {
//!     #[provide]
//!     db: AnyPool,
//! }
//!
//! #[transaction]
//! async fn take(tx: &mut AnyTx, product: i64) -> stepwell::Result<bool> {
//!     let taken = sqlx::query(
//!         "update products set inventory = inventory - 1 where id = $1 and inventory > 0",
//!     )
//!     .bind(product)
//!     .execute(&mut *tx)
//!     .await?;
//!     Ok(taken.rows_affected() > 0)
//! }
//!
//! async fn inventory(shop: &Shop, product: i64) -> Result<i64, sqlx::Error> {
//!     sqlx::query_scalar("select inventory from products where id = $1")
//!         .bind(product)
//!         .fetch_one(&shop.db)
//!         .await
//! }
//! ```
//!
//! # What both databases know
//! Values are `bool`, integers of 16, 32 and 64 bits, `f32`, `f64`, text, bytes, and none of them.
//! That is what [`sqlx::Any`] has; what else a database has (times, UUIDs, JSON) goes to and fro as
//! text: `cast(at as text)`. In particular:
//! - SQLite knows no `bool`: an expression or a column of it is an integer there, and a column that
//!   is declared `boolean` cannot be read. Keep 0 and 1 in an `integer`, or write
//!   `case when … then 1 else 0 end`.
//! - A `real` is an `f32` in Postgres and an `f64` in SQLite; write `double precision`.
//! - Postgres adds integers up to a `numeric`: write `cast(sum(n) as bigint)`.
//! - `now` is another word in each; bind the time as a value.
//!
//! Where one statement must differ, match on the transaction: it is [`AnyTx::Sqlite`] or
//! [`AnyTx::Postgres`], with everything that they can do.
//!
//! # Layout
//! - `pool`: [`AnyPool`], from a URL
//! - `tx`: [`AnyTx`], a transaction of a workflow; `transaction`: [`AnyTransaction`], one of none
//! - `executor`: the three run queries; `native`: between sqlx's values and each database's

mod executor;
mod native;
mod pool;
mod transaction;
mod tx;

pub use pool::AnyPool;
pub use transaction::AnyTransaction;
pub use tx::{AnyHome, AnyTx};
