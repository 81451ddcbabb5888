//! Workflows as routes: [`run`] and [`start`].

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRef, Request},
    handler::Handler,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use stepwell_core::{App, Call, ErrorKind, Handle, StartOutcome, State, Workflow, WorkflowError};

use crate::{
    argument::arguments,
    idempotency::KeyForm,
    problem::{AsProblem, Problem, problem_of},
    request::WorkflowRequest,
};

/// How long a synchronous route waits for its workflow unless it is told otherwise.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest `Prefer: wait`.
const PREFER_WAIT_MAX: Duration = Duration::from_secs(60);
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The function of a workflow with up to four arguments: what `#[workflow]` leaves in the place of
/// the function.
pub trait WorkflowFn<A>: Clone + Send + Sync + 'static {
    /// The workflow.
    type Workflow: Workflow;
    /// How many arguments it takes.
    const ARITY: usize;
}

macro_rules! workflow_fn {
    ($arity:literal $($argument:ident)*) => {
        impl<F, W, $($argument),*> WorkflowFn<(W, $($argument,)*)> for F
        where
            W: Workflow,
            F: Fn($($argument),*) -> Call<W> + Clone + Send + Sync + 'static,
        {
            type Workflow = W;
            const ARITY: usize = $arity;
        }
    };
}

workflow_fn!(0);
workflow_fn!(1 A);
workflow_fn!(2 A B);
workflow_fn!(3 A B C);
workflow_fn!(4 A B C D);

/// A route that is a workflow. Made by [`run`] and [`start`].
pub struct WorkflowRoute<W> {
    mode: Mode,
    arity: usize,
    joins: bool,
    sync_timeout: Duration,
    status_at: Option<Arc<str>>,
    workflow: PhantomData<fn() -> W>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Run,
    Start,
}

/// The endpoint *is* the workflow: answers 200 with its result.
///
/// With an `Idempotency-Key` the request can be sent again: once the workflow has ended, the answer
/// is the same, with `Idempotency-Replayed: true`; while it runs, it is 409 with `Retry-After` and
/// `Location` (see [`WorkflowRoute::joins`]). A key that was used with another request is a 422. A
/// workflow that takes longer than [`WorkflowRoute::sync_timeout`] is answered with 202 and goes on,
/// as it does when the client goes away.
pub fn run<A, F: WorkflowFn<A>>(workflow: F) -> WorkflowRoute<F::Workflow> {
    drop(workflow);
    WorkflowRoute::new(Mode::Run, F::ARITY)
}

/// Starts the workflow and answers 202 with its id and `Location`. `Prefer: wait=10` waits for the
/// result for up to that many seconds.
pub fn start<A, F: WorkflowFn<A>>(workflow: F) -> WorkflowRoute<F::Workflow> {
    drop(workflow);
    WorkflowRoute::new(Mode::Start, F::ARITY)
}

impl<W> WorkflowRoute<W> {
    fn new(mode: Mode, arity: usize) -> Self {
        Self {
            mode,
            arity,
            joins: false,
            sync_timeout: SYNC_TIMEOUT,
            status_at: None,
            workflow: PhantomData,
        }
    }

    /// Lets a second request with the same key wait for the result of the first one, instead of
    /// answering 409 while it runs.
    #[must_use]
    pub fn joins(mut self) -> Self {
        self.joins = true;
        self
    }

    /// How long [`run`] waits before it answers 202; 30 s unless said otherwise.
    #[must_use]
    pub fn sync_timeout(mut self, timeout: Duration) -> Self {
        self.sync_timeout = timeout;
        self
    }

    /// Where the status of a workflow is found: `/jobs` for a route `/jobs/{id}`. Without it
    /// `Location` is the request's own path with the id.
    #[must_use]
    pub fn status_at(mut self, path: impl Into<Arc<str>>) -> Self {
        self.status_at = Some(path.into());
        self
    }

    fn location(&self, request_path: &str, id: &str) -> String {
        let base = self
            .status_at
            .as_deref()
            .unwrap_or(request_path)
            .trim_end_matches('/');
        format!("{base}/{}", percent_encoded(id))
    }
}

impl<W> Clone for WorkflowRoute<W> {
    fn clone(&self) -> Self {
        Self {
            status_at: self.status_at.clone(),
            workflow: PhantomData,
            ..*self
        }
    }
}

impl<W> fmt::Debug for WorkflowRoute<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowRoute")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl<W, R> Handler<W, R> for WorkflowRoute<W>
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
            match self.answer(&app, request, &state).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            }
        })
    }
}

impl<W> WorkflowRoute<W>
where
    W: Workflow,
    W::Error: AsProblem,
{
    async fn answer<R: Send + Sync>(
        &self,
        app: &App<W::State>,
        request: Request,
        state: &R,
    ) -> Result<Response, Problem> {
        let request = WorkflowRequest::read(request, state).await?;
        let (id, scoped) = (
            request.workflow_id(),
            request.key.as_ref().map(|key| key.form()),
        );
        let mut call = Call::<W>::new(arguments(self.arity, request.parts)?);
        call = call.origin(request.endpoint);
        if let Some(id) = id {
            call = call.id(id);
        }
        if let Some(context) = request.context {
            call = call.attribute("request_id", context.request_id);
            if let Some(traceparent) = context.traceparent {
                call = call.attribute("traceparent", traceparent);
            }
        }
        let is_scoped = scoped == Some(KeyForm::Scoped);
        let started = app.start_new(call).await;
        let (handle, outcome) = started.map_err(|error| match error.kind() {
            ErrorKind::Conflict if is_scoped => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the idempotency key was used with another request; use a new one",
            ),
            _ => error.into(),
        })?;
        let location = self.location(&request.path, handle.id());
        let wait = match (self.mode, request.prefer_wait_s) {
            (Mode::Run, _) => self.sync_timeout,
            (Mode::Start, wait) => Duration::from_secs(wait.unwrap_or(0)).min(PREFER_WAIT_MAX),
        };
        let again = is_scoped && !self.joins && self.mode == Mode::Run;
        match outcome {
            StartOutcome::Existing(state) if again && !state.is_at_rest() => {
                Err(still_running(state, handle.id()).location(location))
            }
            StartOutcome::Existing(_) => {
                let mut response = self.wait(&handle, wait, &location).await?;
                response
                    .headers_mut()
                    .insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(response)
            }
            StartOutcome::New => self.wait(&handle, wait, &location).await,
        }
    }

    /// The result if it comes in time, else 202.
    async fn wait(
        &self,
        handle: &Handle<W>,
        at_most: Duration,
        location: &str,
    ) -> Result<Response, Problem> {
        if at_most.is_zero() {
            return Ok(accepted(handle.id(), location));
        }
        match tokio::time::timeout(at_most, handle.result()).await {
            Ok(result) => Ok(answer_of::<W>(result, handle.id())),
            Err(_) => Ok(accepted(handle.id(), location)),
        }
    }
}

/// A result as an answer; the same for the first request and for every later one.
fn answer_of<W: Workflow>(result: Result<W::Output, WorkflowError<W::Error>>, id: &str) -> Response
where
    W::Error: AsProblem,
{
    match result {
        Ok(output) => match serde_json::to_value(&output) {
            Ok(value) => Json(value).into_response(),
            Err(_) => Problem::internal().workflow(id).into_response(),
        },
        Err(error) => problem_of(error, id).into_response(),
    }
}

fn still_running(state: State, id: &str) -> Problem {
    let detail =
        format!("a request with this idempotency key is {state}; ask again for its result");
    Problem::new(StatusCode::CONFLICT, detail)
        .workflow(id)
        .retry_after(1)
}

fn accepted(id: &str, location: &str) -> Response {
    let body: Value = json!({ "workflow_id": id, "status": "started" });
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// An id as one segment of a path ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2)).
fn percent_encoded(id: &str) -> String {
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
