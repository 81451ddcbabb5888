//! Rows of a table as workflows: each once.
//!
//! Whoever changes your data writes a row into the outbox in the same transaction: a program in another
//! language, a trigger, code that knows nothing of workflows. The row's `id` becomes the workflow's id,
//! and the row is marked when the start is durable. (Code that has an [`App`](stepwell_core::App) needs
//! none of this: [`start_in`](stepwell_core::App::start_in) starts a workflow in its transaction.)
//!
//! ```no_run
//! use stepwell::{App, Ctx, events::Sources, outbox::Outbox, workflow};
//!
//! #[workflow]
//! async fn ship(_ctx: &mut Ctx, order: serde_json::Value) -> stepwell::Result<()> {
//!     println!("{}", order["order_id"]);
//!     Ok(())
//! }
//!
//! # async fn run(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::builder("orders").launch().await?;
//! let outbox = Outbox::postgres(pool);
//! println!("{}", outbox.schema()); // for your migrations
//! let sources = Sources::new(&app).add(outbox, |event| event.json().map(ship))?;
//! let consumers = sources.start();
//! # Ok(())
//! # }
//! ```
//! ```sql
//! begin;
//! insert into orders …;
//! insert into outbox (kind, payload) values ('order.placed', '{"order_id": 7}');
//! commit;
//! ```
//!
//! The table may be in any database, also in one that keeps no workflows: a crash between the start and
//! the mark lets the row come again, and it finds its workflow.
//!
//! # Order
//! Rows are taken in the order of their ids, whichever transaction commits first: one that commits late
//! is taken late, and never missed. Several processes share a table in Postgres, and keep no order among
//! them. `key` is [`Delivery::key`](stepwell_events::Delivery::key), for the
//! [`queue_key`](stepwell_core::Call::queue_key) of a queue.
//!
//! # Layout
//! - [`Outbox`]: what to consume, and how. `consume.rs`: take, accept, mark. `postgres.rs`,
//!   `sqlite.rs`: the table in each.

mod consume;
mod outbox;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use outbox::Outbox;
