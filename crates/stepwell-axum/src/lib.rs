//! Stepwell workflows as axum routes.
//!
//! ```
//! use axum::{Router, body::Body, routing::{get, post}};
//! use http::{Request, StatusCode};
//! use stepwell::{App, Ctx, axum::HttpError, workflow};
//! use tower::ServiceExt;
//!
//! #[workflow]
//! async fn process_item(_ctx: &mut Ctx, id: String) -> stepwell::Result<u64> {
//!     let invalid = HttpError::new(StatusCode::BAD_REQUEST).code("INVALID_ID");
//!     Ok(id.parse().map_err(|_| invalid.message("Invalid ID format"))?)
//! }
//!
//! #[workflow]
//! async fn process_job(_ctx: &mut Ctx, name: String) -> stepwell::Result<String> {
//!     Ok(format!("processed {name}"))
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let database = "sqlite::memory:";
//! let app = App::builder("order-service").database(database).build().await?;
//! let router = Router::new()
//!     .route("/process/{id}", post(stepwell::axum::run(process_item))) // the endpoint is the workflow
//!     .route("/jobs", post(stepwell::axum::start(process_job)))        // 202 + Location; Prefer: wait=10
//!     .route("/jobs/{id}", get(stepwell::axum::status(process_job)))   // ETag, ?wait=
//!     .route("/jobs/{id}/events", get(stepwell::axum::events()))       // live; Last-Event-ID
//!     .layer(stepwell::axum::layer(&app))                              // request id, span, panics
//!     .with_state(app.clone());
//! # app.launch().await?;
//! # let ask = |path: &str| Request::post(path).body(Body::empty()).unwrap();
//! # assert_eq!(router.clone().oneshot(ask("/process/7")).await?.status(), 200);
//! # assert_eq!(router.clone().oneshot(ask("/process/seven")).await?.status(), 400);
//! # let job = Request::post("/jobs").header("content-type", "application/json");
//! # let job = router.clone().oneshot(job.body(Body::from("\"ann\""))?).await?;
//! # assert_eq!(job.status(), 202);
//! # async fn serve(listener: tokio::net::TcpListener, router: Router, app: App) -> std::io::Result<()> {
//! stepwell::axum::serve(listener, router, app).await?; // launch, recover, serve, stop in order
//! # Ok(())
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # From a request to arguments
//! - A workflow without arguments is given nothing.
//! - One argument: the members of the path, the query and a JSON object in the body become one object;
//!   the path wins over the body, the body over the query. A scalar takes the only path parameter. A
//!   body alone may be any JSON.
//! - Several arguments: the path's parameters in their order, then the body; a body that is an array
//!   fills all the places that are left, if there is more than one. The query is not read.
//!
//! Text from the path and the query becomes a number or a boolean where the argument's type asks for
//! one, and a list where it asks for a list. A type that does not say what it asks for
//! (`serde_json::Value`, a struct with `#[serde(flatten)]` or an internal tag) is given the text.
//! A body that is no JSON is a 400, one of another content type a 415, one that is too large (2 MiB
//! unless [`WorkflowRoute::body_limit`] says otherwise) or holds more than 100,000 values a 413, and what
//! does not fit the type a 422. So is a body for a workflow without arguments, but for `null`, `{}` and
//! `[]`. What can be refused without the body is refused before it is read.
//!
//! # Requests that are sent again
//! | header | meaning |
//! |---|---|
//! | [`Idempotency-Key`](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/), quoted or bare, 1 to 255 visible characters | the workflow's id is `{METHOD route}~key-{principal}:{key}` (see [`Principal`]; hashed when it would be longer than 255 bytes) |
//! | `dbos-idempotency-key` | the same; on a route with [`verbatim_keys`](WorkflowRoute::verbatim_keys) the workflow's id, as it is, and a second request waits for the same result |
//!
//! Once the workflow has ended, a request that is sent again is answered with the same status and body,
//! and `Idempotency-Replayed: true`. While it runs, [`run`] answers 409 with `Retry-After` and
//! `Location`, or waits, too, with [`WorkflowRoute::joins`]. The same key with another payload is a 422,
//! whatever the workflow's type sees of it: what counts are the path's parameters, the query (names in any
//! order, values of one name in theirs) and what the body says as JSON, with numbers as they are written.
//! A request without a key is a 400 where [`WorkflowRoute::requires_key`] says so.
//! A client that goes away never cancels a workflow.
//!
//! # Who may see what
//! Put a [`Principal`] into the requests' extensions, in your own authentication:
//!
//! ```
//! use axum::{Router, extract::Request, middleware::{from_fn, Next}, response::Response, routing::{get, post}};
//! use stepwell::{App, Ctx, axum::{Principal, events, layer, run, status}, workflow};
//!
//! #[workflow]
//! async fn pay(_ctx: &mut Ctx, order: String) -> stepwell::Result<String> {
//!     Ok(format!("receipt for {order}"))
//! }
//!
//! async fn authenticate(mut request: Request, next: Next) -> Response {
//!     // Whatever you have: a session, a token, a header of the proxy in front.
//!     let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
//!     if let Some(user) = user.map(str::to_owned) {
//!         request.extensions_mut().insert(Principal(user));
//!     }
//!     next.run(request).await
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let app: App = App::builder("pay").database("sqlite::memory:").launch().await?;
//! let router = Router::new()
//!     .route("/pay/{order}", post(run(pay)))
//!     .route("/payments/{id}", get(status(pay)))
//!     .route("/payments/{id}/events", get(events()))
//!     .layer(from_fn(authenticate))
//!     .layer(layer(&app))
//!     .with_state(app.clone());
//! # use http::Request as Asked;
//! # use tower::ServiceExt;
//! # app.run(pay("7".into()).id("p7").principal("ann")).await?;
//! # for (user, status) in [("ann", 200), ("bob", 404)] {
//! #     let asked = Asked::get("/payments/p7").header("x-user", user).body(axum::body::Body::empty())?;
//! #     assert_eq!(router.clone().oneshot(asked).await?.status(), status);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! It is kept with every workflow that the request starts. As soon as there is one in a request or with a
//! workflow, both must be the same: [`status`] and [`events`] answer 404 to everybody else, and a start
//! with the key of somebody else's workflow is a 422. A child is its parent's. [`Principal::attribute`]
//! lists what is one's own, [`stepwell_core::Call::principal`] starts for somebody in code, and
//! `authorize` on each route ([`WorkflowRoute::authorize`]) is the place for another rule.
//!
//! Requests that a page of another site makes a browser send start nothing: see [`layer()`].
//!
//! # Errors
//! Every error is `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
//!
//! | what | status |
//! |---|---|
//! | [`HttpError`], a `Failure` with a status, an error that is [`AsProblem`] | its own, also when it is replayed |
//! | 4xx of those | also that the workflow is no dead letter: its failure was the answer |
//! | every other error of a workflow, a panic, a workflow that is stuck or dead | 500, without the reason |
//! | an unknown id, or the id of another workflow | 404 |
//! | a cancelled workflow | 409 |
//! | a deadline that passed | 504 |
//! | no database, none that answers within 2.5 s ([`StoreTimeout`], and what has no bound), or the application shuts down | 503 + `Retry-After` |
//!
//! # Layout
//! - [`run`], [`start`], [`status`], [`events`], [`transaction`]: handlers.
//! - [`IdempotencyKey`], [`HttpContext`]: what a request says about itself.
//! - [`dead_letters()`]: what failed, for operators; [`Access`]: who may.
//! - [`Principal`], [`Decision`], [`Target`]: who may see and start what.
//! - [`layer()`]: around a router. [`serve`], [`Serve`]: around everything. [`listen`]: the socket.
//! - [`Problem`], [`HttpError`], [`AsProblem`]: errors, as clients see them.
//! - [`testing`]: routers on an application in memory.

mod access;
mod argument;
mod authorize;
mod body;
mod context;
mod cross_site;
mod dead_letters;
mod error;
mod events;
mod health;
mod idempotency;
mod layer;
mod listen;
mod problem;
mod request;
mod route;
mod serve;
mod status;
mod store_timeout;
pub mod testing;
mod transaction;

pub use access::Access;
pub use authorize::{Decision, Target};
pub use context::HttpContext;
pub use dead_letters::dead_letters;
pub use error::HttpError;
pub use events::{EventsRoute, events};
pub use idempotency::{IdempotencyKey, Principal};
pub use layer::{RequestLayer, RequestService, layer};
pub use listen::listen;
pub use problem::{AsProblem, Problem, problem_of};
pub use route::{WorkflowFn, WorkflowRoute, run, start};
pub use serve::{Serve, serve, serve_until};
pub use status::{StatusRoute, status};
pub use store_timeout::StoreTimeout;
pub use transaction::{TransactionRoute, TxHandler, transact, transact_with, transaction};
