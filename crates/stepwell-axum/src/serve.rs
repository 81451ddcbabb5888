//! [`serve`]: launch, recover, serve, and stop in order.

mod connection;
mod pace;
mod signal;
mod timed_body;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use stepwell_core::App;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use crate::health::health;
use connection::Connections;
use pace::Limits;
use signal::signal;
pub(crate) use timed_body::BodyTimedOut;

/// How long connections may stay open after the application was told to stop.
const CONNECTIONS_GRACE: Duration = Duration::from_secs(10);
/// How long nothing is accepted after an error of the listener: too many open files do not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How many connections there may be unless it is said otherwise.
const CONNECTIONS_MAX: usize = 1_024;

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
/// client's address as `ConnectInfo<SocketAddr>`. The protocol is HTTP/1.1; what a client may hold,
/// and how long, is bounded as [`Serve`] says.
///
/// # Errors
/// If the application cannot be launched.
pub async fn serve<S: Send + Sync + 'static>(
    listener: TcpListener,
    router: Router,
    app: App<S>,
) -> io::Result<()> {
    Serve::new(listener, router, app).run().await
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
    Serve::new(listener, router, app).run_until(shutdown).await
}

/// [`serve`], with other bounds on what a client may hold.
///
/// ```no_run
/// use std::time::Duration;
/// use stepwell_axum::Serve;
///
/// # async fn example(app: stepwell_core::App, router: axum::Router) -> std::io::Result<()> {
/// let listener = stepwell_axum::listen("127.0.0.1:8000").await?;
/// Serve::new(listener, router, app)
///     .connections_max(10_000)
///     .idle_timeout(Duration::from_secs(120)) // longer than the proxy's in front
///     .run()
///     .await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is served until it is run"]
pub struct Serve<S = ()> {
    listener: TcpListener,
    router: Router,
    app: App<S>,
    connections_max: usize,
    limits: Limits,
}

impl<S: Send + Sync + 'static> Serve<S> {
    /// A server with the usual bounds.
    pub fn new(listener: TcpListener, router: Router, app: App<S>) -> Self {
        Self {
            listener,
            router,
            app,
            connections_max: CONNECTIONS_MAX,
            limits: Limits::default(),
        }
    }

    /// How many connections may be open at once: 1,024 unless said otherwise, at least 1. Further ones
    /// wait in the listener's queue. Each event stream is a connection, and each costs a file: keep it
    /// below the limit of open files.
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long the header of a request may take from its first byte: 10 s unless said otherwise.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.header = timeout;
        self
    }

    /// How long a connection may stay open between two requests: 75 s unless said otherwise. Behind a
    /// proxy it should be longer than the proxy's own time, so that the proxy closes first.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle = timeout;
        self
    }

    /// How long the body of a request may take: 30 s unless said otherwise, and a second more for each
    /// 16 KiB of it. A route that reads what comes later is given an error; Stepwell's own answer 408.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.limits.body = timeout;
        self
    }

    /// How long a client may take no byte of an answer: 30 s unless said otherwise.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.limits.write = timeout;
        self
    }

    /// Serves as [`serve`] does.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn run(self) -> io::Result<()> {
        self.run_until(signal()).await
    }

    /// Serves as [`serve_until`] does.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn run_until(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let app = self.app.clone();
        app.launch().await.map_err(io::Error::other)?;
        let told = async {
            tokio::select! {
                () = shutdown => app.stop_taking_work(),
                () = app.stopping() => {}
            }
        };
        // Together: requests wait for workflows, which get no further once the application has stopped.
        let stop = async {
            app.stopping().await;
            app.shutdown().await;
        };
        tokio::join!(told, self.connections(), stop);
        Ok(())
    }

    /// Accepts and serves connections until the application is told to stop, and lets them end.
    async fn connections(self) {
        let router = health(self.app.clone()).fallback_service(self.router);
        let connections = Connections::new(router, self.limits);
        let places = Arc::new(Semaphore::new(self.connections_max));
        let mut open = JoinSet::new();
        let stopping = self.app.stopping();
        tokio::pin!(stopping);
        loop {
            let next = async {
                // A place first: what is not accepted costs nothing here.
                let place = Arc::clone(&places).acquire_owned().await;
                (accept(&self.listener).await, place)
            };
            tokio::select! {
                () = &mut stopping => break,
                (stream, place) = next => {
                    let served = connections.serve(stream);
                    open.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                // What has ended is let go of.
                Some(_) = open.join_next(), if !open.is_empty() => {}
            }
        }
        drop(self.listener);
        connections.stop();
        let all = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(CONNECTIONS_GRACE, all).await.is_err() {
            tracing::warn!("closing connections that stayed open");
            open.shutdown().await;
        }
    }
}

/// The next connection. A listener that fails is asked again.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(error = error.to_string(), "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether an error is about one connection that was gone before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
