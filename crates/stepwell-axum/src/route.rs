//! Workflows as routes: [`run`] and [`start`].

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, Request},
    handler::Handler,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::Extensions;
use stepwell_core::{App, Call, Workflow};

mod answer;
mod asked;
mod fingerprint;

use crate::{
    authorize::{Authorizer, Decision, Target},
    body::BODY_BYTES_MAX,
    idempotency::VerbatimKeys,
    problem::AsProblem,
    request::percent_encoded,
};

/// How long a synchronous route waits for its workflow unless it is told otherwise.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);

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
    key: KeyIs,
    verbatim: VerbatimKeys,
    sync_timeout: Duration,
    body_bytes_max: Option<usize>,
    status_at: Option<Arc<str>>,
    authorizer: Authorizer,
    workflow: PhantomData<fn() -> W>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Run,
    Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyIs {
    Optional,
    Required,
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
            key: KeyIs::Optional,
            verbatim: VerbatimKeys::No,
            sync_timeout: SYNC_TIMEOUT,
            body_bytes_max: None,
            status_at: None,
            authorizer: Authorizer::default(),
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

    /// Refuses a request without an idempotency key, with a 400 that says so: for what must never happen
    /// twice because a client has tried again.
    #[must_use]
    pub fn requires_key(mut self) -> Self {
        self.key = KeyIs::Required;
        self
    }

    /// Takes `dbos-idempotency-key` as the workflow's id, as it is: whoever sends it again, to whatever
    /// route, waits for the same result. Then clients choose among the ids of your application, and
    /// find out which of them are taken: for clients that you trust alone. Without this it is a key like
    /// `Idempotency-Key`.
    #[must_use]
    pub fn verbatim_keys(mut self) -> Self {
        self.verbatim = VerbatimKeys::Taken;
        self
    }

    /// How long [`run`] waits before it answers 202; 30 s unless said otherwise.
    #[must_use]
    pub fn sync_timeout(mut self, timeout: Duration) -> Self {
        self.sync_timeout = timeout;
        self
    }

    /// How large the body may be; 2 MiB if nothing is said, as for axum's own extractors, or what the
    /// application takes as a payload
    /// ([`AppBuilder::payload_bytes_max`](stepwell_core::AppBuilder::payload_bytes_max)) if that is less.
    /// A larger one is a 413, and so is one that holds more than 100,000 values. axum's own
    /// `DefaultBodyLimit` does not apply.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// Where the status of a workflow is found: `/jobs` for a route `/jobs/{id}`. Without it
    /// `Location` is the request's own path with the id.
    #[must_use]
    pub fn status_at(mut self, path: impl Into<Arc<str>>) -> Self {
        self.status_at = Some(path.into());
        self
    }

    /// Says who may start the workflow, and who may be answered with one that is there, because its key
    /// was used before. Unless said otherwise everybody may start, and a workflow answers the
    /// [`Principal`](crate::Principal) for whom it was started. A refused start is a 403; a key that
    /// belongs to a workflow which may not be seen is a 422, as every key that is taken.
    ///
    /// ```
    /// use stepwell::{Ctx, axum::{Decision, Principal, Target, run}, workflow};
    ///
    /// #[workflow]
    /// async fn refund(_ctx: &mut Ctx, order: String) -> stepwell::Result<String> {
    ///     Ok(order)
    /// }
    ///
    /// let route = run(refund).authorize(|caller, target| {
    ///     let asks = caller.get::<Principal>();
    ///     match (asks, target) {
    ///         (Some(Principal(name)), Target::Start { .. }) if name == "support" => Decision::Allow,
    ///         (Some(Principal(name)), Target::See { principal, .. })
    ///             if principal == Some(name.as_str()) => Decision::Allow,
    ///         _ => Decision::Deny,
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn authorize(
        mut self,
        rule: impl Fn(&Extensions, Target<'_>) -> Decision + Send + Sync + 'static,
    ) -> Self {
        self.authorizer = Authorizer::own(rule);
        self
    }

    /// How many bytes of a body are read.
    fn bytes_max(&self, payload_bytes_max: usize) -> usize {
        self.body_bytes_max
            .unwrap_or_else(|| payload_bytes_max.min(BODY_BYTES_MAX))
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
            authorizer: self.authorizer.clone(),
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
