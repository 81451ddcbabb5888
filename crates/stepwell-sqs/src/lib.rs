//! SQS messages as workflows: each once.
//!
//! A message's id is the workflow's id. A message is deleted after its workflow's start is durable, or,
//! if asked for, after its success ([`Sqs::delete_when_succeeded`]). What is not deleted comes again, and
//! finds its workflow.
//!
//! ```no_run
//! use stepwell::{App, Ctx, events::Sources, sqs::Sqs, workflow};
//!
//! #[workflow]
//! async fn handle_order(_ctx: &mut Ctx, order: serde_json::Value) -> stepwell::Result<()> {
//!     println!("{}", order["order_id"]);
//!     Ok(())
//! }
//!
//! # async fn run(client: aws_sdk_sqs::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::builder("orders").launch().await?;
//! // `client` is an `aws_sdk_sqs::Client`, with your credentials and region.
//! let orders = Sqs::new(client, "https://sqs.eu-central-1.amazonaws.com/123456789012/orders");
//! let sources = Sources::new(&app).add(orders, |event| event.json().map(handle_order))?;
//! let consumers = sources.start();
//! # Ok(())
//! # }
//! ```
//!
//! # Order
//! A FIFO queue keeps the messages of a group back until those before are deleted. Their group is
//! [`Delivery::key`](stepwell_events::Delivery::key): as the
//! [`queue_key`](stepwell_core::Call::queue_key) of a queue with a
//! [`key_concurrency`](stepwell_core::Queue::key_concurrency) of 1 it keeps their workflows in order, too.
//!
//! # Rights
//! `sqs:ReceiveMessage`, `sqs:DeleteMessage`; `sqs:ChangeMessageVisibility` to keep messages hidden while
//! their workflows run or a full queue has no room for them; `sqs:GetQueueAttributes` to know how many
//! messages there are, without which nothing else is missing.
//!
//! # Layout
//! - [`Sqs`]: what to consume, and how. `consume.rs`: receive, accept, delete. `in_work.rs`: how many
//!   messages there may be in work, and what keeps them hidden. `requests.rs`: requests to SQS.
//!   `message.rs`: what a message says. `lag.rs`: how many there are.

mod consume;
mod in_work;
mod lag;
mod message;
mod requests;
mod sqs;

pub use sqs::Sqs;
