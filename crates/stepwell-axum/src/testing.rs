//! [`TestApp`]: a router on an application in memory.

use axum::{Router, body::Body, response::Response};
use http::Request;
use stepwell_core::{App, testing::Harness};
use tower::ServiceExt;

/// A router and its application, on a database in memory of its own, for tests. With tokio's paused
/// clock, waits take no time.
#[derive(Debug)]
pub struct TestApp<S = ()> {
    harness: Harness<S>,
    router: Router,
}

impl<S: Send + Sync + 'static> TestApp<S> {
    /// Launches an application with this state; `router` makes the routes.
    pub async fn new(state: S, router: impl FnOnce(App<S>) -> Router) -> Self {
        let harness = Harness::new(state).await;
        let router = router(harness.app.clone());
        Self { harness, router }
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &App<S> {
        &self.harness.app
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
