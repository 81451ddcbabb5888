//! Waiting from outside: for an event, for a result, for a stream to go on.

use std::time::Duration;

use super::Client;
use crate::{
    error::{Error, ErrorKind},
    hub::Watch,
    id::WorkflowKey,
    limits::{Text, check_duration},
    payload::Payload,
    store::{CancelCause, StoreError, StreamEntry},
    workflow::{Outcome, State, Workflow},
};

async fn wait_or_look(changed: impl Future<Output = ()>, at_most: Duration) {
    drop(tokio::time::timeout(at_most, changed).await);
}

/// How often a stuck workflow is looked at that another version may still try.
const LOOK_AT_STUCK: Duration = Duration::from_millis(500);

/// How long after a workflow got stuck it is waited for an executor of another version that has never
/// looked at one of this name: longer than a dispatcher sleeps. One that knows the name has looked by
/// then.
const STUCK_PATIENCE: Duration = Duration::from_secs(15);

/// A workflow that rests: it has ended, or is stuck or dead.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How.
    pub state: State,
    /// Why it is cancelled, stuck or dead, in a sentence.
    pub reason: Option<String>,
    /// Its output or its error, if it ended with one.
    pub result: Option<Outcome>,
}

impl Ended {
    /// Of a workflow that ended in this process.
    fn with(result: &Outcome) -> Self {
        let state = match result {
            Outcome::Ok(_) => State::Succeeded,
            Outcome::Err(_) => State::Failed,
        };
        Self {
            state,
            reason: None,
            result: Some(result.clone()),
        }
    }
}

/// What a look at a workflow came to.
enum Looked {
    Rests(Ended),
    /// It is to be looked at again after this time, if nothing is heard of it before.
    GoesOn(Duration),
}

impl Client {
    /// Waits until a workflow rests: until it has ended, or is stuck or dead. One that is stuck does not
    /// rest while a live executor of another version may still try it, as in a rolling deploy.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn wait(&self, id: &str) -> Result<Ended, Error> {
        let key = self.existing(id).await?.key;
        self.wait_until(key, id, State::is_at_rest).await
    }

    /// Waits until `enough` says so of the workflow's state.
    pub(crate) async fn wait_until(
        &self,
        key: WorkflowKey,
        id: &str,
        enough: fn(State) -> bool,
    ) -> Result<Ended, Error> {
        let watch = self.0.hub.watch(key);
        loop {
            let changed = watch.next();
            if let Some(result) = watch.result() {
                return Ok(Ended::with(result));
            }
            match self.look(key, id, enough).await? {
                Looked::Rests(ended) => return Ok(ended),
                Looked::GoesOn(wait) => wait_or_look(changed, wait).await,
            }
        }
    }

    /// As [`wait`](Self::wait), for a workflow that this process has made and watched from before it
    /// began: the database is asked only if something else than its end has changed.
    pub(crate) async fn wait_from_start(
        &self,
        key: WorkflowKey,
        id: &str,
        watch: &Watch,
    ) -> Result<Ended, Error> {
        // What is known without asking: it has just begun.
        let mut begun = watch.is_untouched();
        loop {
            let changed = watch.next();
            if let Some(result) = watch.result() {
                return Ok(Ended::with(result));
            }
            let mut wait = self.0.look_again;
            if !begun {
                match self.look(key, id, State::is_at_rest).await? {
                    Looked::Rests(ended) => return Ok(ended),
                    Looked::GoesOn(until) => wait = until,
                }
            }
            wait_or_look(changed, wait).await;
            begun = false;
        }
    }

    async fn look(
        &self,
        key: WorkflowKey,
        id: &str,
        enough: fn(State) -> bool,
    ) -> Result<Looked, Error> {
        let failed = |error| Error::of_store(&format!("read `{id}`"), error);
        let found = self.0.store.result(key).await.map_err(failed)?;
        let (workflow, result) = found.ok_or_else(|| Error::no_such_workflow(id))?;
        if !enough(workflow.state) {
            return Ok(Looked::GoesOn(self.see_to_deadline(&workflow).await));
        }
        let Workflow { state, reason, .. } = workflow;
        // Of one that failed the result says it.
        let reason = reason.filter(|_| state != State::Failed);
        if self.may_be_tried(key, state).await.map_err(failed)? {
            return Ok(Looked::GoesOn(LOOK_AT_STUCK));
        }
        Ok(Looked::Rests(Ended {
            state,
            reason,
            result,
        }))
    }

    /// Cancels a workflow that nobody runs, if its deadline has passed: perhaps there is no executor that
    /// would. Says when to look again: whoever waits sees the cancellation then.
    async fn see_to_deadline(&self, workflow: &Workflow) -> Duration {
        let look_again = self.0.look_again;
        let Some(deadline_at) = workflow.deadline_at else {
            return look_again;
        };
        let left = Duration::try_from(deadline_at.duration_since(self.now())).unwrap_or_default();
        if !left.is_zero() {
            return left.min(look_again);
        }
        let waits = matches!(
            workflow.state,
            State::Delayed | State::Enqueued | State::Parked
        );
        if !waits {
            return look_again;
        }
        let cancelled = self.cancel_because(&workflow.id, CancelCause::Deadline);
        if let Err(error) = cancelled.await {
            tracing::warn!(workflow = %workflow.id, %error, "could not cancel at the deadline");
        }
        look_again
    }

    /// Whether a workflow in this state is stuck and another version may still try it.
    async fn may_be_tried(&self, key: WorkflowKey, state: State) -> Result<bool, StoreError> {
        match state {
            State::Stuck => self.0.store.is_untried(key, STUCK_PATIENCE).await,
            _ => Ok(false),
        }
    }

    /// Waits until a workflow has published a value under a name. None when it ends without having
    /// done so, or when `timeout` is over.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn event(
        &self,
        id: &str,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<Payload>, Error> {
        Text::EventName.check(name)?;
        check_duration("timeout", timeout)?;
        let key = self.existing(id).await?.key;
        match tokio::time::timeout(timeout, self.event_or_end(key, id, name)).await {
            Ok(found) => found,
            Err(_) => Ok(None),
        }
    }

    async fn event_or_end(
        &self,
        key: WorkflowKey,
        id: &str,
        name: &str,
    ) -> Result<Option<Payload>, Error> {
        let failed = |error| Error::of_store(&format!("read the event `{name}` of `{id}`"), error);
        let watch = self.0.hub.watch(key);
        loop {
            let changed = watch.next();
            // The state first: a workflow that has ended publishes nothing after this read.
            let found = self.0.store.result(key).await.map_err(failed)?;
            if let Some(value) = self.0.store.event(key, name).await.map_err(failed)? {
                return Ok(Some(value));
            }
            let Some((workflow, _)) = found.filter(|(it, _)| !it.state.has_ended()) else {
                return Ok(None);
            };
            wait_or_look(changed, self.see_to_deadline(&workflow).await).await;
        }
    }

    /// Waits for entries of a stream from an offset. Empty when the workflow has ended and there
    /// will be none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it is stuck or
    /// dead: there may be more entries when somebody lets it go on.
    pub async fn next_entries(
        &self,
        id: &str,
        stream: &str,
        from: u64,
    ) -> Result<Vec<StreamEntry>, Error> {
        Text::StreamName.check(stream)?;
        let key = self.existing(id).await?.key;
        let failed =
            |error| Error::of_store(&format!("read the stream `{stream}` of `{id}`"), error);
        let watch = self.0.hub.watch(key);
        loop {
            let changed = watch.next();
            let state = self.0.store.result(key).await.map_err(failed)?;
            let entries = self
                .0
                .store
                .stream(key, stream, from, super::PAGE)
                .await
                .map_err(failed)?;
            let (workflow, _) = state.ok_or_else(|| Error::no_such_workflow(id))?;
            if workflow.state.has_ended() || !entries.is_empty() {
                return Ok(entries);
            }
            let is_tried = self
                .may_be_tried(key, workflow.state)
                .await
                .map_err(failed)?;
            if workflow.state.is_at_rest() && !is_tried {
                return Err(rests(&workflow, stream));
            }
            let wait = match is_tried {
                true => LOOK_AT_STUCK,
                false => self.see_to_deadline(&workflow).await,
            };
            wait_or_look(changed, wait).await;
        }
    }

    /// Waits until the workflow records something or ends, or `at_most` is over. For views that
    /// show it live. What happens in another process is seen by the store's poll.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn changed(&self, id: &str, at_most: Duration) -> Result<(), Error> {
        let key = self.existing(id).await?.key;
        let watch = self.0.hub.watch(key);
        drop(tokio::time::timeout(at_most, watch.next_record()).await);
        Ok(())
    }

    /// Reads a stored value as a type.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(
        what: &str,
        payload: &Payload,
    ) -> Result<T, Error> {
        payload.read().map_err(|error| {
            Error::new(
                ErrorKind::Mismatch,
                format!("{what} does not fit its type: {error}"),
            )
        })
    }
}

/// Nobody appends to the stream of a workflow that is stuck or dead, and it may go on later.
fn rests(workflow: &Workflow, stream: &str) -> Error {
    let Workflow { id, state, .. } = workflow;
    let reason = workflow.reason.as_deref().unwrap_or_default();
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the stream `{stream}` of `{id}` has no more entries while that is {state}: {reason}; read on \
             from this offset when it was resumed"
        ),
    )
}
