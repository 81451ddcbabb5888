//! [`TestApp`]: a router on an application in memory.

use axum::{Router, body::Body, response::Response};
use http::Request;
use stepwell_core::{App, testing::Harness};
use tower::ServiceExt;

/// A router and its application, on a database in memory of its own, for tests. Under
/// `#[tokio::test(start_paused = true)]` the clock is tokio's: waits, timeouts and deadlines take no
/// time, and `tokio::time::advance` moves all of them.
#[derive(Debug)]
pub struct TestApp<S = ()> {
    harness: Harness<S>,
    router: Router,
}

impl<S: Send + Sync + 'static> TestApp<S> {
    /// Launches an application with this state; `router` makes the routes.
    pub async fn new(state: S, router: impl FnOnce(App<S>) -> Router) -> Self {
        Self::with(Harness::new(state).await, router)
    }

    /// Takes a harness that is set up by hand: with mocks, or with settings of its own.
    pub fn with(harness: Harness<S>, router: impl FnOnce(App<S>) -> Router) -> Self {
        let router = router(harness.app.clone());
        Self { harness, router }
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &App<S> {
        &self.harness.app
    }

    /// The harness: histories, and waits for what is recorded.
    #[must_use]
    pub fn harness(&self) -> &Harness<S> {
        &self.harness
    }

    /// Sends one request to the router, without a network.
    pub async fn oneshot(&self, request: Request<Body>) -> Response {
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// What a crash does; see [`Harness::crash`].
    pub async fn crash(&self) {
        self.harness.crash().await;
    }
}
