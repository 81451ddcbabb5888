//! What a workflow route reads of a request.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, MatchedPath, Query, RawPathParams, Request},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::{
    argument::Parts,
    context::HttpContext,
    idempotency::{IdempotencyKey, Principal},
    problem::Problem,
};

/// A request to a workflow route.
#[derive(Debug)]
pub(crate) struct WorkflowRequest {
    pub(crate) parts: Parts,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) principal: Option<Principal>,
    /// `POST /orders/{id}`.
    pub(crate) endpoint: String,
    /// The path as it was asked for.
    pub(crate) path: String,
    pub(crate) context: Option<HttpContext>,
    /// `Prefer: wait=…` in seconds ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240)).
    pub(crate) prefer_wait_s: Option<u64>,
}

impl WorkflowRequest {
    pub(crate) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let key = IdempotencyKey::from_headers(&parts.headers)?;
        let path_parameters = RawPathParams::from_request_parts(&mut parts, state).await;
        let path_parameters = path_parameters.map_err(|error| bad(error.body_text()))?;
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| bad(error.body_text()))?;
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .map(|route| route.as_str().to_owned());
        let route = route.unwrap_or_else(|| parts.uri.path().to_owned());
        let (headers, path) = (parts.headers.clone(), parts.uri.path().to_owned());
        let endpoint = format!("{} {route}", parts.method);
        let principal = parts.extensions.get::<Principal>().cloned();
        let context = parts.extensions.get::<HttpContext>().cloned();
        let path_parameters = path_parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let path_parameters = path_parameters.collect();
        let body = read_body(Request::from_parts(parts, body), state, &headers).await?;
        let prefer_wait_s = prefer_wait(&headers);
        let parts = Parts {
            path: path_parameters,
            query: query.0,
            body,
        };
        Ok(Self {
            parts,
            key,
            principal,
            endpoint,
            path,
            context,
            prefer_wait_s,
        })
    }

    /// The id of the workflow, if the request names one.
    pub(crate) fn workflow_id(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        Some(key.workflow_id(&self.endpoint, self.principal.as_ref()))
    }
}

async fn read_body<S: Send + Sync>(
    request: Request,
    state: &S,
    headers: &HeaderMap,
) -> Result<Option<Value>, Problem> {
    let bytes = Bytes::from_request(request, state).await;
    let bytes = bytes.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !(essence == "application/json" || essence.ends_with("+json")) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON: send the header `content-type: application/json`",
        ));
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| bad(format!("the body is no JSON: {error}")))
}

fn prefer_wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .find_map(|preference| preference.trim().strip_prefix("wait="))
        .and_then(|seconds| seconds.trim_matches('"').parse().ok())
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
