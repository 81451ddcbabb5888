//! [`transaction`]: a handler that is one transaction.

use std::{fmt, marker::PhantomData, time::Duration};

use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    handler::Handler,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use stepwell_core::{App, Isolation, Provide, Tx, TxOptions};

use super::until_committed;
use crate::{
    body::{BODY_BYTES_MAX, read_bytes},
    cross_site::check_by_itself,
    problem::{AsProblem, Problem},
    store_timeout::StoreTimeout,
};

/// Makes a handler of a function whose first argument is a transaction, and whose other arguments
/// (up to four) are extractors.
///
/// The request is read before the transaction begins. It is committed if the function returns a
/// value, undone if it returns an error or panics, and the function is run again, with the request as
/// it came in, when another transaction was in the way. It is not part of a workflow: a request that
/// is sent twice runs it twice. Requests that a page of another site makes a browser send are refused with
/// 403 (see [`layer()`](crate::layer())).
///
/// From the beginning of the transaction to the end of the function it has the time that [`StoreTimeout`]
/// says, all runs together; then it is undone, and the answer is a 503. The commit is waited for as long as
/// it takes. A function that needs longer is told so by [`TransactionRoute::store_timeout`].
///
/// ```
/// use axum::{Router, extract::Path, routing::get};
/// use http::StatusCode;
/// use stepwell::{App, SqliteTx, axum::HttpError};
///
/// #[derive(stepwell::State)]
/// struct Shop {
///     #[provide]
///     pool: sqlx::SqlitePool,
/// }
///
/// async fn buyer(mut tx: SqliteTx, Path(order): Path<i64>) -> stepwell::Result<String> {
///     let found = sqlx::query_scalar("select buyer from orders where id = ?").bind(order);
///     let missing = HttpError::new(StatusCode::NOT_FOUND).message("Order not found");
///     Ok(found.fetch_optional(&mut tx).await?.ok_or(missing)?)
/// }
///
/// # fn routes() -> Router<App<Shop>> {
/// Router::new().route("/orders/{order}", get(stepwell::axum::transaction(buyer)))
/// # }
/// ```
pub fn transaction<F, X, T>(handler: F) -> TransactionRoute<F, X, T> {
    TransactionRoute {
        handler,
        options: TxOptions::default(),
        body_bytes_max: None,
        store_timeout: None,
        arguments: PhantomData,
    }
}

/// Made by [`transaction`].
pub struct TransactionRoute<F, X, T> {
    handler: F,
    options: TxOptions,
    body_bytes_max: Option<usize>,
    store_timeout: Option<StoreTimeout>,
    arguments: PhantomData<fn(X, T)>,
}

impl<F, X, T> TransactionRoute<F, X, T> {
    /// Isolates the transaction at least so much from others that run at the same time. What
    /// conflicts with another one is undone and runs again.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.options.isolation = Some(isolation);
        self
    }

    /// How large the body of a request may be; 2 MiB if nothing is said, or what the application takes as
    /// a payload if that is less. A larger one is a 413.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// Bounds the time from the beginning of the transaction to its commit; unless said otherwise it is what
    /// [`RequestLayer::store_timeout`](crate::RequestLayer::store_timeout) says, 2.5 s.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = Some(StoreTimeout(timeout));
        self
    }

    /// Lets the transaction read only: nothing that its code writes is kept.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.options.read_only = true;
        self
    }
}

impl<F: Clone, X, T> Clone for TransactionRoute<F, X, T> {
    fn clone(&self) -> Self {
        Self {
            handler: self.handler.clone(),
            options: self.options,
            body_bytes_max: self.body_bytes_max,
            store_timeout: self.store_timeout,
            arguments: PhantomData,
        }
    }
}

impl<F, X, T> fmt::Debug for TransactionRoute<F, X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionRoute")
    }
}

/// The body of a transaction, with all that it needs of the request.
type Body<X, E> = Box<dyn FnOnce(X) -> BoxFuture<'static, Result<Response, E>> + Send>;

/// A function that [`transaction`] takes: `async fn(tx, extractors…) -> Result<impl IntoResponse, E>`
/// where `E` is a [`Failure`](stepwell_core::Failure), an [`HttpError`](crate::HttpError), a
/// [`Problem`] or an error of yours that is [`AsProblem`].
pub trait TxHandler<X, R, T>: Clone + Send + Sync + 'static {
    /// What the function fails with.
    type Error: AsProblem + Send;

    /// Reads what the function asks for.
    #[doc(hidden)]
    fn prepare(
        self,
        request: Request,
        state: &R,
    ) -> impl Future<Output = Result<Body<X, Self::Error>, Response>> + Send;
}

macro_rules! tx_handler {
    ($($part:ident)* => $last:ident) => {
        impl<F, Fut, X, R, M, O, E, $($part,)* $last> TxHandler<X, R, (M, $($part,)* $last,)> for F
        where
            F: Fn(X, $($part,)* $last) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<O, E>> + Send,
            X: Send + 'static,
            R: Send + Sync,
            O: IntoResponse,
            E: AsProblem + Send,
            $($part: FromRequestParts<R> + Send + 'static,)*
            $last: FromRequest<R, M> + Send + 'static,
        {
            type Error = E;

            #[allow(non_snake_case, unused_mut, reason = "the macro names values after types")]
            async fn prepare(self, request: Request, state: &R) -> Result<Body<X, E>, Response> {
                let (mut parts, body) = request.into_parts();
                $(let $part = $part::from_request_parts(&mut parts, state)
                    .await
                    .map_err(IntoResponse::into_response)?;)*
                let request = Request::from_parts(parts, body);
                let $last = $last::from_request(request, state)
                    .await
                    .map_err(IntoResponse::into_response)?;
                Ok(Box::new(move |tx| {
                    Box::pin(async move {
                        self(tx, $($part,)* $last).await.map(IntoResponse::into_response)
                    })
                }))
            }
        }
    };
}

impl<F, Fut, X, R, O, E> TxHandler<X, R, ()> for F
where
    F: Fn(X) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<O, E>> + Send,
    X: Send + 'static,
    R: Send + Sync,
    O: IntoResponse,
    E: AsProblem + Send,
{
    type Error = E;

    async fn prepare(self, _: Request, _: &R) -> Result<Body<X, E>, Response> {
        Ok(Box::new(move |tx| {
            Box::pin(async move { self(tx).await.map(IntoResponse::into_response) })
        }))
    }
}

tx_handler!(=> A);
tx_handler!(A => B);
tx_handler!(A B => C);
tx_handler!(A B C => D);

impl<F, X, T, S, R> Handler<(S, X, T), R> for TransactionRoute<F, X, T>
where
    F: TxHandler<X, R, T>,
    X: Tx,
    T: 'static,
    S: Provide<X::Source> + Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
    App<S>: FromRef<R>,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, state: R) -> Self::Future {
        let app = App::<S>::from_ref(&state);
        Box::pin(async move {
            let answer = run(self, &app, request, &state).await;
            answer.unwrap_or_else(|response| response)
        })
    }
}

/// Reads the request, then runs the transaction; the request is read anew for each further run.
async fn run<F, X, T, S, R>(
    route: TransactionRoute<F, X, T>,
    app: &App<S>,
    request: Request,
    state: &R,
) -> Result<Response, Response>
where
    F: TxHandler<X, R, T>,
    X: Tx,
    S: Provide<X::Source> + Send + Sync + 'static,
    R: Send + Sync,
{
    let (parts, body) = request.into_parts();
    check_by_itself(&parts).map_err(IntoResponse::into_response)?;
    let bytes_max = route.body_bytes_max;
    let bytes_max = bytes_max.unwrap_or_else(|| app.payload_bytes_max().min(BODY_BYTES_MAX));
    let body = read_bytes(body, bytes_max).await;
    let body = body.map_err(IntoResponse::into_response)?;
    let again = || Request::from_parts(parts.clone(), body.clone().into());
    let handler = &route.handler;
    let mut first = Some(handler.clone().prepare(again(), state).await?);
    let in_time = StoreTimeout::of(&parts.extensions);
    let in_time = route.store_timeout.unwrap_or(in_time).running_out();
    let source = app.state().provide();
    let committed = until_committed(source, route.options, &in_time, |tx: X| {
        let prepared = first.take();
        let (handler, request, in_time) = (handler.clone(), again(), in_time());
        async move {
            let body = match prepared {
                Some(body) => Ok(body),
                None => handler.prepare(request, state).await,
            };
            match body {
                Ok(body) => {
                    let answer = body(tx);
                    let answer = async { answer.await.map_err(|error| error.as_problem()) };
                    in_time.bound(answer).await
                }
                // What could be read once can be read again, unless an extractor has changed its mind.
                Err(_) => Err(Problem::internal()),
            }
        }
    });
    committed.await.map_err(IntoResponse::into_response)
}
