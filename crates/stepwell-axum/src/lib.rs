//! Stepwell workflows as axum routes.
//!
//! ```ignore
//! let app = App::builder("order-service").database(url).state(shop).build().await?;
//! let router = Router::new()
//!     .route("/process/{id}", post(stepwell::axum::run(process_item)))    // the endpoint is the workflow
//!     .route("/jobs", post(stepwell::axum::start(process_job)))           // 202 + Location; Prefer: wait=10
//!     .route("/jobs/{id}", get(stepwell::axum::status(process_job)))      // ETag, ?wait=
//!     .route("/jobs/{id}/events", get(stepwell::axum::events::<Shop>()))  // live; Last-Event-ID
//!     .layer(stepwell::axum::layer(&app))                                 // request id, span, panics
//!     .with_state(app.clone());
//! stepwell::axum::serve(listener, router, app).await?;                    // launch, recover, serve, stop in order
//! ```
//!
//! A client that goes away never cancels a workflow. Sent again with the same `Idempotency-Key`, a
//! request is answered with the result of the first one.
//!
//! # Layout
//! - [`run`], [`start`], [`status`], [`events`], [`transaction`]: handlers.
//! - [`IdempotencyKey`], [`HttpContext`]: what a request says about itself.
//! - [`layer()`]: around a router. [`serve`]: around everything.
//! - [`Problem`], [`HttpError`], [`AsProblem`]: errors, as clients see them.
//! - [`testing`]: routers on an application in memory.

mod argument;
mod context;
mod error;
mod events;
mod idempotency;
mod layer;
mod problem;
mod request;
mod route;
mod serve;
mod status;
pub mod testing;
mod transaction;

pub use context::HttpContext;
pub use error::HttpError;
pub use events::{EventsRoute, events};
pub use idempotency::{IdempotencyKey, Principal};
pub use layer::{RequestLayer, RequestService, layer};
pub use problem::{AsProblem, Problem, problem_of};
pub use route::{WorkflowFn, WorkflowRoute, run, start};
pub use serve::{serve, serve_until};
pub use status::{StatusRoute, status};
pub use transaction::transaction;
