//! What these routes read of a request.

use axum::extract::{FromRequestParts, Request};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use stepwell_core::Client;

use crate::{
    access,
    idempotency::Principal,
    problem::Problem,
    request::{is_json, not_json, read_json},
};

/// What the routes share.
#[derive(Debug, Clone)]
pub(super) struct Operators {
    pub(super) client: Client,
    pub(super) body_bytes_max: usize,
}

/// A caller who may look.
#[derive(Debug)]
pub(super) struct Reader;

impl<R: Sync> FromRequestParts<R> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _state: &R,
    ) -> Result<Self, Problem> {
        access::may_read(&parts.extensions).map(|()| Self)
    }
}

/// A caller who may act.
#[derive(Debug)]
pub(super) struct Writer;

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
        Ok(Self)
    }
}

/// Says in the log who asked for what.
fn log(parts: &http::request::Parts) {
    let principal = parts.extensions.get::<Principal>().map(|it| it.0.as_str());
    let (method, path) = (&parts.method, parts.uri.path());
    tracing::info!(%method, path, principal, "an operator acts on dead letters");
}

/// The body as `T`; an empty one is an object without members.
pub(super) async fn body<T: DeserializeOwned>(
    request: Request,
    bytes_max: usize,
) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let read = read_json(&parts.headers, body, bytes_max).await?;
    let value = read.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    serde_json::from_value(value).map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the body: {error}"),
        )
    })
}
