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
//! # Layout
//! - [`Kafka`]: what to consume, and how.
//! - `consume.rs`: fetch, accept, commit. `batch.rs`: what was fetched, and what it lets commit.

mod batch;
mod consume;
mod kafka;

pub use kafka::Kafka;
