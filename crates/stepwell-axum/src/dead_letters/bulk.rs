//! Workflows that try many dead letters again.

use axum::{
    Json,
    extract::{OriginalUri, Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::{
    Client, Payload, StartOutcome, State as Is, Workflow as _, WorkflowId,
    redrive::{PROGRESS, Redrive, RedriveFrom, redrive},
    store::{Filter, Rate, Workflow},
};

use super::operators::{Id, Operators, Reader, Writer, body};
use crate::{problem::Problem, request::percent_encoded, status::look_up};

/// What is asked for. Not `Redrive` itself: what may be left out differs, and what is not known is
/// refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: Option<String>,
    name: Option<String>,
    state: Option<Is>,
    fingerprint: Option<String>,
    queue: Option<String>,
    from: Option<RedriveFrom>,
    rate: Option<Rate>,
    letters_max: Option<u64>,
    failures_max: Option<u32>,
}

impl From<Asked> for Redrive {
    fn from(asked: Asked) -> Self {
        let from = asked.from.unwrap_or(RedriveFrom::FailedStep);
        let usual = Self::of("", from);
        Self {
            name: asked.name,
            state: asked.state,
            fingerprint: asked.fingerprint,
            queue: asked.queue,
            rate: asked.rate.unwrap_or(usual.rate),
            letters_max: asked.letters_max,
            failures_max: asked.failures_max,
            ..usual
        }
    }
}

pub(super) async fn start(
    Writer(in_time): Writer,
    State(operators): State<Operators>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Result<Response, Problem> {
    let mut asked: Asked = body(request, operators.body_bytes_max).await?;
    let made_up = || WorkflowId::generate().to_string();
    let id = asked.id.take().unwrap_or_else(made_up);
    let wanted: Redrive = asked.into();
    let started = operators.client.redrive_all(&id, &wanted);
    let started = in_time.bound(started).await?;
    let status = match started {
        StartOutcome::New => StatusCode::ACCEPTED,
        StartOutcome::Existing(_) => StatusCode::OK,
    };
    let location = format!(
        "{}/{}",
        uri.path().trim_end_matches('/'),
        percent_encoded(&id)
    );
    let answer = (
        status,
        [(header::LOCATION, location)],
        Json(json!({ "id": id })),
    );
    Ok(answer.into_response())
}

pub(super) async fn list(
    Reader(in_time): Reader,
    State(operators): State<Operators>,
) -> Result<Json<Value>, Problem> {
    let filter = Filter {
        name: Some(redrive::NAME.to_owned()),
        ..Filter::default()
    };
    let redrives = in_time.bound(operators.client.list(filter)).await?;
    Ok(Json(json!({ "redrives": redrives })))
}

/// A redrive and how far it has come.
#[derive(Debug, Serialize)]
struct Job {
    #[serde(flatten)]
    workflow: Workflow,
    progress: Option<Payload>,
}

pub(super) async fn show(
    Reader(in_time): Reader,
    State(operators): State<Operators>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let read = async {
        let workflow = job(&operators.client, &id).await?;
        Ok::<_, Problem>((workflow, operators.client.events(&id).await?))
    };
    let (workflow, events) = in_time.bound(read).await?;
    let progress = events
        .into_iter()
        .find(|event| event.name == PROGRESS.name());
    let job = Job {
        workflow,
        progress: progress.map(|event| event.value),
    };
    Ok(Json(job).into_response())
}

/// A workflow that must be a redrive: these routes are no way to others.
async fn job(client: &Client, id: &str) -> Result<Workflow, Problem> {
    let found = look_up(client, id).await?;
    if found.name == redrive::NAME {
        return Ok(found);
    }
    let detail = format!("there is no redrive `{id}`");
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

pub(super) async fn stop(
    Writer(in_time): Writer,
    State(operators): State<Operators>,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let stop = async {
        job(&operators.client, &id).await?;
        operators.client.cancel(&id).await?;
        Ok::<_, Problem>(())
    };
    in_time.bound(stop).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resume(
    Writer(in_time): Writer,
    State(operators): State<Operators>,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let resume = async {
        job(&operators.client, &id).await?;
        operators.client.resume(&id).await?;
        Ok::<_, Problem>(())
    };
    in_time.bound(resume).await?;
    Ok(StatusCode::NO_CONTENT)
}
