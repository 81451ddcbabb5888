//! Group commit: everything that is pending goes to disk together.
//!
//! Callers hand in changes as values; one task takes all that is there, has the store apply it in
//! one transaction, answers, yields once so that the callers can hand in their next changes, and
//! takes the next batch. There is no timer. While a batch is in the air and much is pending, another
//! one goes too, if the store takes it; but never with a change of a run that has one in the air.
//! So changes of a run are applied in the order in which they were handed in: whoever sees a later
//! one on disk, sees the earlier ones too.
//!
//! A batch is handed in again until its fate is known, so every change must be repeatable. Requests
//! of clients are given up after a while, and at once when the disk is full or the database
//! read-only; changes of runs are not: the run waits, nothing that it did is lost.

mod batch;
mod flight;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use flight::{Aloft, Flight, Landed, Next};
use futures_util::{StreamExt, future::try_join_all, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    engine::Engine,
    hub::{Hub, Watch},
    id::ExecutorId,
    observe::Observers,
    run::Run,
    store::{
        Applied, Batch, Change, NewWorkflow, Started, Store, StoreError, StoreErrorKind, Written,
    },
};

/// How long a client's request is tried again while the database is away.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);
/// The first and the longest pause before a batch is handed in again.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

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
}

/// A change, and who hears what it came to.
#[derive(Debug)]
struct Entry {
    change: Change,
    answer: Answer,
    since: Instant,
    /// How many of those behind it go into the same batch.
    followers: usize,
}

#[derive(Debug)]
enum Answer {
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
struct Starting {
    engine: Arc<Engine>,
    sender: oneshot::Sender<Result<(Applied, Option<Watch>), StoreError>>,
}

impl Starting {
    fn answer(self, change: &Change, result: Result<Applied, StoreError>, stand: &Stand) {
        let (Change::Start(new), Ok(Applied::Start(started))) = (change, &result) else {
            // Whoever has gone away does not care.
            return drop(self.sender.send(result.map(|applied| (applied, None))));
        };
        // Watched before it begins, so that its end cannot be missed.
        let watch = match started {
            Started::New { key, .. } => Some(self.engine.client.0.hub.watch(*key)),
            _ => None,
        };
        if stand.executor.is_some() {
            self.engine.launch_started(started, new);
        }
        drop(self.sender.send(result.map(|applied| (applied, watch))));
    }
}

impl Entry {
    fn is_of_a_run(&self) -> bool {
        self.run().is_some()
    }

    fn run(&self) -> Option<&Run> {
        match &self.answer {
            Answer::Client(_) | Answer::Start(_) => None,
            Answer::Run(run) => Some(run),
        }
    }

    fn answer(self, result: Result<Applied, StoreError>, stand: &Stand) {
        match self.answer {
            // A client that has gone away does not care.
            Answer::Client(sender) => drop(sender.send(result)),
            Answer::Start(starting) => starting.answer(&self.change, result, stand),
            Answer::Run(run) => run.acknowledge(&self.change, result),
        }
    }

    /// Says that it was not written, or that nobody knows whether it was.
    fn refuse(self, error: StoreError) {
        self.answer(Err(error), &Stand::default());
    }
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

    /// Hands in requests of a client, which reach the disk together and in this order.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub(crate) async fn request_together(
        &self,
        changes: Vec<Change>,
    ) -> Result<Vec<Applied>, StoreError> {
        let mut answers = Vec::with_capacity(changes.len());
        let entries = changes.into_iter().map(|change| {
            let (sender, answer) = oneshot::channel();
            answers.push(async { answer.await.unwrap_or_else(|_| Err(closed())) });
            (change, Answer::Client(sender))
        });
        self.hand_in_together(entries.collect());
        try_join_all(answers).await
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
    ) -> Vec<impl Future<Output = Result<(Applied, Option<Watch>), StoreError>> + Send + use<>>
    {
        let mut answers = Vec::with_capacity(new.len());
        let entries = new.into_iter().map(|new| {
            let (sender, answer) = oneshot::channel();
            answers.push(async { answer.await.unwrap_or_else(|_| Err(closed())) });
            let engine = Arc::clone(engine);
            let starting = Box::new(Starting { engine, sender });
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

    /// Hands in changes of which none is written before the others.
    fn hand_in_together(&self, changes: Vec<(Change, Answer)>) {
        let since = Instant::now();
        let count = changes.len();
        let entries = changes.into_iter().enumerate();
        let entries = entries.map(|(index, (change, answer))| Entry {
            change,
            answer,
            since,
            followers: count - index - 1,
        });
        let mut pending = self.lock();
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
        let left = std::mem::take(&mut self.lock().entries);
        left.into_iter().for_each(|entry| entry.refuse(closed()));
    }

    /// Keeps as many batches in flight as pay, until there will be none.
    async fn write_all(&self) {
        let mut flights = FuturesUnordered::new();
        let mut aloft = Aloft::default();
        loop {
            match self.next(&aloft) {
                Next::Flight(flight) => {
                    aloft.add(&flight);
                    flights.push(self.fly(flight));
                    continue;
                }
                Next::Closed if flights.is_empty() => return,
                Next::Closed | Next::Wait => {}
            }
            tokio::select! {
                Some(landed) = flights.next() => {
                    aloft.remove(&landed);
                    // Whoever was just answered hands in the next change before the next batch is
                    // taken.
                    tokio::task::yield_now().await;
                }
                () = self.arrived.notified() => {}
            }
        }
    }

    /// Takes what may be written now.
    fn next(&self, aloft: &Aloft) -> Next {
        let stand = self.stand();
        let mut pending = self.lock();
        if pending.entries.is_empty() {
            return if pending.closed {
                Next::Closed
            } else {
                Next::Wait
            };
        }
        if !aloft.has_room_for(pending.entries.len(), self.store.writers()) {
            return Next::Wait;
        }
        let entries = aloft.choose(&mut pending.entries);
        drop(pending);
        let flight = Flight::new(entries, stand);
        if flight.entries.is_empty() {
            Next::Wait
        } else {
            Next::Flight(flight)
        }
    }

    /// Has a batch written; returns when every entry of it was answered.
    async fn fly(&self, mut flight: Flight) -> Landed {
        let mut pause = RETRY_PAUSE.0;
        while !flight.entries.is_empty() {
            match self.commit(&flight.entries, &flight.stand).await {
                Ok(written) => self.answer_all(&mut flight.entries, written, &flight.stand),
                Err(error) => self.after_error(&mut flight, error, &mut pause).await,
            }
        }
        flight.landed()
    }

    async fn commit(&self, batch: &[Entry], stand: &Stand) -> Result<Written, StoreError> {
        crate::failpoint::failpoint!("journal::before_commit");
        let changes = batch.iter().map(|entry| entry.change.clone()).collect();
        let written = self
            .store
            .commit(Batch {
                executor: stand.executor.clone(),
                changes,
            })
            .await?;
        crate::failpoint::failpoint!("journal::after_commit");
        let answers = written.applied.len();
        if answers == batch.len() {
            return Ok(written);
        }
        let message = format!("the store answered {answers} of {} changes", batch.len());
        Err(StoreError::corrupt(message))
    }

    fn answer_all(&self, batch: &mut Vec<Entry>, written: Written, stand: &Stand) {
        if written.woken {
            self.hub.work_arrived();
        }
        for (entry, applied) in batch.drain(..).zip(written.applied) {
            batch::wake(&self.hub, &entry.change, &applied);
            self.observers.written(&entry.change, &applied);
            entry.answer(Ok(applied), stand);
        }
    }

    /// Decides who hears of the error and who is tried again, and pauses before that.
    async fn after_error(&self, flight: &mut Flight, error: StoreError, pause: &mut Duration) {
        let batch = &mut flight.entries;
        match error.kind() {
            StoreErrorKind::Fenced => return self.fenced(flight, &error),
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
                return self.write_one_by_one(flight).await;
            }
        }
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(RETRY_PAUSE.1);
    }

    /// The runs of the incarnation are over; requests of clients stand on the next one, if any.
    fn fenced(&self, flight: &mut Flight, error: &StoreError) {
        batch::give_up(&mut flight.entries, error, Entry::is_of_a_run);
        // Of several batches in flight only the first one tells of it: the next incarnation may be
        // there by now.
        if self.generation() == flight.stand.generation {
            warn!("the lease was lost: the workflows of this executor go on elsewhere");
            self.set_executor(None);
            self.fenced.notify_one();
        }
        flight.stand = self.stand();
    }

    /// Finds the change that cannot be written, so that the others of its batch are.
    async fn write_one_by_one(&self, flight: &mut Flight) {
        for entry in std::mem::take(&mut flight.entries) {
            let mut single = vec![entry];
            match self.commit(&single, &flight.stand).await {
                Ok(written) => self.answer_all(&mut single, written, &flight.stand),
                Err(error) if retries(error.kind()) => flight.entries.append(&mut single),
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
