//! [`layer`]: a request id, a span and an answer for panics, around a router.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, MatchedPath, OriginalUri, Request},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use http::HeaderValue;
use stepwell_core::App;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use crate::{
    context::HttpContext,
    cross_site::{Checked, CrossSite},
    problem::Problem,
    store_timeout::StoreTimeout,
};

const REQUEST_ID: &str = "x-request-id";

/// A layer for a router whose routes are workflows.
///
/// - Reads or makes the request's id, and echoes it as `x-request-id`.
/// - Opens a span with the names of the [OpenTelemetry HTTP
///   conventions](https://opentelemetry.io/docs/specs/semconv/http/http-spans/) and the five names
///   `name`, `requestID`, `requestIP`, `requestURL`, `requestMethod`. `trace.parent` is the
///   `traceparent` that came in. Query strings may hold secrets: they are recorded only after
///   [`RequestLayer::record_query`].
/// - Answers a panic of a handler with a 500.
/// - Adds the request's id to the body of a [`Problem`].
/// - Refuses with 403 what a page of another site makes a browser send, if it is no `GET`, `HEAD` or
///   `OPTIONS`: by `Sec-Fetch-Site`, in older browsers by `Origin`. What [`RequestLayer::allow_origin`]
///   names is let through. Programs that are no browser send neither header.
/// - Bounds how long requests wait for the database ([`RequestLayer::store_timeout`]).
///
/// Handlers find the [`HttpContext`] in the request's extensions. Put the layer around the routes
/// (`Router::layer`), so that it knows which of them was asked for.
#[must_use]
pub fn layer<S: Send + Sync + 'static>(app: &App<S>) -> RequestLayer {
    RequestLayer {
        settings: Arc::new(Settings {
            application: app.name().to_owned(),
            records_query: false,
            cross_site: CrossSite::default(),
            store_timeout: StoreTimeout::default(),
        }),
    }
}

/// Made by [`layer`].
#[derive(Debug, Clone)]
pub struct RequestLayer {
    settings: Arc<Settings>,
}

#[derive(Debug, Clone)]
struct Settings {
    application: String,
    records_query: bool,
    cross_site: CrossSite,
    store_timeout: StoreTimeout,
}

impl RequestLayer {
    /// Records query strings, as `url.query` and at the end of `requestURL`.
    #[must_use]
    pub fn record_query(mut self) -> Self {
        Arc::make_mut(&mut self.settings).records_query = true;
        self
    }

    /// Takes requests that pages of this origin send, too: `https://app.example`, as a browser writes it
    /// in the header `Origin`. To be readable for such a page the answers also need CORS headers.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        settings.cross_site.allow(origin.into());
        self
    }

    /// Takes requests that pages of any site send. For routes that no cookie and no network address
    /// gives a right to.
    pub fn allow_cross_site(mut self) -> Self {
        Arc::make_mut(&mut self.settings).cross_site = CrossSite::Allowed;
        self
    }

    /// How long a request waits for the database before it is answered 503; 2.5 s unless said otherwise.
    /// The commit of a [`transaction`](crate::transaction()) has no bound (see [`StoreTimeout`]).
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.settings).store_timeout = StoreTimeout(timeout);
        self
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService {
            inner,
            settings: Arc::clone(&self.settings),
        }
    }
}

/// Made by [`RequestLayer`].
#[derive(Debug, Clone)]
pub struct RequestService<S> {
    inner: S,
    settings: Arc<Settings>,
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
        let span = span(&self.settings, &context, &request);
        let let_in =
            self.settings
                .cross_site
                .check(request.method(), request.uri(), request.headers());
        request.extensions_mut().insert(context.clone());
        request.extensions_mut().insert(self.settings.store_timeout);
        request.extensions_mut().insert(Checked);
        // The clone that was polled ready is the one that is called.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let answer = async move {
            if let Err(refused) = let_in {
                return Ok(finish(refused.into_response(), &context));
            }
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

fn span(settings: &Settings, context: &HttpContext, request: &Request) -> Span {
    let uri = match request.extensions().get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri,
        None => request.uri(),
    };
    let path = uri.path();
    let query = uri.query().filter(|_| settings.records_query);
    let url = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
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
        otel.name = format!("{} {}", request.method(), route.unwrap_or_default()).trim_end(),
        otel.kind = "server",
        service.name = settings.application,
        http.request.method = %request.method(),
        http.route = route,
        url.path = path,
        url.query = query,
        client.address = address,
        http.response.status_code = field::Empty,
        trace.parent = context.traceparent,
        name = path,
        requestID = context.request_id,
        requestIP = address,
        requestURL = url,
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
