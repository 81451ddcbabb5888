//! What a workflow route reads of a request.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, MatchedPath, OriginalUri, Query, RawPathParams, Request},
};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use stepwell_core::CallId;

use crate::{
    argument::Parts,
    context::HttpContext,
    idempotency::{IdempotencyKey, KeyForm, Principal},
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
    /// The path as the client asked for it, whatever router it came through.
    pub(crate) path: String,
    pub(crate) context: HttpContext,
    /// `Prefer: wait=…` in seconds ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240)).
    pub(crate) prefer_wait_s: Option<u64>,
}

impl WorkflowRequest {
    /// Reads all of it; the body up to `body_bytes_max`.
    pub(crate) async fn read<S: Send + Sync>(
        request: Request,
        state: &S,
        body_bytes_max: usize,
    ) -> Result<Self, Problem> {
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
        let original = parts.extensions.get::<OriginalUri>();
        let path = original.map_or(&parts.uri, |OriginalUri(uri)| uri).path();
        let path = path.to_owned();
        let endpoint = format!("{} {route}", parts.method);
        let principal = parts.extensions.get::<Principal>().cloned();
        let context = parts.extensions.get::<HttpContext>().cloned();
        let context = context.unwrap_or_else(|| HttpContext::from_headers(&parts.headers));
        let path_parameters = path_parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let path_parameters = path_parameters.collect();
        let body = read_json(&parts.headers, body, body_bytes_max).await?;
        let prefer_wait_s = prefer_wait(&parts.headers);
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
    pub(crate) fn workflow_id(&self, form: Option<KeyForm>) -> Option<CallId> {
        let key = self.key.as_ref()?;
        Some(key.workflow_id(form?, &self.endpoint, self.principal.as_ref()))
    }
}

/// Reads a body of JSON; none if it is empty.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Option<Value>, Problem> {
    let bytes = read_bytes(body, bytes_max).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(headers) {
        return Err(not_json());
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| bad(format!("the body is no JSON: {error}")))
}

/// Reads a body, and no more of it than is allowed.
pub(crate) async fn read_bytes(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| bad("the body ended too early"))?;
        if bytes.len() + chunk.len() > bytes_max {
            let detail = format!("the body has more than the {bytes_max} bytes that are allowed");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

pub(crate) fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the body must be JSON: send the header `content-type: application/json`",
    )
}

/// `application/json` and what is made of it, `application/…+json`, in any case and with any
/// parameters ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1)).
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// `Prefer: respond-async, wait=10` ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)).
/// A preference that makes no sense is none.
fn prefer_wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse().ok())
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// An id as one segment of a path ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2)).
pub(crate) fn percent_encoded(id: &str) -> String {
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}
