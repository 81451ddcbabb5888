//! Group commit: everything that is pending goes to disk together.
//!
//! Callers hand in changes as values; one task takes all that is there, has the store apply it in
//! one transaction, answers, yields once so that the callers can hand in their next changes, and
//! takes the next batch. There is no timer. While a batch is in the air and much is pending, another
//! one goes too, if the store takes it; but never with a change of a run that has one in the air.
//! So changes of a run are applied in the order in which they were handed in: whoever sees a later
//! one on disk, sees the earlier ones too.
//!
//! A change is handed in again until its fate is known, so every change must be repeatable. What an
//! error does (`attempt.rs`) depends on what it is about. Trouble of the database grounds
//! everything: it goes back to the head of the line, and after a pause a batch is tried again.
//! Trouble that may be about one change has the batch taken apart; what fails alone is laid aside
//! with the changes of its run that follow it, tried again with growing pauses, and holds up nobody
//! else. Only a refusal of a change's own content, alone and repeated, is a verdict: then nothing
//! more of the run is written but that it is stuck.
//!
//! Requests of clients are given up after a while, and at once when the disk is full or the database
//! read-only; changes of runs never are: the run waits, nothing that it did is lost.

mod attempt;
mod batch;
mod desk;
mod entry;
mod flight;
mod repeat;
mod weight;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use entry::{Answer, Begun, Entry, Starting};

use crate::{
    engine::Engine,
    hub::Hub,
    id::ExecutorId,
    observe::Observers,
    run::Run,
    store::{Applied, Change, NewWorkflow, Store, StoreError, StoreErrorKind},
};

/// How long a client's request is tried again while the database is away.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// Takes changes in and has them written.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    observers: Observers,
    pending: Mutex<Pending>,
    arrived: Notify,
    stand: RwLock<Stand>,
    /// Set when a batch was fenced: the engine takes a new incarnation.
    pub(crate) fenced: Notify,
}

/// What batches stand on.
#[derive(Debug, Clone, Default)]
struct Stand {
    /// The incarnation; none for a client that runs no workflows.
    executor: Option<ExecutorId>,
    /// Counts the changes of `executor`. What a run of an earlier one hands in is not written: the
    /// workflow may run again by now, in this process too.
    generation: u64,
}

#[derive(Debug, Default)]
struct Pending {
    entries: Vec<Entry>,
    closed: bool,
    /// How many groups of changes were handed in.
    groups: u64,
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, hub: Arc<Hub>, observers: Observers) -> Self {
        Self {
            store,
            hub,
            observers,
            pending: Mutex::default(),
            arrived: Notify::new(),
            stand: RwLock::default(),
            fenced: Notify::new(),
        }
    }

    /// The incarnation that batches stand on, and which one that is.
    pub(crate) fn incarnation(&self) -> Option<(ExecutorId, u64)> {
        let stand = self.stand();
        Some((stand.executor?, stand.generation))
    }

    /// The incarnation that batches stand on.
    pub(crate) fn executor(&self) -> Option<ExecutorId> {
        self.stand().executor
    }

    /// Which of its incarnations that is.
    pub(crate) fn generation(&self) -> u64 {
        self.stand().generation
    }

    fn stand(&self) -> Stand {
        let stand = self.stand.read().unwrap_or_else(PoisonError::into_inner);
        stand.clone()
    }

    /// Lets the batches from now on stand on another incarnation.
    pub(crate) fn set_executor(&self, executor: Option<ExecutorId>) {
        let mut stand = self.stand.write().unwrap_or_else(PoisonError::into_inner);
        *stand = Stand {
            executor,
            generation: stand.generation + 1,
        };
    }

    /// Hands in a request of a client and waits until it is on disk.
    ///
    /// # Errors
    /// The store's, when the request was given up; then it is unknown whether it was applied.
    pub(crate) async fn request(&self, change: Change) -> Result<Applied, StoreError> {
        let (sender, answer) = oneshot::channel();
        self.hand_in(change, Answer::Client(sender));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Hands in starts, which reach the disk together and in this order; each answer comes when they
    /// are there. What is to run here is launched by then, and watched from before it began.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub(crate) fn start_all(
        &self,
        engine: &Arc<Engine>,
        new: Vec<NewWorkflow>,
    ) -> Vec<impl Future<Output = Begun> + Send + use<>> {
        let mut answers = Vec::with_capacity(new.len());
        let entries = new.into_iter().map(|new| {
            let (sender, answer) = oneshot::channel();
            answers.push(async { answer.await.unwrap_or_else(|_| Err(closed())) });
            let starting = Box::new(Starting {
                engine: Arc::clone(engine),
                sender: Some(sender),
            });
            (Change::Start(new), Answer::Start(starting))
        });
        self.hand_in_together(entries.collect());
        answers
    }

    /// Hands in a change of a run. The run hears of it by [`Run::acknowledge`].
    pub(crate) fn submit(&self, run: Arc<Run>, change: Change) {
        self.hand_in(change, Answer::Run(run));
    }

    fn hand_in(&self, change: Change, answer: Answer) {
        self.hand_in_together(vec![(change, answer)]);
    }

    /// Hands in changes that are to share a commit.
    fn hand_in_together(&self, changes: Vec<(Change, Answer)>) {
        let since = Instant::now();
        let mut pending = self.lock();
        pending.groups += 1;
        let group = pending.groups;
        let entries = changes.into_iter();
        let entries = entries.map(|(change, answer)| Entry::new(change, answer, since, group));
        if pending.closed {
            drop(pending);
            return entries.for_each(|entry| entry.refuse(closed()));
        }
        pending.entries.extend(entries);
        drop(pending);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing in any more; what is pending is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Takes changes in again after a simulated crash. For tests.
    pub(crate) fn reopen(&self) {
        self.lock().closed = false;
    }

    /// Writes until the journal is closed and empty, or `abandon` is cancelled.
    ///
    /// When it is abandoned, what was not written is answered with an error: nobody hangs, and
    /// nothing that was not durable was ever acknowledged.
    pub(crate) async fn write(&self, abandon: CancellationToken) {
        tokio::select! {
            biased;
            () = abandon.cancelled() => {}
            () = self.write_all() => {}
        }
        // Dropped outside of the lock: each is answered by that.
        let left = std::mem::take(&mut self.lock().entries);
        drop(left);
    }
}

fn closed() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        "the application is shutting down",
    )
}
