//! [`serve`]: launch, recover, serve, and stop in order.

use std::{future::IntoFuture, io, net::SocketAddr, time::Duration};

use axum::Router;
use stepwell_core::App;
use tokio::net::TcpListener;

use crate::health::health;

/// How long connections may stay open after the application was told to stop.
const CONNECTIONS_GRACE: Duration = Duration::from_secs(10);

/// Serves a router until SIGTERM or Ctrl-C. A second Ctrl-C exits at once with 130.
///
/// In order: the application is launched, if it is not yet, and what dead executors have left is
/// taken over before the first request. When it is told to stop, readiness ends, no more connections
/// are accepted, idle ones are closed, event streams end and nothing new is begun; running steps end
/// within [`grace`](stepwell_core::AppBuilder::grace), and requests that wait for a workflow are
/// answered with its result or, if it goes on elsewhere, with 202; the rest is handed back.
/// Connections that are open after 10 s are closed.
///
/// Adds `/livez` and `/readyz`, which win over routes of the same path in `router`. Handlers find the
/// client's address as `ConnectInfo<SocketAddr>`.
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

/// As [`serve`], until `shutdown` returns or [`App::stop_taking_work`] is called: for tests, and for
/// hosts with signals of their own.
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
    let told = {
        let app = app.clone();
        async move {
            tokio::select! {
                () = shutdown => app.stop_taking_work(),
                () = app.stopping() => {}
            }
        }
    };
    let server = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    );
    let server = server.with_graceful_shutdown(told).into_future();
    let connections = async {
        let served = tokio::select! {
            served = server => served,
            () = too_long(&app) => Ok(()),
        };
        // A server that ended by itself ends the application, too.
        app.stop_taking_work();
        served
    };
    // Together: requests wait for workflows, which get no further once the application has stopped.
    let stop = async {
        app.stopping().await;
        app.shutdown().await;
    };
    let (served, ()) = tokio::join!(connections, stop);
    served
}

/// Returns when connections have had their time to end.
async fn too_long<S: Send + Sync + 'static>(app: &App<S>) {
    app.stopping().await;
    tokio::time::sleep(CONNECTIONS_GRACE).await;
    tracing::warn!("closing connections that stayed open");
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
