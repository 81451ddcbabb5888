//! [`serve`]: launch, recover, serve, and stop in order.

use std::{future::IntoFuture, io, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::json;
use stepwell_core::App;
use tokio::{net::TcpListener, sync::oneshot};

/// How long connections may stay open after the application was told to stop.
const CONNECTIONS_GRACE: Duration = Duration::from_secs(10);

/// Serves a router until SIGTERM or Ctrl-C, in order: launch the application (what dead executors
/// have left is recovered before the first request), serve, answer `/readyz` with 503, accept no
/// more, end event streams, let requests and running steps end within their grace, hand the rest
/// back, close. A second Ctrl-C exits at once with 130.
///
/// Adds `/livez` and `/readyz`, which win over routes of the same path in `router`.
///
/// # Errors
/// If the application cannot be launched, or the listener fails.
pub async fn serve<S: Send + Sync + 'static>(
    listener: TcpListener,
    router: Router,
    app: App<S>,
) -> io::Result<()> {
    serve_until(listener, router, app, signal()).await
}

/// As [`serve`], until `shutdown` returns: for tests, and for hosts with signals of their own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until<S: Send + Sync + 'static>(
    listener: TcpListener,
    router: Router,
    app: App<S>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    app.launch().await.map_err(io::Error::other)?;
    let router = health(app.clone()).fallback_service(router);
    let (stopped, stopping) = oneshot::channel();
    let stop = {
        let app = app.clone();
        async move {
            shutdown.await;
            // Readiness is 503 from here, and event streams end.
            app.stop_taking_work();
            // Nobody hears it when the server has ended by itself.
            stopped.send(()).ok();
        }
    };
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .into_future();
    let too_long = async {
        if stopping.await.is_ok() {
            tokio::time::sleep(CONNECTIONS_GRACE).await;
            tracing::warn!("closing connections that stayed open");
        } else {
            std::future::pending::<()>().await;
        }
    };
    let served = tokio::select! {
        served = server => served,
        () = too_long => Ok(()),
    };
    app.shutdown().await;
    served
}

/// `/livez`: the process answers. `/readyz`: it also takes work.
fn health<S: Send + Sync + 'static>(app: App<S>) -> Router {
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

/// Returns at SIGTERM or Ctrl-C, and lets a second Ctrl-C end the process.
async fn signal() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C is not heard");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
    tracing::info!("stopping; press Ctrl-C again to exit at once");
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => drop(terminate.recv().await),
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not heard");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending::<()>().await;
}
