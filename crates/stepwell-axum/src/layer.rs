//! [`layer`]: a request id, a span and an answer for panics, around a router.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use http::HeaderValue;
use stepwell_core::App;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use crate::{context::HttpContext, problem::Problem};

const REQUEST_ID: &str = "x-request-id";

/// A layer for a router whose routes are workflows.
///
/// Reads or makes the request's id and echoes it as `x-request-id`; opens a span with the names of
/// the OpenTelemetry HTTP conventions and the five attributes of the seed documents (without the
/// query string, which may hold secrets); answers a panic of a handler with a problem. Handlers find
/// the [`HttpContext`] in the request's extensions.
#[must_use]
pub fn layer<S: Send + Sync + 'static>(app: &App<S>) -> RequestLayer {
    RequestLayer {
        application: app.name().to_owned(),
    }
}

/// Made by [`layer`].
#[derive(Debug, Clone)]
pub struct RequestLayer {
    application: String,
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService {
            inner,
            application: self.application.clone(),
        }
    }
}

/// Made by [`RequestLayer`].
#[derive(Debug, Clone)]
pub struct RequestService<S> {
    inner: S,
    application: String,
}

impl<S> Service<Request> for RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let context = HttpContext::from_headers(request.headers());
        let span = span(&self.application, &context, &request);
        request.extensions_mut().insert(context.clone());
        // The clone that was polled ready is the one that is called.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let answer = async move {
            // A handler may panic before it has made its future.
            let answer = AssertUnwindSafe(async { inner.call(request).await })
                .catch_unwind()
                .await;
            let response = match answer {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    tracing::error!("a handler panicked");
                    Problem::internal().into_response()
                }
            };
            Ok(finish(response, &context))
        };
        answer.instrument(span).boxed()
    }
}

fn span(application: &str, context: &HttpContext, request: &Request) -> Span {
    let path = request.uri().path();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let address = request
        .extensions()
        .get::<ConnectInfo<std::net::SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| address.ip().to_string());
    tracing::info_span!(
        "http.request",
        service.name = application,
        http.request.method = %request.method(),
        http.route = route,
        url.path = path,
        client.address = address,
        http.response.status_code = field::Empty,
        trace.parent = context.traceparent,
        name = path,
        requestID = context.request_id,
        requestIP = address,
        requestURL = path,
        requestMethod = %request.method(),
    )
}

/// Records the status, echoes the request's id, and puts it into a problem's body.
fn finish(mut response: Response, context: &HttpContext) -> Response {
    Span::current().record("http.response.status_code", response.status().as_u16());
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        *response.body_mut() = Body::from(problem.body(Some(&context.request_id)));
    }
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
