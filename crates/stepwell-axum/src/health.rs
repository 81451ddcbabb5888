//! `/livez` and `/readyz`, for whoever watches the process.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::json;
use stepwell_core::App;

/// `/livez`: the process answers. `/readyz`: it also takes work.
pub(crate) fn health<S: Send + Sync + 'static>(app: App<S>) -> Router {
    Router::new()
        .route("/livez", get(async || Json(json!({ "status": "live" }))))
        .route("/readyz", get(ready::<S>))
        .with_state(app)
}

async fn ready<S: Send + Sync + 'static>(State(app): State<App<S>>) -> Response {
    if app.is_ready() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({ "status": "not ready" })),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    // Links the store.
    use stepwell as _;

    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn statuses(app: &App) -> [u16; 2] {
        let mut statuses = [0; 2];
        for (status, path) in statuses.iter_mut().zip(["/livez", "/readyz"]) {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = health(app.clone()).oneshot(request).await.unwrap();
            *status = response.status().as_u16();
        }
        statuses
    }

    #[tokio::test]
    async fn an_application_is_ready_from_its_launch_until_it_is_told_to_stop() {
        let app = App::builder("health").database("sqlite::memory:");
        let app = app.build().await.unwrap();
        assert_eq!(statuses(&app).await, [200, 503]);
        app.launch().await.unwrap();
        assert_eq!(statuses(&app).await, [200, 200]);
        app.stop_taking_work();
        assert_eq!(statuses(&app).await, [200, 503]);
        app.shutdown().await;
        assert_eq!(statuses(&app).await, [200, 503]);
    }
}
