//! The router, and what every answer carries.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use stepwell::{App, Timestamp};

use crate::{assets, crash_log::CrashLog, endpoints, live, shop::Shop};

/// Everything the page needs comes from here, and nothing else runs in it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// What the endpoints work with.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) app: App<Shop>,
    pub(crate) log: Arc<CrashLog>,
    pub(crate) started_at: Timestamp,
}

impl Store {
    pub(crate) fn new(app: App<Shop>, log: CrashLog, started_at: Timestamp) -> Self {
        Self {
            app,
            log: Arc::new(log),
            started_at,
        }
    }

    pub(crate) fn shop(&self) -> &Shop {
        self.app.state()
    }
}

/// Every path of the store.
pub(crate) fn router(store: Store) -> Router {
    Router::new()
        .route("/checkout/{idempotency_key}", post(endpoints::checkout))
        .route(
            "/payment_webhook/{payment_id}/{payment_status}",
            post(endpoints::payment_webhook),
        )
        .route("/order/{order_id}", get(endpoints::order))
        .route("/orders", get(endpoints::orders))
        .route("/product", get(endpoints::product))
        .route("/restock", post(endpoints::restock))
        .route("/crash_application", post(endpoints::crash_application))
        .route("/live", get(live::live))
        .route("/source/checkout", get(endpoints::source))
        .route("/", get(assets::index))
        .route("/assets/{name}", get(assets::asset))
        .layer(middleware::from_fn(refuse_other_sites))
        .layer(middleware::map_response(protect))
        .with_state(store)
}

/// Refuses what another site's page sends through a visitor's browser: it could press the crash
/// button. The payment provider is no browser and does not send the header.
async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site");
    let elsewhere = site.is_some_and(|site| site == "cross-site" || site == "same-site");
    if elsewhere && !request.method().is_safe() {
        return (
            StatusCode::FORBIDDEN,
            "Only the store's own page may do this",
        )
            .into_response();
    }
    next.run(request).await
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    response
}
