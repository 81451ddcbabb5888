//! What a workflow route reads of a request before its body.

use axum::extract::{FromRequestParts, MatchedPath, OriginalUri, Query, RawPathParams};
use http::{StatusCode, request::Parts};
use stepwell_core::CallId;

use crate::{
    context::HttpContext,
    cross_site::check_by_itself,
    idempotency::{IdempotencyKey, KeyForm, Principal},
    problem::Problem,
};

/// How many parameters a query may have.
const PARAMETERS_MAX: usize = 1_000;

/// A request to a workflow route, without its body.
#[derive(Debug)]
pub(crate) struct WorkflowRequest {
    /// The path's parameters, in their order.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
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
    /// Reads all but the body, and refuses what another site has sent.
    pub(crate) async fn read<S: Send + Sync>(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        check_by_itself(parts)?;
        let key = IdempotencyKey::from_headers(&parts.headers)?;
        let parameters = RawPathParams::from_request_parts(parts, state).await;
        let parameters = parameters.map_err(|error| bad(error.body_text()))?;
        let parameters = parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .map(|route| route.as_str().to_owned());
        let route = route.unwrap_or_else(|| parts.uri.path().to_owned());
        let original = parts.extensions.get::<OriginalUri>();
        let path = original.map_or(&parts.uri, |OriginalUri(uri)| uri).path();
        let context = parts.extensions.get::<HttpContext>().cloned();
        Ok(Self {
            parameters: parameters.collect(),
            query: query(parts)?,
            key,
            principal: parts.extensions.get::<Principal>().cloned(),
            endpoint: format!("{} {route}", parts.method),
            path: path.to_owned(),
            context: context.unwrap_or_else(|| HttpContext::from_headers(&parts.headers)),
            prefer_wait_s: prefer_wait(parts),
        })
    }

    /// The id of the workflow, if the request names one.
    pub(crate) fn workflow_id(&self, form: Option<KeyForm>) -> Option<CallId> {
        let key = self.key.as_ref()?;
        Some(key.workflow_id(form?, &self.endpoint, self.principal.as_ref()))
    }
}

fn query(parts: &Parts) -> Result<Vec<(String, String)>, Problem> {
    let separators = parts.uri.query().unwrap_or_default().matches('&').count();
    if separators >= PARAMETERS_MAX {
        return Err(bad(format!(
            "the query has {} parameters, at most {PARAMETERS_MAX} are allowed",
            separators + 1
        )));
    }
    let query = Query::try_from_uri(&parts.uri).map_err(|error| bad(error.body_text()))?;
    Ok(query.0)
}

/// `Prefer: respond-async, wait=10` ([RFC 7240](https://www.rfc-editor.org/rfc/rfc7240#section-4.3)).
/// A preference that makes no sense is none.
fn prefer_wait(parts: &Parts) -> Option<u64> {
    let values = parts.headers.get_all("prefer").iter();
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
