//! Signed webhooks as workflows: each event once.
//!
//! The event's id is the workflow's id, and the provider is answered after the workflow's start is
//! durable. A delivery that comes again finds the workflow that is there.
//!
//! ```
//! use stepwell::{App, Ctx, webhooks::{Delivery, Stripe, webhook}, workflow};
//!
//! #[workflow]
//! async fn process_event(_ctx: &mut Ctx, event: serde_json::Value) -> stepwell::Result<()> {
//!     println!("{}", event["type"]);
//!     Ok(())
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::builder("events").database("sqlite::memory:").launch().await?;
//! let stripe = Stripe::new("whsec_new")?.and_secret("whsec_old")?;
//! let event = |delivery: Delivery| delivery.json().map(process_event);
//! let router: axum::Router = webhook(&app, stripe, event).at("/webhooks/stripe");
//! # Ok(())
//! # }
//! ```
//!
//! # Answers
//! | what | status |
//! |---|---|
//! | the start is durable | 200 `{"id": …, "duplicate": false}` |
//! | the event was there | 200 `{"id": …, "duplicate": true}` |
//! | a provider's probe (`ping`, `url_verification`) | 200 |
//! | no workflow can be made of it | 200 once it is kept ([`Webhook::poison`]), else 422 |
//! | a wrong or stale signature | 401 |
//! | a header or an id that is missing or malformed | 400 |
//! | too large | 413 |
//! | the queue is full | 429 + `Retry-After` |
//! | no database | 503 + `Retry-After` |
//!
//! # Layout
//! - [`Provider`], [`Stripe`], [`GitHub`], [`Slack`], [`StandardWebhooks`], [`Hmac`], [`Unsigned`]:
//!   who sends, and how it signs.
//! - [`Delivery`], [`Rejected`]: what comes of a request.
//! - [`webhook`]: the route. [`event_id`]: the workflow's id. [`PoisonSink`]: what cannot be started.

mod delivery;
mod event_id;
mod poison;
mod provider;
mod providers;
mod read;
mod rejected;
mod route;
mod secret;
mod signature;

pub use delivery::{Delivery, Verified};
pub use event_id::event_id;
pub use poison::{Poison, PoisonSink};
pub use provider::Provider;
pub use providers::{
    github::GitHub,
    hmac::{Hmac, IdFrom},
    slack::Slack,
    standard::StandardWebhooks,
    stripe::Stripe,
    unsigned::Unsigned,
};
pub use rejected::Rejected;
pub use route::{Webhook, webhook};
pub use secret::Secret;
pub use signature::Encoding;
