//! Waiting from outside: for an event, for a result, for a stream to go on.

use std::time::Duration;

use super::Client;
use crate::{
    error::{Error, ErrorKind},
    hub::Watch,
    id::WorkflowKey,
    limits::{Text, check_duration},
    payload::Payload,
    store::{CancelCause, StreamEntry},
    workflow::{Outcome, State, Workflow},
};

/// The safety net under every wake-up: how long a wait goes on without a look at the database. What
/// ends a workflow without a word to this process (a deadline that passed in a queue, another
/// process whose write was not noticed) is seen after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

async fn wait_or_look(changed: impl Future<Output = ()>) {
    wait_within(LOOK_AGAIN, changed).await;
}

async fn wait_within(time: Duration, changed: impl Future<Output = ()>) {
    drop(tokio::time::timeout(time, changed).await);
}

/// What a look at a workflow comes to.
enum Looked {
    /// It rests.
    Ended(Ended),
    /// It does not; it is time to look again after this, if nothing changes.
    Not(Duration),
}

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

impl Client {
    /// Waits until a workflow rests: until it has ended, or is stuck or dead.
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
                Looked::Ended(ended) => return Ok(ended),
                Looked::Not(look_in) => wait_within(look_in, changed).await,
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
            let look_in = match begun {
                true => LOOK_AGAIN,
                false => match self.look(key, id, State::is_at_rest).await? {
                    Looked::Ended(ended) => return Ok(ended),
                    Looked::Not(look_in) => look_in,
                },
            };
            wait_within(look_in, changed).await;
            begun = false;
        }
    }

    async fn look(
        &self,
        key: WorkflowKey,
        id: &str,
        enough: fn(State) -> bool,
    ) -> Result<Looked, Error> {
        let found = self.0.store.result(key).await;
        let found = found.map_err(|error| Error::of_store(&format!("read `{id}`"), error))?;
        let (workflow, result) = found.ok_or_else(|| Error::no_such_workflow(id))?;
        if !enough(workflow.state) {
            return Ok(Looked::Not(self.see_to_deadline(&workflow).await));
        }
        let Workflow { state, reason, .. } = workflow;
        Ok(Looked::Ended(Ended {
            state,
            reason,
            result,
        }))
    }

    /// Cancels a workflow that nobody runs, if its deadline has passed: perhaps there is no executor that
    /// would. Says when to look again: whoever waits sees the cancellation then.
    async fn see_to_deadline(&self, workflow: &Workflow) -> Duration {
        let Some(deadline_at) = workflow.deadline_at else {
            return LOOK_AGAIN;
        };
        let left = Duration::try_from(deadline_at.duration_since(self.now())).unwrap_or_default();
        if !left.is_zero() {
            return left.min(LOOK_AGAIN);
        }
        let waits = matches!(
            workflow.state,
            State::Delayed | State::Enqueued | State::Parked
        );
        if !waits {
            return LOOK_AGAIN;
        }
        let cancelled = self.cancel_because(&workflow.id, CancelCause::Deadline);
        if let Err(error) = cancelled.await {
            tracing::warn!(workflow = %workflow.id, %error, "could not cancel at the deadline");
        }
        LOOK_AGAIN
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
            let state = self.0.store.result(key).await.map_err(failed)?;
            if let Some(value) = self.0.store.event(key, name).await.map_err(failed)? {
                return Ok(Some(value));
            }
            if state.is_none_or(|(workflow, _)| workflow.state.has_ended()) {
                return Ok(None);
            }
            wait_or_look(changed).await;
        }
    }

    /// Waits for entries of a stream from an offset. Empty when the workflow has ended and there
    /// will be none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
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
            let over = state.is_none_or(|(workflow, _)| workflow.state.has_ended());
            if over || !entries.is_empty() {
                return Ok(entries);
            }
            wait_or_look(changed).await;
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
