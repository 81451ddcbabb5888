//! One connection: HTTP/1.1 over TCP, until it ends or is told to.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request},
    response::Response,
};
use http::{Method, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    pace::{Busy, Limits, Paced},
    timed_body::TimedBody,
};

/// What all connections share.
pub(super) struct Connections {
    router: Router,
    limits: Limits,
    protocol: http1::Builder,
    stopping: CancellationToken,
}

impl Connections {
    pub(super) fn new(router: Router, limits: Limits) -> Self {
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new());
        // Counts from the end of the answer before: it bounds the time between two requests. What comes
        // of a request is bounded by the pace.
        protocol.header_read_timeout(limits.idle.saturating_add(limits.header));
        Self {
            router,
            limits,
            protocol,
            stopping: CancellationToken::new(),
        }
    }

    /// Tells all connections to end with the answers that they are at.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Serves a connection until it ends.
    pub(super) fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let address = stream.peer_addr().ok();
        // Progress is told in small pieces, which nothing follows for a while.
        drop(stream.set_nodelay(true));
        let busy = Busy::default();
        let stream = Paced::new(stream, self.limits, busy.clone());
        let (router, body_timeout) = (self.router.clone(), self.limits.body);
        let service = service_fn(move |request| {
            answer(
                router.clone(),
                busy.clone(),
                received(request, address, body_timeout),
            )
        });
        let connection = self
            .protocol
            .serve_connection(TokioIo::new(stream), service);
        let stopping = self.stopping.clone();
        async move {
            let connection = connection.with_upgrades();
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = error.to_string(), "a connection broke off");
            }
        }
    }
}

/// A request as handlers see it.
fn received(
    request: http::Request<Incoming>,
    address: Option<SocketAddr>,
    body_timeout: Duration,
) -> Request {
    let mut request = request.map(|body| match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(TimedBody::new(body, body_timeout)),
    });
    if let Some(address) = address {
        request.extensions_mut().insert(ConnectInfo(address));
    }
    request
}

async fn answer(
    router: Router,
    busy: Busy,
    request: Request,
) -> Result<Response, std::convert::Infallible> {
    let guard = busy.guard();
    let connects = request.method() == Method::CONNECT;
    let response = router.oneshot(request).await?;
    let leaves_http = response.status() == StatusCode::SWITCHING_PROTOCOLS
        || (connects && response.status().is_success());
    if leaves_http {
        // Another protocol has other times.
        guard.for_ever();
        return Ok(response);
    }
    Ok(response.map(|body| guard.over(body)))
}
