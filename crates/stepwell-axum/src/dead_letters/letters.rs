//! Dead letters, one by one and in lists.

use axum::{
    Json,
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_core::{
    Client, Error, ErrorKind, Outcome, Payload, Record, State as Is, WorkflowKey,
    redrive::RedriveFrom,
    store::{Filter, Workflow},
};

use super::operators::{Id, Operators, Reader, Writer, body};
use crate::{problem::Problem, status::look_up};

/// The states of dead letters.
const STATES: [Is; 3] = [Is::Failed, Is::Stuck, Is::Dead];

pub(super) async fn groups(
    Reader(in_time): Reader,
    State(operators): State<Operators>,
) -> Result<Json<Value>, Problem> {
    let groups = in_time.bound(operators.client.dead_letters()).await?;
    Ok(Json(json!({ "groups": groups })))
}

/// The conditions of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conditions {
    name: Option<String>,
    state: Option<Is>,
    fingerprint: Option<String>,
    queue: Option<String>,
    #[serde(default)]
    acknowledged: bool,
    before: Option<i64>,
    #[serde(default)]
    limit: u32,
}

impl Conditions {
    fn filter(self) -> Result<Filter, Problem> {
        let states = match self.state {
            Some(state) if !state.is_dead_letter() => {
                let detail = format!(
                    "the state `{state}` is none of a dead letter; these are `failed`, `stuck` and \
                     `dead`"
                );
                return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
            }
            Some(state) => vec![state],
            None => STATES.to_vec(),
        };
        Ok(Filter {
            states,
            name: self.name,
            fingerprint: self.fingerprint,
            queue: self.queue,
            unacknowledged: !self.acknowledged,
            before: self.before.map(WorkflowKey),
            limit: self.limit,
            ..Filter::default()
        })
    }
}

#[derive(Debug, Serialize)]
struct Page {
    letters: Vec<Workflow>,
    /// The `before` of the next page; null on the last one.
    next: Option<i64>,
}

pub(super) async fn list(
    Reader(in_time): Reader,
    State(operators): State<Operators>,
    request: Request,
) -> Result<Response, Problem> {
    let conditions = Query::<Conditions>::try_from_uri(request.uri())
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let filter = conditions.0.filter()?;
    let size = filter.page_size();
    let letters = in_time.bound(operators.client.list(filter)).await?;
    // A full page may be the last one: then the next is empty.
    let is_full = u32::try_from(letters.len()).is_ok_and(|read| read == size);
    let next = letters.last().filter(|_| is_full).map(|it| it.key.0);
    Ok(Json(Page { letters, next }).into_response())
}

/// A letter with everything about it.
#[derive(Debug, Serialize)]
struct Letter {
    #[serde(flatten)]
    workflow: Workflow,
    input: Option<Payload>,
    error: Option<Payload>,
    operations: Vec<Record>,
}

pub(super) async fn show(
    Reader(in_time): Reader,
    State(operators): State<Operators>,
    Id(id): Id,
) -> Result<Response, Problem> {
    let read = async {
        let workflow = letter(&operators.client, &id, "shown here").await?;
        Ok::<_, Problem>((workflow, operators.client.history(&id).await?))
    };
    let (workflow, history) = in_time.bound(read).await?;
    let error = match history.result {
        Some(Outcome::Err(error)) => Some(error),
        _ => None,
    };
    let letter = Letter {
        workflow,
        input: history.input,
        error,
        operations: history.operations,
    };
    Ok(Json(letter).into_response())
}

/// A workflow that must be a dead letter: these routes are no way to others.
async fn letter(client: &Client, id: &str, done: &str) -> Result<Workflow, Problem> {
    let found = look_up(client, id).await?;
    if found.state.is_dead_letter() {
        return Ok(found);
    }
    let message = format!(
        "the workflow `{id}` is {}; only one that failed, is stuck or dead is {done}",
        found.state
    );
    Err(Error::new(ErrorKind::Conflict, message).into())
}

/// How a letter is tried again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    from: Option<RedriveFrom>,
    /// As it was written.
    input: Option<Payload>,
}

pub(super) async fn redrive(
    Writer(in_time): Writer,
    State(operators): State<Operators>,
    Id(id): Id,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let client = &operators.client;
    let again = match body(request, operators.body_bytes_max).await? {
        Again {
            from: Some(RedriveFrom::FailedStep),
            input: Some(_),
        } => {
            let detail = "a workflow with other arguments starts from its beginning: leave out `from`, \
                          or say `\"start\"`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Again {
            input: Some(input), ..
        } => {
            // What nests too deep could never be read as arguments.
            input.read::<Value>().map_err(|error| {
                let detail = format!("the input cannot be read: {error}");
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            })?;
            let redriven = client.redrive_with_input(&id, input);
            in_time.bound(redriven).await?
        }
        Again { from, input: None } => {
            let from = from.unwrap_or(RedriveFrom::FailedStep);
            in_time.bound(client.redrive(&id, from)).await?
        }
    };
    Ok(Json(json!({ "id": id, "again": again })))
}

/// What there is to say about a letter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    note: String,
}

pub(super) async fn acknowledge(
    Writer(in_time): Writer,
    State(operators): State<Operators>,
    Id(id): Id,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Note { note } = body(request, operators.body_bytes_max).await?;
    let acknowledged = operators.client.acknowledge(&id, &note);
    in_time.bound(acknowledged).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    Writer(in_time): Writer,
    State(operators): State<Operators>,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let delete = async {
        letter(&operators.client, &id, "deleted here").await?;
        operators.client.delete(&id).await?;
        Ok::<_, Problem>(())
    };
    in_time.bound(delete).await?;
    Ok(StatusCode::NO_CONTENT)
}
