//! Errors as `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).

use std::fmt;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use stepwell_core::{Error, ErrorKind, Failure, WorkflowError};

/// What a client is told about an error. The body has the members of RFC 9457 and, for clients of
/// the library that the seed documents describe, `message`, `dbos_error_code` and `dbos_error`.
///
/// What the server should keep to itself (causes, SQL, addresses of databases) never gets into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    code: Option<String>,
    workflow_id: Option<String>,
    retry_after_s: Option<u32>,
    location: Option<String>,
}

#[derive(Serialize)]
struct Body9457<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dbos_error_code: Option<&'a str>,
    dbos_error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Problem {
    /// An answer with this status; `detail` is read by whoever calls.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            code: None,
            workflow_id: None,
            retry_after_s: None,
            location: None,
        }
    }

    /// Adds a code that programs can tell apart.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Names the workflow that the answer is about.
    #[must_use]
    pub fn workflow(mut self, id: impl Into<String>) -> Self {
        self.workflow_id = Some(id.into());
        self
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Says where to look instead: the header `Location`, and the member `instance`.
    #[must_use]
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, as a value.
    pub(crate) fn to_json(&self, request_id: Option<&str>) -> Value {
        let body = Body9457 {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: self.location.as_deref(),
            message: &self.detail,
            dbos_error_code: self.code.as_deref(),
            dbos_error: "DBOSException",
            workflow_id: self.workflow_id.as_deref(),
            request_id,
        };
        serde_json::to_value(&body).unwrap_or_default()
    }

    pub(crate) fn body(&self, request_id: Option<&str>) -> String {
        self.to_json(request_id).to_string()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body(None)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(location) = self.location.as_deref().and_then(|to| to.parse().ok()) {
            headers.insert(header::LOCATION, location);
        }
        // The layer adds the request's id, which is known there.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
            ErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, error.to_string()),
            ErrorKind::Full => {
                let detail = "too much is waiting already; try again later";
                Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1)
            }
            ErrorKind::Timeout => Self::new(StatusCode::GATEWAY_TIMEOUT, error.to_string()),
            ErrorKind::Unavailable => {
                tracing::warn!(error = error.to_string(), "a request could not be served");
                let detail = "the service is not available just now; try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
            }
            _ => {
                tracing::error!(error = format!("{error:?}"), "a request failed");
                Self::internal()
            }
        }
    }
}

impl Problem {
    /// A 500 that says nothing: what happened belongs into the log, not to the client.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the request failed; the cause is in the log",
        )
    }
}

/// What an error of a workflow means to a client.
///
/// [`Failure`] has a status when it was made from an [`HttpError`](crate::HttpError), or with
/// [`Failure::with_status`]; without one it is a 500 whose message stays in the log. An error type
/// of your own is a 500 too, unless it says otherwise:
///
/// ```
/// use http::StatusCode;
/// use stepwell_axum::{AsProblem, Problem};
///
/// enum PaymentError {
///     Declined,
/// }
///
/// impl AsProblem for PaymentError {
///     fn as_problem(&self) -> Problem {
///         match self {
///             Self::Declined => Problem::new(StatusCode::PAYMENT_REQUIRED, "declined").code("DECLINED"),
///         }
///     }
/// }
///
/// enum Obscure {}
///
/// impl AsProblem for Obscure {} // always a 500
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it means to a client",
    label = "the error of this workflow is not `AsProblem`",
    note = "write `impl stepwell::axum::AsProblem for {Self} {{}}` to answer 500, or implement \
            `as_problem`"
)]
pub trait AsProblem {
    /// The answer. Everything in it is read by whoever calls.
    fn as_problem(&self) -> Problem {
        Problem::internal()
    }
}

impl AsProblem for Problem {
    fn as_problem(&self) -> Problem {
        self.clone()
    }
}

impl AsProblem for Failure {
    fn as_problem(&self) -> Problem {
        let status = self
            .status()
            .and_then(|status| StatusCode::from_u16(status).ok());
        let Some(status) = status else {
            let failure = format!("{self:?}");
            tracing::error!(failure, "a workflow failed");
            return Problem::internal();
        };
        let problem = Problem::new(status, self.to_string());
        match self.code() {
            Some(code) => problem.code(code),
            None => problem,
        }
    }
}

/// The answer to a request whose workflow did not end with an output: its own error, 409 when it was
/// cancelled, 504 when its deadline passed, 503 without a database, else a 500 that says nothing.
#[must_use]
pub fn problem_of<E: AsProblem>(error: WorkflowError<E>, workflow_id: &str) -> Problem {
    let problem = match error {
        WorkflowError::Failed(error) => error.as_problem(),
        WorkflowError::Cancelled => {
            Problem::new(StatusCode::CONFLICT, "the workflow was cancelled").code("CANCELLED")
        }
        WorkflowError::DeadlineExceeded => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the workflow's deadline passed",
        ),
        WorkflowError::Engine(error) => error.into(),
        other => {
            // Panics and mismatches speak of the code: for the log, not for the client.
            let reason = match &other {
                WorkflowError::Panicked(reason)
                | WorkflowError::Stuck(reason)
                | WorkflowError::Dead(reason) => reason.as_str(),
                _ => "unknown",
            };
            tracing::error!(workflow_id, reason, "a workflow did not end");
            Problem::internal()
        }
    };
    problem.workflow(workflow_id)
}
