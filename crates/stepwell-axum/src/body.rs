//! Reads bodies, and no more of them than is allowed.

mod survey;

use std::error::Error as StdError;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};

use crate::{problem::Problem, serve::BodyTimedOut};
pub(crate) use survey::survey;

/// How large a body may be unless a route says otherwise: what axum's own extractors take. It is held in
/// memory as a whole, by everybody who sends one.
pub(crate) const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Up to here a body is parsed where it was read; a larger one would hold up the others on the same
/// thread.
const PARSED_HERE_BYTES_MAX: usize = 64 * 1024;

/// Reads a body.
///
/// # Errors
/// 413 if it is too large, 408 if it took too long, 400 if it broke off.
pub(crate) async fn read_bytes(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    read(body, bytes_max, || Ok(())).await
}

/// Reads a body that is JSON, or empty.
///
/// # Errors
/// As [`read_bytes`], and 415 for a body of another type, before any of it is kept.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let check_type = || match is_json(headers) {
        true => Ok(()),
        false => Err(not_json()),
    };
    read(body, bytes_max, check_type).await
}

/// `begins` is asked when there is something to read.
async fn read(
    body: Body,
    bytes_max: usize,
    begins: impl Fn() -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body has more than the {bytes_max} bytes that are allowed");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let said = body.size_hint().lower();
    if said > 0 {
        begins()?;
    }
    if usize::try_from(said).is_ok_and(|said| said > bytes_max) {
        return Err(too_large());
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        if bytes.is_empty() && !chunk.is_empty() {
            begins()?;
        }
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

fn broken_off(error: &axum::Error) -> Problem {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<BodyTimedOut>() {
            let detail = "the body did not come in time; send it faster, or in smaller parts";
            return Problem::new(StatusCode::REQUEST_TIMEOUT, detail);
        }
        cause = error.source();
    }
    Problem::new(StatusCode::BAD_REQUEST, "the body ended too early")
}

/// Does what takes long for a large body on a thread where it holds up nobody.
pub(crate) async fn parse<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes <= PARSED_HERE_BYTES_MAX {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(parsed) => parsed,
        Err(error) => match error.try_into_panic() {
            // As if it had happened here: the layer answers it.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::internal()),
        },
    }
}

/// The refusal of a body that is no JSON.
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
