//! What these routes read of a request.

use axum::extract::{FromRequestParts, Path, Request};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use stepwell_core::Client;

use crate::{
    access,
    body::{is_json, not_json, parse, read_json, survey},
    idempotency::Principal,
    problem::Problem,
    store_timeout::StoreTimeout,
};

/// What the routes share.
#[derive(Debug, Clone)]
pub(super) struct Operators {
    pub(super) client: Client,
    pub(super) body_bytes_max: usize,
}

/// A caller who may look, and how long the database may take to answer.
#[derive(Debug)]
pub(super) struct Reader(pub(super) StoreTimeout);

impl<R: Sync> FromRequestParts<R> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _state: &R,
    ) -> Result<Self, Problem> {
        access::may_read(&parts.extensions)?;
        Ok(Self(StoreTimeout::of(&parts.extensions)))
    }
}

/// A caller who may act, and how long the database may take to answer.
#[derive(Debug)]
pub(super) struct Writer(pub(super) StoreTimeout);

impl<R: Sync> FromRequestParts<R> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _state: &R,
    ) -> Result<Self, Problem> {
        access::may_write(&parts.extensions)?;
        // A form of another site can be posted in a browser's name, but not as JSON.
        if parts.method == Method::POST && !is_json(&parts.headers) {
            return Err(not_json());
        }
        log(parts);
        Ok(Self(StoreTimeout::of(&parts.extensions)))
    }
}

/// The id in the path.
#[derive(Debug)]
pub(super) struct Id(pub(super) String);

impl<R: Send + Sync> FromRequestParts<R> for Id {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &R,
    ) -> Result<Self, Problem> {
        let found = Path::<String>::from_request_parts(parts, state).await;
        found
            .map(|Path(id)| Self(id))
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// Says in the log who asked for what.
fn log(parts: &http::request::Parts) {
    let principal = parts.extensions.get::<Principal>().map(|it| it.0.as_str());
    let (method, path) = (&parts.method, parts.uri.path());
    tracing::info!(%method, path, principal, "an operator acts on dead letters");
}

/// The body as `T`; an empty one is an object without members.
pub(super) async fn body<T: DeserializeOwned + Send + 'static>(
    request: Request,
    bytes_max: usize,
) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let read = read_json(&parts.headers, body, bytes_max).await?;
    parse(read.len(), move || {
        survey(&read)?;
        let json: &[u8] = if read.is_empty() { b"{}" } else { &read };
        serde_json::from_slice(json).map_err(|error| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("the body: {error}"),
            )
        })
    })
    .await
}
