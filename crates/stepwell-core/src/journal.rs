//! Group commit: everything that is pending goes to disk together.
//!
//! Callers hand in changes as values; one writer takes all that is there, has the store apply it in
//! one transaction, answers, yields once so that the callers can hand in their next changes, and
//! takes the next batch. There is no timer. Changes of one caller are applied in the order in which
//! they were handed in: whoever sees a later one on disk, sees the earlier ones too.
//!
//! A batch is handed in again until its fate is known, so every change must be repeatable. Requests
//! of clients are given up after a while, and at once when the disk is full or the database
//! read-only; changes of runs are not: the run waits, nothing that it did is lost.

mod batch;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    hub::Hub,
    id::ExecutorId,
    run::Run,
    store::{Applied, Batch, Change, Store, StoreError, StoreErrorKind},
};

/// How many changes one transaction holds at most, so that its memory and its time are bounded.
const BATCH_CHANGES_MAX: usize = 2_048;
/// How long a client's request is tried again while the database is away.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);
/// The first and the longest pause before a batch is handed in again.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// Takes changes in and has them written.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    pending: Mutex<Pending>,
    arrived: Notify,
    /// The incarnation that batches stand on. None for a client that runs no workflows.
    executor: RwLock<Option<ExecutorId>>,
    /// Set when a batch was fenced: the engine takes a new incarnation.
    pub(crate) fenced: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    entries: Vec<Entry>,
    closed: bool,
}

/// A change, and who hears what it came to.
#[derive(Debug)]
struct Entry {
    change: Change,
    answer: Answer,
    since: Instant,
}

#[derive(Debug)]
enum Answer {
    /// A request of a client.
    Client(oneshot::Sender<Result<Applied, StoreError>>),
    /// A change of a run.
    Run(Arc<Run>),
}

impl Entry {
    fn is_of_a_run(&self) -> bool {
        matches!(self.answer, Answer::Run(_))
    }

    fn answer(self, result: Result<Applied, StoreError>) {
        match self.answer {
            // A client that has gone away does not care.
            Answer::Client(sender) => drop(sender.send(result)),
            Answer::Run(run) => run.acknowledge(&self.change, result),
        }
    }
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, hub: Arc<Hub>) -> Self {
        Self {
            store,
            hub,
            pending: Mutex::default(),
            arrived: Notify::new(),
            executor: RwLock::new(None),
            fenced: Notify::new(),
        }
    }

    /// The incarnation that batches stand on.
    pub(crate) fn executor(&self) -> Option<ExecutorId> {
        self.executor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets the batches from now on stand on another incarnation.
    pub(crate) fn set_executor(&self, executor: Option<ExecutorId>) {
        *self
            .executor
            .write()
            .unwrap_or_else(PoisonError::into_inner) = executor;
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

    /// Hands in a change of a run. The run hears of it by [`Run::acknowledge`].
    pub(crate) fn submit(&self, run: Arc<Run>, change: Change) {
        self.hand_in(change, Answer::Run(run));
    }

    fn hand_in(&self, change: Change, answer: Answer) {
        let entry = Entry {
            change,
            answer,
            since: Instant::now(),
        };
        let mut pending = self.lock();
        if pending.closed {
            drop(pending);
            return entry.answer(Err(closed()));
        }
        pending.entries.push(entry);
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
        let mut batch = Vec::new();
        while self.take(&mut batch).await {
            tokio::select! {
                biased;
                () = abandon.cancelled() => break,
                () = self.write_batch(&mut batch) => {}
            }
            // Whoever was just answered hands in the next change before the next batch is taken.
            tokio::task::yield_now().await;
        }
        let left = std::mem::take(&mut self.lock().entries);
        batch
            .into_iter()
            .chain(left)
            .for_each(|entry| entry.answer(Err(closed())));
    }

    /// Waits for entries and takes what is there, up to the bound. False when there will be none.
    async fn take(&self, batch: &mut Vec<Entry>) -> bool {
        loop {
            {
                let mut pending = self.lock();
                let count = pending.entries.len().min(BATCH_CHANGES_MAX);
                batch.extend(pending.entries.drain(..count));
                if !batch.is_empty() {
                    return true;
                }
                if pending.closed {
                    return false;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Has the batch written; returns when every entry of it was answered.
    async fn write_batch(&self, batch: &mut Vec<Entry>) {
        let mut pause = RETRY_PAUSE.0;
        while !batch.is_empty() {
            match self.commit(batch).await {
                Ok(applied) => return self.answer_all(batch, applied),
                Err(error) => self.after_error(batch, error, &mut pause).await,
            }
        }
    }

    async fn commit(&self, batch: &[Entry]) -> Result<Vec<Applied>, StoreError> {
        crate::failpoint::failpoint!("journal::before_commit");
        let changes = batch.iter().map(|entry| entry.change.clone()).collect();
        let applied = self
            .store
            .commit(Batch {
                executor: self.executor(),
                changes,
            })
            .await?;
        crate::failpoint::failpoint!("journal::after_commit");
        if applied.len() == batch.len() {
            return Ok(applied);
        }
        let message = format!(
            "the store answered {} of {} changes",
            applied.len(),
            batch.len()
        );
        Err(StoreError::corrupt(message))
    }

    fn answer_all(&self, batch: &mut Vec<Entry>, applied: Vec<Applied>) {
        for (entry, applied) in batch.drain(..).zip(applied) {
            batch::wake(&self.hub, &entry.change, &applied);
            entry.answer(Ok(applied));
        }
    }

    /// Decides who hears of the error and who is tried again, and pauses before that.
    async fn after_error(&self, batch: &mut Vec<Entry>, error: StoreError, pause: &mut Duration) {
        match error.kind() {
            StoreErrorKind::Fenced => {
                warn!("the lease was lost: the workflows of this executor go on elsewhere");
                batch::give_up(batch, &error, Entry::is_of_a_run);
                self.set_executor(None);
                self.fenced.notify_one();
                return;
            }
            StoreErrorKind::Full | StoreErrorKind::ReadOnly => {
                error!(%error, database = self.store.describe(), "the database refuses writes");
                batch::give_up(batch, &error, |entry| !entry.is_of_a_run());
            }
            StoreErrorKind::Unavailable => {
                warn!(%error, database = self.store.describe(), "the database is away; trying again");
                let impatient =
                    |entry: &Entry| !entry.is_of_a_run() && entry.since.elapsed() > CLIENT_PATIENCE;
                batch::give_up(batch, &error, impatient);
            }
            StoreErrorKind::Corrupt | StoreErrorKind::Unusable | StoreErrorKind::Backend => {
                error!(%error, database = self.store.describe(), "a batch failed");
                return self.write_one_by_one(batch).await;
            }
        }
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(RETRY_PAUSE.1);
    }

    /// Finds the change that cannot be written, so that the others of its batch are.
    async fn write_one_by_one(&self, batch: &mut Vec<Entry>) {
        for entry in std::mem::take(batch) {
            let mut single = vec![entry];
            match self.commit(&single).await {
                Ok(applied) => self.answer_all(&mut single, applied),
                Err(error) if retries(error.kind()) => batch.append(&mut single),
                Err(error) => batch::give_up(&mut single, &error, |_| true),
            }
        }
    }
}

/// Whether a change that failed with this goes back into the batch.
fn retries(kind: StoreErrorKind) -> bool {
    use StoreErrorKind::{Fenced, Full, ReadOnly, Unavailable};
    matches!(kind, Fenced | Full | ReadOnly | Unavailable)
}

fn closed() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        "the application is shutting down",
    )
}
