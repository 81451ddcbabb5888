//! A change that was handed in, and who hears what it came to.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::{CLIENT_PATIENCE, Stand, closed, weight};
use crate::{
    engine::Engine,
    hub::Watch,
    run::Run,
    store::{Applied, Change, Started, StoreError, StoreErrorKind},
    workflow::End,
};

/// A change, and who hears what it came to. One that is dropped unwritten is answered by that:
/// nobody hangs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) change: Change,
    /// None once it was given.
    pub(super) answer: Option<Answer>,
    pub(super) since: Instant,
    /// The group that it was handed in with. What is left of a group goes into one batch, if one can hold it.
    pub(super) group: u64,
    /// About how many bytes it brings into a batch.
    pub(super) bytes: usize,
    /// How often it failed alone.
    pub(super) failures: u32,
    /// Whether it was handed to the store before. Then it may be written by now: whoever its answer
    /// would have woken was not.
    pub(super) is_repeated: bool,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// A request of a client.
    Client(oneshot::Sender<Result<Applied, StoreError>>),
    /// A start by an application that runs workflows.
    Start(Box<Starting>),
    /// A change of a run.
    Run(Arc<Run>),
}

/// Who launches a workflow that is made to run here, and who hears of it. The journal sees to the
/// launch: whoever asked may be gone by then, and only here it is known on which incarnation the
/// start stood.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) engine: Arc<Engine>,
    /// None once the caller was told that it is not known what became of the start.
    pub(super) sender: Option<oneshot::Sender<Begun>>,
}

/// What a start came to, and how its end is heard of.
pub(super) type Begun = Result<(Applied, Option<Watch>), StoreError>;

impl Starting {
    fn answer(self, change: &Change, result: Result<Applied, StoreError>, stand: &Stand) {
        let (Change::Start(new), Ok(Applied::Start(started))) = (change, &result) else {
            return self.tell(result.map(|applied| (applied, None)));
        };
        // Watched before it begins, so that its end cannot be missed.
        let watch = match started {
            Started::New { key, .. } => Some(self.engine.client.0.hub.watch(*key)),
            _ => None,
        };
        if stand.executor.is_some() {
            self.engine.launch_started(started, new, stand.generation);
        }
        self.tell(result.map(|applied| (applied, watch)));
    }

    fn tell(mut self, begun: Begun) {
        if let Some(sender) = self.sender.take() {
            // Whoever has gone away does not care.
            drop(sender.send(begun));
        }
    }
}

impl Entry {
    pub(super) fn new(change: Change, answer: Answer, since: Instant, group: u64) -> Self {
        Self {
            bytes: weight::bytes(&change),
            change,
            answer: Some(answer),
            since,
            group,
            failures: 0,
            is_repeated: false,
        }
    }

    pub(super) fn is_of_a_run(&self) -> bool {
        self.run().is_some()
    }

    pub(super) fn run(&self) -> Option<&Arc<Run>> {
        match &self.answer {
            Some(Answer::Run(run)) => Some(run),
            _ => None,
        }
    }

    /// Whether a client has waited for it as long as any does while the database gives trouble. By one
    /// instant for all that belong together.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        !self.is_of_a_run() && now.duration_since(self.since) > CLIENT_PATIENCE
    }

    /// Why it must not be written any more, if it must not.
    pub(super) fn is_void(&self, stand: &Stand) -> Option<StoreError> {
        match &self.answer {
            Some(Answer::Run(run)) if run.generation != stand.generation => Some(lost()),
            // Nothing of a run follows a change that was refused for good, but that it is stuck.
            Some(Answer::Run(run)) if run.is_refused() && !is_stuck_end(&self.change) => {
                Some(behind_a_refusal())
            }
            Some(Answer::Start(starting)) if starting.sender.is_none() => Some(closed()),
            Some(_) => None,
            None => Some(closed()),
        }
    }

    /// Tells a client that nobody knows whether its request will have been written. A start that is
    /// written all the same is launched all the same.
    pub(super) fn stop_waiting(&mut self, error: &StoreError) {
        match self.answer.take() {
            Some(Answer::Client(sender)) => drop(sender.send(Err(error.clone()))),
            Some(Answer::Start(mut starting)) => {
                if let Some(sender) = starting.sender.take() {
                    drop(sender.send(Err(error.clone())));
                }
                self.answer = Some(Answer::Start(starting));
            }
            other => self.answer = other,
        }
    }

    pub(super) fn answer(mut self, result: Result<Applied, StoreError>, stand: &Stand) {
        self.give(result, stand);
    }

    fn give(&mut self, result: Result<Applied, StoreError>, stand: &Stand) {
        match self.answer.take() {
            // A client that has gone away does not care.
            Some(Answer::Client(sender)) => drop(sender.send(result)),
            Some(Answer::Start(starting)) => starting.answer(&self.change, result, stand),
            Some(Answer::Run(run)) => run.acknowledge(&self.change, result),
            None => {}
        }
    }

    /// Says that it was not written, or that nobody knows whether it was.
    pub(super) fn refuse(mut self, error: StoreError) {
        self.give(Err(error), &Stand::default());
    }
}

impl Drop for Entry {
    /// Nobody waits for an answer that will not come: the journal was abandoned.
    fn drop(&mut self) {
        if self.answer.is_some() {
            self.give(Err(closed()), &Stand::default());
        }
    }
}

fn is_stuck_end(change: &Change) -> bool {
    matches!(change, Change::Finish(finish) if matches!(finish.end, End::Stuck { .. }))
}

fn lost() -> StoreError {
    StoreError::new(
        StoreErrorKind::Fenced,
        "the executor that ran the workflow has lost its lease",
    )
}

fn behind_a_refusal() -> StoreError {
    StoreError::new(
        StoreErrorKind::Refused,
        "an earlier change of the workflow was refused",
    )
}
