//! Kafka messages as workflows: each once.
//!
//! A message's topic, partition and offset are the workflow's id. Offsets are committed after the
//! starts of the whole batch are durable: a crash, a rebalance or a lost commit in between only makes
//! messages come again, which find their workflows.
//!
//! ```no_run
//! use stepwell::{App, Ctx, events::Sources, kafka::Kafka, workflow};
//!
//! #[workflow]
//! async fn process_event(_ctx: &mut Ctx, event: serde_json::Value) -> stepwell::Result<()> {
//!     println!("{}", event["type"]);
//!     Ok(())
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::builder("events").launch().await?;
//! let kafka = Kafka::new("localhost:9092").group("event-processor").topic("events");
//! let sources = Sources::new(&app).add(kafka, |event| event.json().map(process_event))?;
//! let consumers = sources.start();
//! tokio::signal::ctrl_c().await?;
//! app.shutdown().await;
//! consumers.ended().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Order
//! Messages of a partition are started in their order. Run at once, they may overtake each other; in a
//! queue with [`key_concurrency`](stepwell_core::Queue::key_concurrency) of 1 and the partition
//! (`event.attribute("partition")`) or the message's key as the
//! [`queue_key`](stepwell_core::Call::queue_key) they run one after the other.
//!
//! # Back-pressure
//! When the queue is as full as [`waiting_max`](stepwell_core::Queue::waiting_max) says, or the
//! database is away, the consumer pauses its partitions, stays in its group, and goes on when there is
//! room.
//!
//! # Encryption
//! Brokers elsewhere want `security.protocol` and, with a password, `sasl.mechanism`; the defaults of
//! librdkafka speak in clear text to whatever answers:
//!
//! ```no_run
//! # use stepwell::kafka::Kafka;
//! # fn secret(name: &str) -> String { std::env::var(name).unwrap() }
//! let kafka = Kafka::new("broker.example:9093")
//!     .group("event-processor")
//!     .topic("events")
//!     .set("security.protocol", "sasl_ssl")
//!     .set("sasl.mechanism", "SCRAM-SHA-512")
//!     .set("sasl.username", "shop")
//!     .set("sasl.password", secret("KAFKA_PASSWORD"));
//! ```
//!
//! # Features
//! - `ssl` (default): encrypted connections by the system's OpenSSL (Debian: `libssl-dev`). Without it
//!   librdkafka refuses `ssl`, `sasl_ssl` and SCRAM.
//! - `ssl-vendored`: the same by an OpenSSL that is built from its source and linked in.
//!
//! # Layout
//! - [`Kafka`]: what to consume, and how.
//! - `consume.rs`: fetch, accept, commit. `batch.rs`: what was fetched, and what it lets commit.

mod batch;
mod consume;
mod kafka;

pub use kafka::Kafka;
