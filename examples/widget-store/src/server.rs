//! The router, and what every answer carries.

use std::{net::IpAddr, sync::Arc};

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
    // Refuses, among other things, what another site's page sends through a visitor's browser: it could
    // press the crash button. The payment provider is no browser.
    let layer = stepwell::axum::layer(&store.app);
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
        .layer(layer)
        .layer(middleware::from_fn(refuse_other_hosts))
        .layer(middleware::map_response(protect))
        .with_state(store)
}

/// Refuses what asks for another host: a name of somebody else's that leads to this machine, so that his
/// page counts as the store's own and could press the crash button. The store listens on this machine
/// alone.
async fn refuse_other_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_this_machine) {
        let status = StatusCode::MISDIRECTED_REQUEST;
        return (status, "Open the store as localhost").into_response();
    }
    next.run(request).await
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback || name == "localhost" || name.ends_with(".localhost")
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

#[cfg(test)]
mod tests {
    use super::is_this_machine;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "localhost",
            "LocalHost:8000",
            "127.0.0.1:8000",
            "127.9.9.9",
            "[::1]",
            "[::1]:8000",
            "shop.localhost:1",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8000",
            "10.0.0.1",
            "[::2]",
            "xlocalhost",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
