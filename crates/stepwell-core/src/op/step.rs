//! Steps: run at least once, recorded at most once, never run again after that.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Here, Op, Ready, Slot,
    retry::{Plan, Retry},
};
use crate::{
    BoxFuture,
    durable::{Durable, DurableError, Step},
    engine::panic_message,
    failure::Failure,
    limits::InvalidInput,
    observe::{Attempted, Observation},
    payload::Payload,
    run::{Interrupt, Running, Site},
    send::in_step,
    store::NewRecord,
    workflow::{Outcome, Place, RecordKind},
};

/// One attempt of a step, handed to a parameter that is marked `#[attempt]`.
#[derive(Debug, Clone)]
pub struct Attempt {
    key: String,
    number: u32,
    cancelled: CancellationToken,
}

impl Attempt {
    /// A first attempt outside a workflow, for tests of a step's plain function.
    #[must_use]
    pub fn first(idempotency_key: impl Into<String>) -> Self {
        Self {
            key: idempotency_key.into(),
            number: 1,
            cancelled: CancellationToken::new(),
        }
    }

    /// The same in every attempt of this step of this workflow, whoever takes the workflow over or
    /// resumes it: `<workflow id>:<nonce>:<position>`, at most 255 bytes. Pass it on to services that
    /// take an idempotency key.
    ///
    /// No other step ever has it, not even that of a later workflow with the same id. A fork and a
    /// redrive are workflows of their own: what they run anew has other keys. Where the service must
    /// see a redrive as the same request, make the key of the workflow's arguments.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.key
    }

    /// Which attempt this is; the first is 1. An attempt that a crash cut short is not counted.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns when the workflow is cancelled. The step then has the application's grace period to
    /// end; after that it is dropped.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Whether the workflow is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }
}

/// What an attempt came to, without types.
pub(crate) struct Tried {
    outcome: Result<Outcome, InvalidInput>,
    again: bool,
}

/// Runs one attempt. It gets the outcome that a test wants instead, if there is one.
type Go<'a> = Box<dyn FnMut(Attempt, Option<Outcome>) -> BoxFuture<'a, Tried> + Send + 'a>;
/// The body of a `#[step]`: it takes the state and the attempt.
type StepBody<'op, S, T, E> =
    Box<dyn FnMut(Arc<S>, Attempt) -> BoxFuture<'op, Result<T, E>> + Send + 'op>;
type Body<'a, A, T, E> = Box<dyn FnMut(A) -> BoxFuture<'a, Result<T, E>> + Send + 'a>;

/// A call of a `#[step]`.
#[must_use = "a call does nothing until it is run: `ctx.run(…).await`"]
pub struct StepCall<'op, S, D: Step> {
    body: StepBody<'op, S, D::Output, D::Error>,
    retry: Retry<D::Error>,
}

impl<'op, S, D: Step> StepCall<'op, S, D> {
    /// Made by `#[step]`.
    #[doc(hidden)]
    pub fn new(
        body: impl FnMut(Arc<S>, Attempt) -> BoxFuture<'op, Result<D::Output, D::Error>> + Send + 'op,
    ) -> Self {
        Self {
            body: Box::new(body),
            retry: Retry::none(),
        }
    }

    /// Tries the step again when it fails.
    pub fn retry(mut self, retry: Retry<D::Error>) -> Self {
        self.retry = retry;
        self
    }
}

impl<S, D: Step> fmt::Debug for StepCall<'_, S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepCall")
            .field("step", &D::NAME)
            .finish_non_exhaustive()
    }
}

impl<'op, S: Send + Sync + 'static, D: Step> Op<S> for StepCall<'op, S, D> {
    type Output = Result<D::Output, D::Error>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        let Self { mut body, retry } = self;
        let state = Arc::clone(&at.state);
        let body = Box::new(move |attempt| body(Arc::clone(&state), attempt));
        ready(Here::from(&at), D::NAME, body, retry)
    }
}

/// A step that is written as a closure.
#[must_use = "operations do nothing unless they are run"]
pub struct AdHoc<'op, T, E> {
    name: &'static str,
    body: Body<'op, Attempt, T, E>,
    retry: Retry<E>,
}

impl<'op, T, E> AdHoc<'op, T, E> {
    pub(crate) fn new(name: &'static str, body: Body<'op, Attempt, T, E>) -> Self {
        Self {
            name,
            body,
            retry: Retry::none(),
        }
    }

    /// Tries the step again when it fails.
    pub fn retry(mut self, retry: Retry<E>) -> Self {
        self.retry = retry;
        self
    }
}

impl<T, E> fmt::Debug for AdHoc<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdHoc")
            .field("step", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'op, S: Send + Sync + 'static, T: Durable, E: DurableError> Op<S> for AdHoc<'op, T, E> {
    type Output = Result<T, E>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        ready(Here::from(&at), self.name, self.body, self.retry)
    }
}

/// A step as a closure, for [`join`](crate::Ctx::join) and `stepwell::select!`.
pub fn step<'op, T, F, Fut>(name: &'static str, mut body: F) -> AdHoc<'op, T, Failure>
where
    T: Durable,
    F: FnMut() -> Fut + Send + 'op,
    Fut: Future<Output = Result<T, Failure>> + Send + 'op,
{
    AdHoc::new(name, Box::new(move |_| Box::pin(body())))
}

/// An operation that can be tried again.
pub trait Retryable<E>: Sized {
    /// Tries the operation again when it fails.
    #[must_use]
    fn retry(self, retry: Retry<E>) -> Self;
}

impl<S, D: Step> Retryable<D::Error> for StepCall<'_, S, D> {
    fn retry(self, retry: Retry<D::Error>) -> Self {
        StepCall::retry(self, retry)
    }
}

impl<T, E> Retryable<E> for AdHoc<'_, T, E> {
    fn retry(self, retry: Retry<E>) -> Self {
        AdHoc::retry(self, retry)
    }
}

/// The typed edge of a step: everything that matters is in [`run`], compiled once.
fn ready<'a, T: Durable, E: DurableError>(
    here: Here,
    name: &'static str,
    mut body: Body<'a, Attempt, T, E>,
    retry: Retry<E>,
) -> BoxFuture<'a, Ready<Result<T, E>>> {
    let bytes_max = here.bytes_max();
    let plan = retry.plan;
    let go: Go<'a> = Box::new(move |attempt, mock| {
        let running = if mock.is_none() {
            Some(body(attempt))
        } else {
            None
        };
        let retry = retry.clone();
        Box::pin(async move {
            let result = match (running, mock) {
                (Some(running), _) => running.await,
                (None, Some(Outcome::Ok(value))) => Ok(mocked(&value)),
                (None, Some(Outcome::Err(error))) => Err(mocked(&error)),
                (None, None) => return Tried::unusable("the step did not run"),
            };
            Tried::of(result, &retry, bytes_max)
        })
    });
    Box::pin(async move {
        let outcome = run(&here, name, plan, go).await;
        let result = match (&outcome.output, outcome.is_new()) {
            (recorded, false) => here.decode(name, recorded).await,
            // What is read here is what a replay will read: it is recorded if that is the value.
            (Outcome::Ok(value), true) => Ok(here.stored(name, value.read_back()).await),
            (Outcome::Err(error), true) => Err(here.stored(name, error.read_back()).await),
        };
        outcome.map(|_| result)
    })
}

/// Reads what a test's mock has made; the harness has checked its type.
#[expect(
    clippy::expect_used,
    reason = "only tests get here, and a panic is what they expect"
)]
fn mocked<T: Durable>(payload: &Payload) -> T {
    payload.read().expect("a mock returns the step's own types")
}

impl Tried {
    fn of<T: Durable, E: DurableError>(
        result: Result<T, E>,
        retry: &Retry<E>,
        bytes_max: usize,
    ) -> Self {
        match result {
            Ok(value) => Self {
                outcome: Payload::of(&value, bytes_max).map(Outcome::Ok),
                again: false,
            },
            Err(error) => {
                let again = retry.wants_again(&error);
                Self {
                    outcome: Payload::of(&error, bytes_max).map(Outcome::Err),
                    again,
                }
            }
        }
    }

    fn unusable(why: &str) -> Self {
        Self {
            outcome: Err(InvalidInput::new(why)),
            again: false,
        }
    }
}

/// The record of a failed attempt that another one follows.
#[derive(Serialize, Deserialize)]
struct FailedAttempt<E> {
    error: E,
    next_at: Timestamp,
}

/// The life of a step: what was recorded, or attempts and pauses until one counts.
async fn run<'a>(here: &Here, name: &'static str, plan: Plan, mut go: Go<'a>) -> Ready<Outcome> {
    if let Some(outcome) = here.recorded(RecordKind::Step, name).await {
        return Ready::recorded(outcome);
    }
    let mut number = resume_after_attempts(here, name).await + 1;
    loop {
        let last = number >= plan.attempts_max;
        let (started, tried) = {
            let _busy = here.run.busy(site(here, name, number));
            here.run.settle().await;
            (Instant::now(), attempt(here, name, number, &mut go).await)
        };
        match tried {
            Ok(Tried { outcome, again }) if last || !again => {
                let outcome = match outcome {
                    Ok(outcome) => outcome,
                    Err(error) => here.stuck(name, &error.to_string()).await,
                };
                let mut record = here.record(RecordKind::Step, name, outcome.clone());
                record.attempts = number;
                record.elapsed = started.elapsed();
                return Ready::new(outcome, record, Vec::new());
            }
            Ok(Tried { outcome, .. }) => {
                let error = outcome.map(|outcome| outcome.payload().clone());
                let error = here.stored(name, error).await;
                pause(here, name, (&plan, number), &error, started.elapsed()).await;
            }
            Err(message) if last => {
                let message = format!("step `{name}` at {}: {message}", here.position);
                return here.run.control.stop(Interrupt::Panicked(message)).await;
            }
            Err(message) => {
                let error = Payload::of_ours(&format!("panicked: {message}"));
                let error = here.stored(name, error).await;
                pause(here, name, (&plan, number), &error, started.elapsed()).await;
            }
        }
        number += 1;
    }
}

/// The step at one of its attempts.
fn site(here: &Here, name: &'static str, attempt: u32) -> Site {
    Site {
        attempt,
        ..here.site(RecordKind::Step, name)
    }
}

/// One attempt. A panic is a failed one; its message is the error.
async fn attempt(here: &Here, name: &str, number: u32, go: &mut Go<'_>) -> Result<Tried, String> {
    let mock = match here.run.engine.mocks.outcome(name, number) {
        None => None,
        Some(Ok(outcome)) => Some(outcome),
        Some(Err(error)) => return Ok(Tried::unusable(&error.to_string())),
    };
    let attempt = Attempt {
        key: here.key(),
        number,
        cancelled: here.run.step_cancel.clone(),
    };
    let _running = Running::begin(&here.run).await;
    let began = Instant::now();
    // The closure may panic before it has made its future.
    let tried = AssertUnwindSafe(async { go(attempt, mock).await }).catch_unwind();
    let tried = in_step(here.key(), tried).await;
    here.run.engine.client.observe(&Observation::Attempt {
        workflow: &here.run.name,
        step: name,
        came_to: match &tried {
            Ok(tried) if matches!(tried.outcome, Ok(Outcome::Ok(_))) => Attempted::Succeeded,
            _ => Attempted::Failed,
        },
        took: began.elapsed(),
    });
    tried.map_err(|panic| panic_message(panic.as_ref()))
}

/// Records a failed attempt together with the instant of the next one, and waits for that.
async fn pause(
    here: &Here,
    name: &'static str,
    (plan, number): (&Plan, u32),
    error: &Payload,
    elapsed: Duration,
) {
    let pause = plan.pause_with(number, rand::random());
    let next_at = here
        .run
        .engine
        .client
        .now()
        .checked_add(pause)
        .unwrap_or(Timestamp::MAX);
    let failed = Payload::of_ours(&FailedAttempt { error, next_at });
    let failed = here.stored(name, failed).await;
    let record = NewRecord {
        place: Place::Attempt(here.position.clone(), number),
        attempts: number,
        elapsed,
        ..here.record(RecordKind::Attempt, name, Outcome::Err(failed))
    };
    tracing::debug!(workflow = %here.run.id, step = name, number, ?pause, ?error, "trying again");
    here.run.record(vec![record], Vec::new(), false);
    let next = site(here, name, number.saturating_add(1));
    here.run.wait_until(next, next_at).await;
}

/// The number of attempts that were recorded before; waits for the instant that the last one named.
async fn resume_after_attempts(here: &Here, name: &'static str) -> u32 {
    let (count, last) = here.run.history(|history| {
        let attempts = history.attempts(&here.position);
        (
            attempts.len(),
            attempts
                .last()
                .map(|record| record.outcome.payload().clone()),
        )
    });
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if let Some(last) = last {
        let failed: FailedAttempt<serde::de::IgnoredAny> = here.read("attempt", &last).await;
        let next = site(here, name, count.saturating_add(1));
        here.run.wait_until(next, failed.next_at).await;
    }
    count
}
