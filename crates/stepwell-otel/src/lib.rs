//! Metrics of Stepwell applications: OpenTelemetry instruments, and an endpoint for Prometheus.
//!
//! ```
//! use axum::Router;
//! use stepwell::{App, otel::Prometheus};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let prometheus = Prometheus::new()?;
//! let app = App::builder("shop").observer(prometheus.metrics()).launch().await?;
//! let router: Router = Router::new().merge(prometheus.routes(&app)); // GET /metrics
//! # Ok(())
//! # }
//! ```
//! Who exports otherwise (OTLP, standard output) hands in a meter of their own: [`Metrics::new`].
//!
//! # Instruments
//! | name | kind | attributes | what |
//! |---|---|---|---|
//! | `stepwell.workflows.started` | counter | `name`, `origin` | workflows that were made by this process |
//! | `stepwell.workflows.ended` | counter | `name`, `origin`, `state` | those that ended or got stuck in it |
//! | `stepwell.workflow.wait` | histogram, s | `name`, `origin` | from the start to the first step |
//! | `stepwell.workflow.duration` | histogram, s | `name`, `origin`, `state` | from the start to the end |
//! | `stepwell.step.duration` | histogram, s | `workflow`, `step`, `outcome` | attempts of steps |
//! | `stepwell.dead_letters.redriven` | counter | `name` | dead letters that were tried again as another workflow |
//! | `stepwell.events` | counter | `source`, `type`, `fate` | events that were delivered; the fate is `started`, `duplicate`, `poison` or `rejected` |
//! | `stepwell.event.age` | histogram, s | `source`, `type` | from the source's timestamp to the start of the workflow |
//! | `stepwell.event.lag` | gauge | `source`, `part` | events that a source (Kafka, SQS) holds |
//! | `stepwell.workflows` | gauge | `name`, `origin`, `state` | workflows in the database |
//! | `stepwell.dead_letters` | gauge | `name`, `state` | dead letters that nobody has acknowledged |
//! | `stepwell.queue.workflows` | gauge | `queue`, `state` | what waits in queues and runs from them |
//!
//! What a process has counted dies with it; the last three are asked of the database, so that they are
//! right whatever was killed. To count all workflows the database reads them all: every half minute is
//! often enough.
//!
//! An instrument keeps 2,000 combinations of attributes and counts what is more under
//! `otel_metric_overflow`, as OpenTelemetry's SDK does.
//!
//! # Layout
//! - [`Metrics`]: the instruments. `counts.rs`: what the database is asked for.
//! - [`Prometheus`]: a meter, and the route that is scraped.

mod counts;
mod metrics;
#[cfg(feature = "prometheus")]
mod prometheus;

#[cfg(feature = "prometheus")]
pub use self::prometheus::Prometheus;
pub use metrics::Metrics;
