//! [`Prometheus`]: a meter, and the route that is scraped.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::{error::OTelSdkError, metrics::SdkMeterProvider};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use stepwell_core::{App, Client};
use tokio::{sync::Mutex, time::Instant};

use crate::metrics::Metrics;

/// How old the counts of a scrape may be: whoever scrapes more often is shown the last ones.
const COUNTS_OLD_MAX: Duration = Duration::from_secs(10);

/// The instruments of an application, for Prometheus to scrape. Cheap to clone.
#[derive(Clone)]
pub struct Prometheus {
    registry: Registry,
    metrics: Metrics,
    /// Keeps the instruments alive.
    provider: SdkMeterProvider,
    counted: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prometheus")
    }
}

impl Prometheus {
    /// Makes a meter provider of its own with the instruments.
    ///
    /// # Errors
    /// If the reader cannot be registered; a registry of one's own refuses none.
    pub fn new() -> Result<Self, OTelSdkError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let exporter = exporter.scope_info_enabled(false).build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        Ok(Self {
            metrics: Metrics::new(&provider.meter("stepwell")),
            registry,
            provider,
            counted: Arc::default(),
        })
    }

    /// The observer to hand to the application.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// The provider, for instruments of your own that are to be scraped with these.
    #[must_use]
    pub fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }

    /// `GET /metrics`, in [Prometheus' text
    /// format](https://prometheus.io/docs/instrumenting/exposition_formats/). What is in the database is
    /// counted for a scrape, at most once in 10 s; without a database the other instruments are shown.
    ///
    /// Names of workflows, queues and sources can be read there: bind it to an address that only
    /// Prometheus reaches, or put your own authentication in front.
    pub fn routes<S, R>(&self, app: &App<S>) -> Router<R>
    where
        S: Send + Sync + 'static,
        R: Clone + Send + Sync + 'static,
    {
        let (scraped, client) = (self.clone(), app.client().clone());
        let scrape = move || async move { scraped.scrape(&client).await };
        Router::new().route("/metrics", get(scrape))
    }

    async fn scrape(&self, client: &Client) -> Response {
        self.count(client).await;
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
            Err(error) => {
                tracing::error!(
                    error = error.to_string(),
                    "metrics could not be written as text"
                );
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Counts, unless that was done a moment ago. Scrapes that come together wait for one count.
    async fn count(&self, client: &Client) {
        let count = async {
            if let Err(error) = self.metrics.count(client).await {
                let error = error.to_string();
                tracing::warn!(error, "workflows could not be counted for a scrape");
            }
        };
        now_and_then(&self.counted, count).await;
    }
}

/// Counts, unless that was tried a moment ago. A count that fails is remembered like another, and so is
/// one whose scrape goes away before it is done: the next would read all workflows again.
async fn now_and_then(counted: &Mutex<Option<Instant>>, count: impl Future<Output = ()>) {
    let mut counted = counted.lock().await;
    if counted.is_some_and(|at| at.elapsed() < COUNTS_OLD_MAX) {
        return;
    }
    *counted = Some(Instant::now());
    count.await;
    *counted = Some(Instant::now());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_count_is_begun_once_in_ten_seconds_whatever_becomes_of_it() {
        let counted = Mutex::default();
        let slow = now_and_then(&counted, tokio::time::sleep(COUNTS_OLD_MAX * 2));
        let given_up = tokio::time::timeout(Duration::from_secs(1), slow).await;
        assert!(given_up.is_err());
        let mut again = false;
        now_and_then(&counted, async { again = true }).await;
        assert!(!again, "it was counted a moment ago");
        tokio::time::advance(COUNTS_OLD_MAX).await;
        now_and_then(&counted, async { again = true }).await;
        assert!(again);
    }
}
