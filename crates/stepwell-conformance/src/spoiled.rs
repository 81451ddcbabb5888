//! [`Spoiled`]: any store, over a database that gives trouble when it is told to.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jiff::Timestamp;
use stepwell_core::{
    BoxFuture, ExecutorId, Outcome, Payload, Place, Record, Takeover, WorkflowId, WorkflowKey,
    store::{
        Applied, Batch, Change, Claim, Claimed, DeadLetters, Deadline, Executor, ExecutorStore,
        Filter, FollowStore, Mark, Message, MessageStore, Moment, NameWaiting, NewExecutor, News,
        PublishedEvent, QueueInfo, QueueLimited, QueueSeen, QueueStore, Recorded, Renewal, Renewed,
        ScheduleInfo, ScheduleStore, Store, StoreError, StoreErrorKind, StoreFuture, StreamEntry,
        TakeOver, TakenOver, Tally, Values, WaitingMessage, Workflow, WorkflowStore, Written,
    },
};
use tokio::sync::Notify;

/// What is done to a batch with a change that is to be spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// Nothing of it is written; the answer is an error of this kind.
    Refuse(StoreErrorKind),
    /// It is written; the answer is an error of this kind.
    Lose(StoreErrorKind),
    /// Nothing happens for so long; then it is written.
    Delay(Duration),
}

/// Passes everything on to a store. A batch that holds a change which was picked fails as the
/// database would have it fail: all of it.
pub struct Spoiled {
    inner: Arc<dyn Store>,
    faults: Mutex<Vec<Arc<Fault>>>,
    /// What was applied, in its order.
    applied: Mutex<Vec<(Change, Applied)>>,
    commits: AtomicU64,
}

type Picks = Box<dyn Fn(&Change) -> bool + Send + Sync>;

/// Which change is spoiled, how, and how often.
pub struct Fault {
    picks: Picks,
    which: Which,
    spoil: Spoil,
    state: Mutex<FaultState>,
    struck: Notify,
}

/// Which of the changes that are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// The one after the first `skip`, whenever it is handed in.
    One {
        skip: usize,
    },
}

struct FaultState {
    /// What was let past before, as text.
    let_past: Vec<String>,
    /// The change that was picked, as text: handed in again it is the same one.
    picked: Option<String>,
    /// How often it is spoiled yet; for ever, if none.
    left: Option<u32>,
    struck: u32,
}

impl Fault {
    /// Whether a batch is spoiled: it holds the change that was picked, or one that is picked now.
    fn strikes(&self, batch: &Batch) -> bool {
        let mut state = lock(&self.state);
        if state.left == Some(0) {
            return false;
        }
        let strikes = batch.changes.iter().any(|change| {
            if !(self.picks)(change) {
                return false;
            }
            let Which::One { skip } = self.which else {
                return true;
            };
            let text = format!("{change:?}");
            if let Some(picked) = &state.picked {
                return *picked == text;
            }
            if state.let_past.contains(&text) {
                return false;
            }
            if state.let_past.len() < skip {
                state.let_past.push(text);
                return false;
            }
            state.picked = Some(text);
            true
        });
        if strikes {
            state.struck += 1;
            state.left = state.left.map(|left| left - 1);
            self.struck.notify_one();
        }
        strikes
    }

    /// How often it has struck. A fault that never does shows nothing.
    pub fn struck(&self) -> u32 {
        lock(&self.state).struck
    }

    /// Returns when it has struck.
    pub async fn has_struck(&self) {
        while self.struck() == 0 {
            self.struck.notified().await;
        }
    }

    /// Lets everything pass from now on: the trouble is over.
    pub fn ends(&self) {
        lock(&self.state).left = Some(0);
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("spoil", &self.spoil)
            .field("struck", &self.struck())
            .finish_non_exhaustive()
    }
}

impl Spoiled {
    /// Over a store, without a fault.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults: Mutex::default(),
            applied: Mutex::default(),
            commits: AtomicU64::new(0),
        })
    }

    /// Spoils the change after the first `skip` ones that `picks` picks, `times` times or for ever.
    pub fn spoil(
        &self,
        spoil: Spoil,
        (skip, times): (usize, Option<u32>),
        picks: impl Fn(&Change) -> bool + Send + Sync + 'static,
    ) -> Arc<Fault> {
        self.add(spoil, Which::One { skip }, times, Box::new(picks))
    }

    /// Spoils every change that `picks` picks, until it ends.
    pub fn spoil_all(
        &self,
        spoil: Spoil,
        picks: impl Fn(&Change) -> bool + Send + Sync + 'static,
    ) -> Arc<Fault> {
        self.add(spoil, Which::All, None, Box::new(picks))
    }

    fn add(&self, spoil: Spoil, which: Which, left: Option<u32>, picks: Picks) -> Arc<Fault> {
        let fault = Arc::new(Fault {
            picks,
            which,
            spoil,
            state: Mutex::new(FaultState {
                let_past: Vec::new(),
                picked: None,
                left,
                struck: 0,
            }),
            struck: Notify::new(),
        });
        lock(&self.faults).push(Arc::clone(&fault));
        fault
    }

    /// Everything that was applied, in its order.
    pub fn applied(&self) -> Vec<(Change, Applied)> {
        lock(&self.applied).clone()
    }

    /// How many batches were handed in.
    pub fn commits(&self) -> u64 {
        self.commits.load(SeqCst)
    }

    async fn pass_on(&self, batch: Batch) -> Result<Written, StoreError> {
        self.commits.fetch_add(1, SeqCst);
        let faults = lock(&self.faults).clone();
        let struck: Vec<_> = faults.iter().filter(|it| it.strikes(&batch)).collect();
        let mut lost = None;
        for fault in struck {
            match fault.spoil {
                Spoil::Refuse(kind) => return Err(spoiled(kind)),
                Spoil::Lose(kind) => lost = Some(kind),
                Spoil::Delay(by) => tokio::time::sleep(by).await,
            }
        }
        let changes = batch.changes.clone();
        let written = self.inner.commit(batch).await?;
        let all = changes.into_iter().zip(written.applied.iter().cloned());
        lock(&self.applied).extend(all);
        lost.map_or(Ok(written), |kind| Err(spoiled(kind)))
    }
}

fn spoiled(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "spoiled on purpose")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Spoiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spoiled")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Store for Spoiled {
    fn commit(&self, batch: Batch) -> StoreFuture<'_, Written> {
        Box::pin(self.pass_on(batch))
    }

    fn writers(&self) -> usize {
        self.inner.writers()
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn news(&self) -> StoreFuture<'_, News> {
        self.inner.news()
    }

    fn told(&self) -> BoxFuture<'_, ()> {
        self.inner.told()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Methods that are passed on as they are.
macro_rules! pass_on {
    ($trait:ident { $(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty;)* }) => {
        impl $trait for Spoiled {
            $(fn $name(&self, $($arg: $type),*) -> StoreFuture<'_, $out> {
                self.inner.$name($($arg),*)
            })*
        }
    };
}

pass_on!(WorkflowStore {
    fn find(id: &WorkflowId) -> Option<Workflow>;
    fn result(key: WorkflowKey) -> Option<(Workflow, Option<Outcome>)>;
    fn is_untried(key: WorkflowKey, patience: Duration) -> bool;
    fn history(key: WorkflowKey, after: Option<Place>, limit: u32) -> Vec<Record>;
    fn list(filter: Filter) -> Vec<Workflow>;
    fn takeovers(key: WorkflowKey) -> Vec<Takeover>;
    fn children(key: WorkflowKey) -> Vec<Workflow>;
    fn dead_letters() -> Vec<DeadLetters>;
    fn tallies() -> Vec<Tally>;
    fn names_waiting() -> Vec<NameWaiting>;
});

pass_on!(FollowStore {
    fn marks(keys: Vec<WorkflowKey>) -> Vec<Mark>;
    fn recorded(
        key: WorkflowKey,
        after: Option<Moment>,
        values: Values,
        limit: u32,
    ) -> Vec<Recorded>;
});

pass_on!(MessageStore {
    fn inbox(key: WorkflowKey, topic: &str, limit: u32) -> Vec<Message>;
    fn waiting_messages(
        key: WorkflowKey,
        after: Option<&WaitingMessage>,
        limit: u32,
    ) -> Vec<WaitingMessage>;
    fn event(key: WorkflowKey, name: &str) -> Option<Payload>;
    fn events(key: WorkflowKey) -> Vec<PublishedEvent>;
    fn stream(key: WorkflowKey, stream: &str, from: u64, limit: u32) -> Vec<StreamEntry>;
});

pass_on!(QueueStore {
    fn queues() -> Vec<QueueInfo>;
    fn limits() -> Vec<QueueLimited>;
    fn queue_of(workflow: WorkflowKey) -> Option<QueueSeen>;
});

pass_on!(ScheduleStore {
    fn schedules() -> Vec<ScheduleInfo>;
});

pass_on!(ExecutorStore {
    fn register(executor: NewExecutor) -> ();
    fn renew(renewal: Renewal) -> Renewed;
    fn doing(executor: &ExecutorId) -> Option<Payload>;
    fn take_over(look: TakeOver) -> TakenOver;
    fn claim(claim: Claim) -> Vec<Claimed>;
    fn owned(executor: &ExecutorId, keys: Vec<WorkflowKey>) -> Vec<Claimed>;
    fn owned_keys(executor: &ExecutorId) -> Vec<WorkflowKey>;
    fn next_wake() -> Option<Timestamp>;
    fn deadlines(limit: u32) -> Vec<Deadline>;
    fn take_interrupts(executor: &ExecutorId) -> Vec<WorkflowKey>;
    fn retire(executor: &ExecutorId) -> ();
    fn executors() -> Vec<Executor>;
});
