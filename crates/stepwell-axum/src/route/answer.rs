//! What a workflow route answers.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::{Value, json};
use stepwell_core::{App, Handle, Workflow, WorkflowError};

use crate::{
    problem::{AsProblem, Problem, problem_of},
    status::json_text,
};

/// How long the end of a workflow may take to be written when the application has stopped.
const LAST_WRITES: Duration = Duration::from_millis(200);

/// The result if it comes in time, else 202: the workflow goes on, here or, after a shutdown,
/// elsewhere.
pub(super) async fn answer_within<W>(
    at_most: Duration,
    app: &App<W::State>,
    handle: &Handle<W>,
    location: &str,
) -> Response
where
    W: Workflow,
    W::Error: AsProblem,
{
    let too_late = async {
        tokio::select! {
            () = tokio::time::sleep(at_most) => {}
            () = async {
                app.stopped().await;
                tokio::time::sleep(LAST_WRITES).await;
            } => {}
        }
    };
    if at_most.is_zero() {
        return accepted(handle.id(), location);
    }
    tokio::select! {
        biased;
        result = handle.result() => answer_of::<W>(result, handle.id()),
        () = too_late => accepted(handle.id(), location),
    }
}

/// A result as an answer; the same for the first request and for every later one.
fn answer_of<W: Workflow>(result: Result<W::Output, WorkflowError<W::Error>>, id: &str) -> Response
where
    W::Error: AsProblem,
{
    match result {
        // Not by way of a `Value`, which has no room for all numbers.
        Ok(output) => match serde_json::to_string(&output) {
            Ok(text) => json_text(text),
            Err(_) => Problem::internal().workflow(id).into_response(),
        },
        Err(error) => problem_of(error, id).into_response(),
    }
}

pub(super) fn still_running(id: &str) -> Problem {
    let detail = "the first request with this idempotency key is still on its way; ask again for \
                  its result";
    Problem::new(StatusCode::CONFLICT, detail)
        .workflow(id)
        .retry_after(1)
}

/// What the key belongs to is not said: the client may not be allowed to know.
pub(super) fn key_of_another(id: &str) -> Problem {
    let detail = "the idempotency key was used with another request; use a new one";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).workflow(id)
}

fn accepted(id: &str, location: &str) -> Response {
    let body: Value = json!({ "workflow_id": id, "status": "started" });
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
