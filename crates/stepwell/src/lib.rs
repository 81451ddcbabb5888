//! Durable execution: ordinary async functions that survive crashes, deploys and dead machines.
//!
//! A workflow is an async function. Every durable operation in it is recorded under its position
//! before the next effect on the world. Recovery runs the function again and answers each recorded
//! operation from the database, so the code goes on where it stopped. It is a library inside your
//! process; there is no server to run.
//!
//! ```standalone_crate
//! use std::time::Duration;
//!
//! use stepwell::{App, Ctx, step, workflow};
//!
//! #[step]
//! async fn brew(cup: u32) -> stepwell::Result<String> {
//!     Ok(format!("cup {cup}"))
//! }
//!
//! #[workflow]
//! async fn breakfast(ctx: &mut Ctx, cups: u32) -> stepwell::Result<Vec<String>> {
//!     let mut served = Vec::new();
//!     for cup in 1..=cups {
//!         served.push(ctx.run(brew(cup)).await?);
//!         ctx.sleep(Duration::from_millis(10)).await;
//!     }
//!     Ok(served)
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `sqlite:breakfast.db` unless said otherwise; here one that is gone afterwards.
//! let app = App::builder("breakfast").database("sqlite::memory:").launch().await?;
//! let served = app.run(breakfast(2).id("monday")).await?;
//! assert_eq!(served, ["cup 1", "cup 2"]);
//! // The same id runs nothing twice: the result is there.
//! assert_eq!(app.run(breakfast(2).id("monday")).await?, served);
//! # Ok(())
//! # }
//! ```
//!
//! # What to read first
//! - [`Ctx`]: what a workflow can do: run steps and transactions, wait, receive, race, start
//!   children.
//! - [`App`]: start workflows, send to them, read their events; [`Call`] for ids, queues, deadlines.
//! - [`SqliteTx`] and [`Tx`]: transactions in your own database, exactly once.
//! - [`App::start_in`]: starts that commit together with your own rows.
//! - [`testing`]: typed mocks, skipped time, crashes.
//! - [`Client`]: workflows by id, without types: list, cancel, resume, fork.
//!
//! # Features
//! - `macros` (default): `#[workflow]`, `#[step]`, `#[transaction]`, `#[derive(State)]`, [`select!`].
//! - `sqlite` (default): workflows kept in SQLite, transactions in SQLite through sqlx.
//! - `postgres`: workflows kept in Postgres by any number of processes (`database("postgres://…")`),
//!   transactions in Postgres through sqlx.
//! - `any`: both, and `AnyTx`, a transaction in the one or the other as a URL says.
//! - `axum`: workflows as routes, idempotency keys, live progress, ordered shutdown.
//! - `events`: events from outside as workflows, each once; poison is kept. A source of your own.
//! - `kafka`: messages of Kafka topics as workflows, each once. `kafka-vendored` brings its own OpenSSL.
//! - `otel`: metrics: OpenTelemetry instruments, and an endpoint for Prometheus.
//! - `outbox`: rows of a table in your own database as workflows, each once.
//! - `sqs`: messages of SQS queues as workflows, each once.
//! - `webhooks`: signed webhooks of Stripe, GitHub, Slack and others as workflows, each event once.

#[cfg(feature = "any")]
pub use stepwell_any::{AnyPool, AnyTransaction, AnyTx};
#[cfg(feature = "axum")]
pub use stepwell_axum as axum;
#[doc(hidden)]
pub use stepwell_core::__private;
pub use stepwell_core::*;
#[cfg(feature = "events")]
pub use stepwell_events as events;
#[cfg(feature = "kafka")]
pub use stepwell_kafka as kafka;
#[cfg(feature = "macros")]
pub use stepwell_macros::{State, select, step, transaction, workflow};
#[cfg(feature = "otel")]
pub use stepwell_otel as otel;
#[cfg(feature = "outbox")]
pub use stepwell_outbox as outbox;
#[cfg(feature = "postgres")]
pub use stepwell_postgres::PostgresTx;
#[cfg(feature = "sqlite")]
pub use stepwell_sqlite::SqliteTx;
#[cfg(feature = "sqs")]
pub use stepwell_sqs as sqs;
#[cfg(feature = "webhooks")]
pub use stepwell_webhooks as webhooks;

// The README's programs are compiled as this crate's examples are.
#[cfg(all(doctest, feature = "macros", feature = "sqlite"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
