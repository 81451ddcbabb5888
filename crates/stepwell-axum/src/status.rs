//! [`status`]: the state and the result of a workflow, for clients that poll.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    marker::PhantomData,
    time::Duration,
};

use axum::{
    extract::{FromRef, FromRequestParts, Query, RawPathParams, Request},
    handler::Handler,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_core::{App, Client, Error, ErrorKind, State, Timestamp, Workflow, WorkflowError};

use crate::{
    authorize::{Authorizer, Decision, Target},
    problem::{AsProblem, Problem, problem_of},
    route::WorkflowFn,
    store_timeout::StoreTimeout,
};

/// The longest `?wait=`.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Answers `GET /jobs/{id}` with the workflow's status and, once it has ended, its result.
///
/// `status` has the names of the library that these routes replace (`SUCCESS`, `PENDING`,
/// `ENQUEUED`, `ERROR`, `CANCELLED`, `MAX_RECOVERY_ATTEMPTS_EXCEEDED`), `state` our own. `error` is
/// what [`run`](crate::run) would have answered: it holds nothing that a 500 would not.
///
/// The answer has an `ETag`, and is 304 to a matching `If-None-Match`
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)). `?wait=10` waits for the end
/// for up to that many seconds, at most 60. A workflow of another name is not found here, nor is one
/// that was started for another [`Principal`](crate::Principal): as soon as there is one in the request
/// or with the workflow, both must be the same. [`StatusRoute::authorize`] makes another rule.
pub fn status<A, F: WorkflowFn<A>>(workflow: F) -> StatusRoute<F::Workflow> {
    drop(workflow);
    StatusRoute {
        authorizer: Authorizer::default(),
        workflow: PhantomData,
    }
}

/// Made by [`status`].
pub struct StatusRoute<W> {
    authorizer: Authorizer,
    workflow: PhantomData<fn() -> W>,
}

impl<W> StatusRoute<W> {
    /// Says who may see a workflow, instead of the [`Principal`](crate::Principal) for whom it was
    /// started; the others are answered 404. See [`WorkflowRoute::authorize`](crate::WorkflowRoute::authorize).
    #[must_use]
    pub fn authorize(
        mut self,
        rule: impl Fn(&Extensions, Target<'_>) -> Decision + Send + Sync + 'static,
    ) -> Self {
        self.authorizer = Authorizer::own(rule);
        self
    }
}

impl<W> Clone for StatusRoute<W> {
    fn clone(&self) -> Self {
        Self {
            authorizer: self.authorizer.clone(),
            workflow: PhantomData,
        }
    }
}

impl<W> fmt::Debug for StatusRoute<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusRoute")
    }
}

#[derive(Debug, Default, Deserialize)]
struct Wait {
    wait: Option<u64>,
}

impl<W, R> Handler<W, R> for StatusRoute<W>
where
    W: Workflow,
    W::Error: AsProblem,
    R: Clone + Send + Sync + 'static,
    App<W::State>: FromRef<R>,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, state: R) -> Self::Future {
        let app = App::<W::State>::from_ref(&state);
        Box::pin(async move {
            let answer = answer::<W, R>(&self.authorizer, &app, request, &state).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        })
    }
}

async fn answer<W, R>(
    authorizer: &Authorizer,
    app: &App<W::State>,
    request: Request,
    state: &R,
) -> Result<Response, Problem>
where
    W: Workflow,
    W::Error: AsProblem,
    R: Send + Sync,
{
    let client = app.client();
    let (mut parts, _) = request.into_parts();
    let id = only_path_parameter(&mut parts, state).await?;
    let wait: Wait = Query::try_from_uri(&parts.uri)
        .map(|Query(wait)| wait)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let wait = Duration::from_secs(wait.wait.unwrap_or(0)).min(WAIT_MAX);
    let in_time = StoreTimeout::of(&parts.extensions);
    let found = in_time
        .bound(visible(authorizer, client, &parts.extensions, &id))
        .await?;
    if found.name != W::NAME {
        return Err(unknown(&id));
    }
    if !wait.is_zero() && !found.state.is_at_rest() {
        // How it ended is read below.
        tokio::select! {
            waited = client.wait(&id) => drop(waited?),
            () = tokio::time::sleep(wait) => {}
            () = app.stopping() => {}
        }
    }
    let body = in_time.bound(describe::<W>(app, &id)).await?;
    Ok(with_etag(&parts.headers, &body))
}

/// A workflow that must exist and that the client may see; what it may not see is not found.
pub(crate) async fn visible(
    authorizer: &Authorizer,
    client: &Client,
    caller: &Extensions,
    id: &str,
) -> Result<stepwell_core::store::Workflow, Problem> {
    let found = look_up(client, id).await?;
    match authorizer.may_see(client, caller, &found).await? {
        Decision::Allow => Ok(found),
        Decision::Deny => Err(unknown(id)),
    }
}

/// The only parameter of the route's path.
pub(crate) async fn only_path_parameter<R: Send + Sync>(
    parts: &mut http::request::Parts,
    state: &R,
) -> Result<String, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, state).await;
    let parameters =
        parameters.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let mut values = parameters.iter().map(|(_, value)| value.to_owned());
    match (values.next(), values.next()) {
        (Some(id), None) => Ok(id),
        _ => {
            tracing::error!("a route of a workflow's id has one path parameter: `/jobs/{{id}}`");
            Err(Problem::internal())
        }
    }
}

fn unknown(id: &str) -> Problem {
    Error::no_such_workflow(id).into()
}

/// A workflow that must exist. An id that no workflow could have is not found, either.
pub(crate) async fn look_up(
    client: &Client,
    id: &str,
) -> Result<stepwell_core::store::Workflow, Problem> {
    match client.get(id).await {
        Ok(found) => found.ok_or_else(|| unknown(id)),
        Err(error) if error.kind() == ErrorKind::Invalid => Err(unknown(id)),
        Err(error) => Err(error.into()),
    }
}

/// A workflow as clients see it.
async fn describe<W>(app: &App<W::State>, id: &str) -> Result<String, Problem>
where
    W: Workflow,
    W::Error: AsProblem,
{
    let workflow = look_up(app.client(), id).await?;
    let (result, error) = match workflow.state.is_at_rest() {
        false => (None, None),
        true => match app.handle::<W>(id).result().await {
            Ok(output) => (Some(output), None),
            // Trouble with the answer is no answer.
            Err(WorkflowError::Engine(error)) => return Err(error.into()),
            Err(error) => (None, Some(problem_of(error, id).to_json(None))),
        },
    };
    let described = Described {
        workflow_id: id,
        status: seed_name(workflow.state),
        state: workflow.state,
        result,
        error,
        created_at: workflow.created_at,
        ended_at: workflow.ended_at,
    };
    serde_json::to_string(&described).map_err(|error| {
        tracing::error!(workflow = id, %error, "a result cannot be written");
        Problem::internal()
    })
}

/// Written as it stands: on the way through a `Value` a result would lose digits.
#[derive(Serialize)]
struct Described<'a, T> {
    workflow_id: &'a str,
    status: &'static str,
    state: State,
    result: Option<T>,
    error: Option<Value>,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// The name that the seed documents' library gives a state.
pub(crate) fn seed_name(state: State) -> &'static str {
    match state {
        State::Delayed | State::Enqueued => "ENQUEUED",
        State::Running | State::Parked | State::Stuck | State::Unknown => "PENDING",
        State::Succeeded => "SUCCESS",
        State::Failed => "ERROR",
        State::Cancelled => "CANCELLED",
        State::Dead => "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
    }
}

/// An answer that is JSON already.
pub(crate) fn json_text(text: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text).into_response()
}

fn with_etag(headers: &HeaderMap, body: &str) -> Response {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let unchanged = known.is_some_and(|known| {
        known
            .split(',')
            .map(|tag| tag.trim())
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    });
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json_text(body.to_owned())
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
