//! [`HttpError`]: an error with a status, for handlers and for workflows.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use stepwell_core::Failure;

use crate::problem::{AsProblem, Problem};

/// An error with an HTTP status, for handlers, steps and workflows.
///
/// In a step or a workflow `?` makes a [`Failure`] of it, which is recorded with status and code, so
/// that every later answer has them too. It is permanent: a retry policy stops at it.
///
/// ```
/// use http::StatusCode;
/// use stepwell_axum::HttpError;
///
/// fn check(id: &str) -> stepwell_core::Result<u64> {
///     let invalid = HttpError::new(StatusCode::BAD_REQUEST).code("INVALID_ID");
///     Ok(id.parse().map_err(|_| invalid.message("Invalid ID format"))?)
/// }
/// let failure = check("x").unwrap_err();
/// assert_eq!((failure.status(), failure.code()), (Some(400), Some("INVALID_ID")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    status: StatusCode,
    message: String,
    code: Option<String>,
}

impl HttpError {
    /// An error with a status; its message is the status's own until another one is given.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            message: status.canonical_reason().unwrap_or("Error").to_owned(),
            code: None,
        }
    }

    /// Says what is wrong; read by whoever calls.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds a code that programs can tell apart.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl AsProblem for HttpError {
    fn as_problem(&self) -> Problem {
        self.clone().into()
    }
}

// No `std::error::Error`, so that this can stand beside `Failure`'s blanket conversion.
impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let failure = Failure::msg(error.message)
            .with_status(error.status.as_u16())
            .permanent();
        match error.code {
            Some(code) => failure.with_code(code),
            None => failure,
        }
    }
}

impl From<HttpError> for Problem {
    fn from(error: HttpError) -> Self {
        let problem = Problem::new(error.status, error.message);
        match error.code {
            Some(code) => problem.code(code),
            None => problem,
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
