//! Signed webhooks as workflows: each event once.
//!
//! The event's id is the workflow's id, and the provider is answered after the workflow's start is
//! durable. A delivery that comes again finds the workflow that is there.
//!
//! ```
//! use stepwell::{App, Ctx, events::Sources, webhooks::{Provider, Stripe}, workflow};
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
//! let sources = Sources::new(&app)
//!     .add(stripe.at("/webhooks/stripe"), |event| event.json().map(process_event))?;
//! let router: axum::Router = sources.routes();
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
//! | no workflow can be made of it | 200 `{"id": …, "poison": true}`, once it is kept |
//! | its result was asked for ([`Endpoint::answer_with_result`]) | 200 and the result, or 202 `{"id": …}` |
//! | a wrong or stale signature | 401 |
//! | a header or an id that is missing or malformed | 400 |
//! | too large | 413 |
//! | the queue is full | 429 + `Retry-After` |
//! | no database | 503 + `Retry-After` |
//!
//! # Layout
//! - [`Provider`], [`Stripe`], [`GitHub`], [`Slack`], [`StandardWebhooks`], [`Hmac`], [`Unsigned`]:
//!   who sends, and how it signs.
//! - [`Verified`], [`Rejected`]: what comes of a request.
//! - [`Endpoint`]: the route, a source for [`Sources`](stepwell_events::Sources).

mod endpoint;
mod provider;
mod providers;
mod read;
mod rejected;
mod secret;
mod signature;

pub use endpoint::{Endpoint, EndpointWithResult};
pub use provider::{Provider, Verified};
pub use providers::{
    github::GitHub,
    hmac::{Hmac, IdFrom},
    slack::Slack,
    standard::StandardWebhooks,
    stripe::Stripe,
    unsigned::Unsigned,
};
pub use rejected::Rejected;
pub use secret::Secret;
pub use signature::Encoding;
// What providers make.
pub use stepwell_events::Delivery;
