//! Events from outside as workflows: each once.
//!
//! The event's id is the workflow's id, and the source is acknowledged after the workflow's start is
//! durable. An event that comes again finds the workflow that is there. An event that no workflow
//! can be made of becomes a workflow too, `stepwell.poison`, which fails with the reason and keeps
//! the bytes: nothing is dropped, and the source goes on.
//!
//! ```
//! use stepwell::{App, Ctx, events::{Connected, Delivery, Intake, Source, Sources}, workflow};
//!
//! #[workflow]
//! async fn process_event(_ctx: &mut Ctx, event: serde_json::Value) -> stepwell::Result<()> {
//!     println!("{}", event["type"]);
//!     Ok(())
//! }
//!
//! /// A source of one event. Real ones: `stepwell::webhooks`, `stepwell::kafka`, `stepwell::sqs`.
//! struct Once;
//!
//! impl<W: stepwell::Workflow> Source<W> for Once {
//!     fn name(&self) -> &str {
//!         "once"
//!     }
//!
//!     fn connect(self, intake: Intake<W>) -> Result<Connected, stepwell::Error> {
//!         Ok(Connected::Consumer(Box::pin(async move {
//!             let event = Delivery::new("once", "1", r#"{"type":"order_placed"}"#);
//!             if intake.accept_all(&[event]).await.is_ok() {
//!                 // It is on disk: now it may be acknowledged.
//!             }
//!         })))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::builder("events").database("sqlite::memory:").launch().await?;
//! let sources = Sources::new(&app).add(Once, |event| event.json().map(process_event))?;
//! let consumers = sources.start();
//! # consumers.ended().await;
//! app.handle::<process_event>("once~event-1").result().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//! - [`Source`], [`Connected`]: what a kind of source implements. [`Sources`], [`Consumers`]: those of
//!   an application.
//! - [`Delivery`]: what comes from them. [`event_id`]: the workflow's id.
//! - [`Intake`], [`Taken`]: the one durable write. [`Poison`]: what no workflow can be made of.

mod delivery;
mod event_id;
mod intake;
mod poisoned;
mod source;
mod sources;

pub use delivery::{Delivery, Repeats};
pub use event_id::{EventId, event_id};
pub use intake::{Intake, Stopping, Taken};
pub use poisoned::{Body, Poison, Poisoned, poison};
pub use source::{BATCH_BYTES, Connected, Source};
pub use sources::{Consumers, Sources};
