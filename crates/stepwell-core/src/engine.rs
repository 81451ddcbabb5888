//! The executor: it takes workflows, runs them, keeps its lease, and lets go in order.
//!
//! Every task that it spawns is owned by its tracker and awaited at the end. It holds no state that
//! a crash would lose.

mod alerts;
mod answers;
mod deadlines;
pub(crate) mod declare;
mod dispatch;
mod doing;
mod driver;
mod interrupts;
mod lease;
mod parking;
mod pulse;
mod schedules;
mod shutdown;
mod unregistered;
mod upkeep;

pub(crate) use driver::panic_message;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use crate::{
    alert::Alerts,
    client::{Client, hear},
    config::Config,
    error::{Error, ErrorKind},
    id::{ExecutorId, WorkflowKey},
    registry::Registry,
    run::{Interrupt, NewRun, Run},
    store::{NewExecutor, NewWorkflow, Started},
    testing::mock::Mocks,
    workflow::State,
};

/// How a workflow came to this executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// By a claim: a run of it that is still here is over in the database.
    Claimed,
    /// It is owned already: a run of it that is here is the one.
    Owned,
}

/// One executor.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) client: Client,
    pub(crate) config: Config,
    pub(crate) registry: Arc<Registry>,
    pub(crate) mocks: Mocks,
    pub(crate) alerts: Arc<Alerts>,
    runs: Mutex<HashMap<WorkflowKey, Arc<Run>>>,
    /// What was launched because the database said that it is ours. Whoever hears of its start later
    /// must not launch it again: it may have ended by then.
    adopted: Mutex<HashSet<WorkflowKey>>,
    /// Held while the database is asked what to run, until it runs: the answer to a claim and the one
    /// to what is owned name the same workflows, and each is to be launched once.
    taking: tokio::sync::Mutex<()>,
    /// What has ended here since it was asked what is owned; none while nobody asks. The answer may
    /// be older than the end.
    ended: Mutex<Option<HashSet<WorkflowKey>>>,
    /// Where the application built this: its workflows run there.
    runtime: Handle,
    /// The tasks of runs and loops; awaited at the end.
    tasks: TaskTracker,
    /// The journal's writer, which must outlive the runs.
    writer: TaskTracker,
    /// What keeps the lease, which must outlive both.
    keeping: TaskTracker,
    stage: tokio::sync::Mutex<Stage>,
    /// Set when the answer of a claim was lost: what is owned must be compared with what runs.
    doubtful: AtomicBool,
    /// What was owned and did not run, or ran and was not owned, when that was compared last. Most of
    /// it is on its way: only who is in it twice is a difference.
    differing: Mutex<HashSet<WorkflowKey>>,
    /// How many runs have begun here: each has its number.
    begun_runs: AtomicU64,
    /// Workflows of whose cancellation is heard before they run.
    early: Mutex<interrupts::Early>,
    /// Cancelled when nothing new is to be taken, and no step or transaction begins any more.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when it is to let go in order.
    shutting_down: CancellationToken,
    /// Cancelled when the loops are to end, and all that is left with them.
    pub(crate) stopped: CancellationToken,
    /// Cancelled when the loops hear by themselves what others write, or have ended.
    hearing: CancellationToken,
    /// Cancelled when the journal is to be left as it is.
    abandon: CancellationToken,
    /// Cancelled when the application's runtime is gone, and all workflows with it.
    orphaned: CancellationToken,
}

/// How far an executor is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was not launched yet.
    New,
    /// It takes work.
    Running,
    /// It was shut down.
    Over,
}

impl Engine {
    pub(crate) fn new(
        client: Client,
        config: Config,
        registry: Arc<Registry>,
        alerts: Arc<Alerts>,
    ) -> Arc<Self> {
        let stopped = CancellationToken::new();
        Arc::new(Self {
            client,
            config,
            registry,
            mocks: Mocks::default(),
            alerts,
            runs: Mutex::default(),
            adopted: Mutex::default(),
            taking: tokio::sync::Mutex::new(()),
            ended: Mutex::default(),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            writer: TaskTracker::new(),
            keeping: TaskTracker::new(),
            stage: tokio::sync::Mutex::new(Stage::New),
            doubtful: AtomicBool::new(false),
            differing: Mutex::default(),
            begun_runs: AtomicU64::new(0),
            early: Mutex::default(),
            stopping: CancellationToken::new(),
            shutting_down: CancellationToken::new(),
            hearing: stopped.child_token(),
            stopped,
            abandon: CancellationToken::new(),
            orphaned: CancellationToken::new(),
        })
    }

    /// Starts the journal's writer: from now on requests are answered. Until it begins to run
    /// workflows, it hears what others write as any client does.
    pub(crate) fn open(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        self.writer.spawn(async move {
            engine.client.0.journal.write(engine.abandon.clone()).await;
        });
        let core = &self.client.0;
        let hearing = hear(Arc::clone(&core.store), Arc::clone(&core.hub));
        let until = self.hearing.clone();
        self.tasks.spawn(async move {
            until.run_until_cancelled(hearing).await;
        });
    }

    /// Registers this process as an executor, takes over what was left by dead ones, and begins to
    /// take work. The second time it does nothing.
    pub(crate) async fn begin(self: &Arc<Self>) -> Result<(), Error> {
        let mut stage = self.stage.lock().await;
        if *stage == Stage::Running {
            return Ok(());
        }
        // A shutdown does not wait for a launch that waits for the database.
        let prepared = self.stopping.run_until_cancelled(self.prepare()).await;
        prepared.unwrap_or_else(|| Err(self.over()))?;
        if let Err(error) = upkeep::start(self) {
            self.leave().await;
            return Err(error);
        }
        // From here on the upkeep hears.
        self.hearing.cancel();
        info!(
            application = self.config.application,
            database = self.client.0.store.describe(),
            workflows = self.registry.names().len(),
            "running workflows"
        );
        self.tasks.spawn(dispatch::run(Arc::clone(self)));
        self.tasks.spawn(schedules::run(Arc::clone(self)));
        self.tasks.spawn(deadlines::run(Arc::clone(self)));
        self.tasks.spawn(parking::run(Arc::clone(self)));
        self.tasks.spawn(interrupts::run(Arc::clone(self)));
        self.tasks.spawn(alerts::run(Arc::clone(self)));
        self.tasks.spawn(unregistered::tell(Arc::clone(self)));
        *stage = Stage::Running;
        Ok(())
    }

    async fn prepare(&self) -> Result<(), Error> {
        lease::register(self)
            .await
            .map_err(|error| Error::of_opening("register an executor", error))?;
        lease::take_over_first(self).await;
        let declared = declare::all(self).await;
        if declared.is_err() {
            self.leave().await;
        }
        declared
    }

    /// Hands back what was started since this executor registered: its lease is not kept.
    async fn leave(&self) {
        self.drop_runs();
        shutdown::retire(self).await;
    }

    fn over(&self) -> Error {
        let name = &self.config.application;
        let message = format!(
            "the application `{name}` is shutting down or was shut down, and launches no more; \
             build another one"
        );
        Error::new(ErrorKind::Unavailable, message)
    }

    fn new_executor(&self, id: ExecutorId) -> NewExecutor {
        NewExecutor {
            id,
            application: self.config.application.clone(),
            version: self.config.version.clone(),
            host: host_name(),
            pid: std::process::id(),
            lease: self.config.lease,
            declares: declare::schedules(&self.registry),
            names: self.names(),
        }
    }

    /// The workflows that it registers, by name, in their order.
    fn names(&self) -> Vec<String> {
        let mut names = self.registry.names();
        names.sort();
        names
    }

    /// Runs what a start of this executor has made or found, if it is to run here.
    pub(crate) fn launch_started(
        self: &Arc<Self>,
        started: &Started,
        new: &NewWorkflow,
        generation: u64,
    ) {
        let (key, nonce, past) = match started {
            Started::New { key, .. } if new.runs_here() => {
                (*key, Some(new.nonce), driver::Past::None)
            }
            // Ours but, perhaps, not on its way: the answer to its start was lost.
            Started::Existing {
                key,
                state: State::Running,
                mine: true,
                nonce,
            } => (*key, *nonce, driver::Past::Recorded),
            _ => return,
        };
        // When the executor stops, what it owns is handed back.
        if self.stopped.is_cancelled() || self.runs_here(key) || self.adopted().remove(&key) {
            return;
        }
        let now = self.client.now();
        let deadline_at = new
            .deadline
            .and_then(|deadline| now.checked_add(deadline).ok());
        let run = NewRun {
            generation,
            key,
            id: new.id.clone(),
            nonce,
            name: new.name.clone(),
            deadline_at,
            origin: new.origin.clone(),
            created_at: now,
            claimed: past == driver::Past::Recorded,
        };
        self.spawn(run, new.input.clone(), (past, Taken::Owned));
    }

    /// Spawns the task of a run. One task per workflow: a new one waits for the end of the old one.
    fn spawn(
        self: &Arc<Self>,
        new: NewRun,
        input: crate::Payload,
        (past, taken): (driver::Past, Taken),
    ) {
        let key = new.key;
        let number = self.begun_runs.fetch_add(1, Ordering::SeqCst);
        let run = Arc::new(Run::new(Arc::clone(self), new, number));
        let before = {
            let mut runs = self.runs();
            // What an earlier incarnation was given runs elsewhere, or will. Under the lock: what is here
            // when an incarnation ends is dropped with it.
            let is_late = run.generation != self.client.0.journal.generation();
            if is_late || (taken == Taken::Owned && runs.contains_key(&key)) {
                return;
            }
            // The answer of a claim may come after everybody else was told.
            if self.stopped.is_cancelled() {
                run.control.interrupt(Interrupt::HandedBack);
            }
            if self.early().remove(key) {
                self.look_into();
            }
            runs.insert(key, Arc::clone(&run))
        };
        if let Some(before) = &before {
            // The database has handed the workflow out anew: whatever ended the run that is still
            // here, news of it may never come.
            before.control.interrupt(Interrupt::Superseded);
        }
        // Whoever was on its way before may have recorded something.
        let past = if before.is_some() {
            driver::Past::Recorded
        } else {
            past
        };
        // The answer of a claim may be heard on another runtime.
        let drive = async move {
            if let Some(before) = before {
                before.over.cancelled().await;
            }
            driver::drive(run, input, past).await;
        };
        drop(self.tasks.spawn_on(drive, &self.runtime));
    }

    /// How many runs have begun here so far.
    fn begun_runs(&self) -> u64 {
        self.begun_runs.load(Ordering::SeqCst)
    }

    /// Spawns a task that the end of the executor waits for.
    pub(crate) fn spawn_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.tasks.spawn_on(task, &self.runtime));
    }

    /// Forgets a run whose task is over, unless a newer one has taken its place.
    fn forget(&self, run: &Arc<Run>) {
        let mut runs = self.runs();
        if runs
            .get(&run.key)
            .is_some_and(|current| Arc::ptr_eq(current, run))
        {
            runs.remove(&run.key);
            // Under the lock of the runs: who finds it in neither would launch it again.
            if let Some(ended) = self.ended().as_mut() {
                ended.insert(run.key);
            }
        }
        drop(runs);
        if run.claimed {
            self.client.0.hub.work_arrived();
        }
    }

    /// Interrupts a run, if it is here.
    fn interrupt(&self, key: WorkflowKey, interrupt: Interrupt) {
        if let Some(run) = self.runs().get(&key) {
            run.control.interrupt(interrupt);
        }
    }

    /// Whether a workflow is on its way here.
    fn runs_here(&self, key: WorkflowKey) -> bool {
        self.runs().contains_key(&key)
    }

    /// Drops every run that is here: another executor has them, or will.
    fn drop_runs(&self) {
        self.adopted().clear();
        for run in self.runs().values() {
            run.control.interrupt(Interrupt::Lost);
        }
    }

    /// The answer of a claim, or of a question for cancellations, was lost.
    fn doubt(&self) {
        self.doubtful.store(true, Ordering::SeqCst);
    }

    /// Has what is owned compared with what runs, soon.
    fn look_into(&self) {
        self.doubt();
        self.client.0.hub.work_arrived();
    }

    pub(crate) fn free_places(&self) -> u32 {
        let running = u32::try_from(self.runs().len()).unwrap_or(u32::MAX);
        self.config.workflows_max.saturating_sub(running)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<WorkflowKey, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn adopted(&self) -> MutexGuard<'_, HashSet<WorkflowKey>> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn early(&self) -> MutexGuard<'_, interrupts::Early> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, Option<HashSet<WorkflowKey>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether a workflow has ended here since the question what this executor owns.
    fn has_ended(&self, key: WorkflowKey) -> bool {
        (self.ended().as_ref()).is_some_and(|ended| ended.contains(&key))
    }

    /// Waits until an instant of the store's clock. Looks at that clock again every minute: the
    /// process's own clock stands still while a laptop sleeps.
    pub(crate) async fn wait_until(&self, at: Timestamp) {
        loop {
            let left = Duration::try_from(at.duration_since(self.client.now())).unwrap_or_default();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(self.config.clock)).await;
        }
    }
}

/// What the console calls this machine.
fn host_name() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
