//! A store whose answers get lost, or that fails for a while: nothing is lost, nothing runs twice.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use stepwell::{
    App, Ctx, ExecutorId, Missed, Outcome, Place, Queue, Record, Takeover, Timestamp, WorkflowId,
    WorkflowKey,
    clock::{Clock, SystemClock},
    step,
    store::{
        Applied, Batch, Change, Claim, Claimed, DeadLetters, Deadline, Executor, ExecutorStore,
        Filter, FollowStore, Mark, Message, MessageStore, Moment, NameWaiting, NewExecutor,
        NewSchedule, News, Progressed, PublishedEvent, QueueChange, QueueInfo, QueueLimited,
        QueueSeen, QueueStore, QueueUse, Recorded, Renewal, Renewed, ScheduleChange, ScheduleInfo,
        ScheduleStore, Store, StoreError, StoreErrorKind, StoreFuture, StoreUrl, StreamEntry,
        TakeOver, TakenOver, Tally, Values, WaitingMessage, Workflow, WorkflowStore, Written,
        open_store,
    },
    workflow,
};
use tokio::sync::Notify;

/// Whether a change is of a kind.
type IsOfKind = fn(&Change) -> bool;

/// Passes everything on to SQLite in memory, and loses as many answers as it is told to.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Store>,
    commits: AtomicU32,
    pub(crate) commits_to_lose: AtomicU32,
    /// While it is set, commits that hold a change of this kind find the disk full.
    pub(crate) full: Mutex<Option<IsOfKind>>,
    /// How many found it full.
    pub(crate) found_full: AtomicU32,
    /// Whether other processes seem to have written at every look.
    pub(crate) is_busy: AtomicBool,
    pub(crate) interrupts_gate: Gate,
    commits_to_refuse: AtomicU32,
    claims_to_lose: AtomicU32,
    pub(crate) renewals_to_lose: AtomicU32,
    pub(crate) looks_to_lose: AtomicU32,
    /// The looks for dead executors, in their order.
    pub(crate) looks: Mutex<Vec<Look>>,
    claim_gate: Gate,
    owned_gate: Gate,
    unruly: Option<Unruly>,
}

/// A look for dead executors.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// When it began, by a clock that cannot be moved, and by the store's.
    pub(crate) begun: Instant,
    pub(crate) now: Timestamp,
    pub(crate) asked: TakeOver,
    /// Whether its answer was lost.
    pub(crate) is_lost: bool,
}

/// Holds an answer back that names a workflow, once it is closed.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) is_closed: AtomicBool,
    pub(crate) reached: Notify,
    pub(crate) opened: Notify,
}

/// The answer, as it was before the gate was reached.
fn held<'a, T: Send + 'a>(answer: Answer<'a, Vec<T>>, gate: &'a Gate) -> Answer<'a, Vec<T>> {
    Box::pin(async move {
        let answer = answer.await;
        let names_any = answer.as_ref().is_ok_and(|claimed| !claimed.is_empty());
        if names_any && gate.is_closed.swap(false, SeqCst) {
            gate.reached.notify_one();
            gate.opened.notified().await;
        }
        answer
    })
}

impl Faulty {
    pub(crate) async fn new() -> Arc<Self> {
        Self::with(None).await
    }

    async fn with(unruly: Option<Unruly>) -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inner = open_store(&StoreUrl::new("sqlite::memory:"), clock)
            .await
            .unwrap();
        let (commits_to_lose, commits_to_refuse, claims_to_lose) = Default::default();
        Arc::new(Self {
            inner,
            commits: AtomicU32::new(0),
            commits_to_lose,
            commits_to_refuse,
            claims_to_lose,
            renewals_to_lose: AtomicU32::new(0),
            looks_to_lose: AtomicU32::new(0),
            looks: Mutex::default(),
            claim_gate: Gate::default(),
            owned_gate: Gate::default(),
            full: Mutex::default(),
            found_full: AtomicU32::new(0),
            is_busy: AtomicBool::new(false),
            interrupts_gate: Gate::default(),
            unruly,
        })
    }
}

fn take_one(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

fn away() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the connection was lost")
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The answer, unless it is to be lost after all was done.
fn or_lost<'a, T: Send + 'a>(answer: Answer<'a, T>, lost: bool) -> Answer<'a, T> {
    Box::pin(async move {
        let answer = answer.await?;
        if lost { Err(away()) } else { Ok(answer) }
    })
}

impl Store for Faulty {
    fn commit(&self, batch: Batch) -> StoreFuture<'_, Written> {
        self.commits.fetch_add(1, SeqCst);
        if let Some(unruly) = &self.unruly {
            return Box::pin(unruly.commit(&*self.inner, batch));
        }
        if take_one(&self.commits_to_refuse) {
            return Box::pin(async { Err(away()) });
        }
        let full = *self.full.lock().unwrap();
        if full.is_some_and(|is_refused| batch.changes.iter().any(is_refused)) {
            self.found_full.fetch_add(1, SeqCst);
            let error = StoreError::new(StoreErrorKind::Full, "the disk is full");
            return Box::pin(async { Err(error) });
        }
        or_lost(self.inner.commit(batch), take_one(&self.commits_to_lose))
    }

    fn writers(&self) -> usize {
        if self.unruly.is_some() { 4 } else { 1 }
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn news(&self) -> StoreFuture<'_, News> {
        if self.is_busy.load(SeqCst) {
            return Box::pin(async { Ok(News::of_anything()) });
        }
        self.inner.news()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Methods that are passed on as they are.
macro_rules! pass_on {
    ($trait:ident { $(
        $(#[$lost:ident])? fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty $(, behind $gate:ident)?;
    )* } $({ $($own:tt)* })?) => {
        impl $trait for Faulty {
            $($($own)*)?
            $(fn $name(&self, $($arg: $type),*) -> StoreFuture<'_, $out> {
                let answer = self.inner.$name($($arg),*);
                $(if take_one(&self.$lost) {
                    return or_lost(answer, true);
                })?
                $(let answer = held(answer, &self.$gate);)?
                answer
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
    fn recorded(key: WorkflowKey, after: Option<Moment>, values: Values, limit: u32) -> Vec<Recorded>;
});

pass_on!(MessageStore {
    fn inbox(key: WorkflowKey, topic: &str, limit: u32) -> Vec<Message>;
    fn waiting_messages(
        key: WorkflowKey, after: Option<&WaitingMessage>, limit: u32
    ) -> Vec<WaitingMessage>;
    fn event(key: WorkflowKey, name: &str) -> Option<stepwell::Payload>;
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
    #[renewals_to_lose]
    fn renew(renewal: Renewal) -> Renewed;
    fn doing(executor: &ExecutorId) -> Option<stepwell::Payload>;
    #[claims_to_lose]
    fn claim(claim: Claim) -> Vec<Claimed>, behind claim_gate;
    fn owned(executor: &ExecutorId, keys: Vec<WorkflowKey>) -> Vec<Claimed>;
    fn owned_keys(executor: &ExecutorId) -> Vec<WorkflowKey>, behind owned_gate;
    fn next_wake() -> Option<Timestamp>;
    fn deadlines(limit: u32) -> Vec<Deadline>;
    fn take_interrupts(executor: &ExecutorId) -> Vec<WorkflowKey>, behind interrupts_gate;
    fn retire(executor: &ExecutorId) -> ();
    fn executors() -> Vec<Executor>;
} {
    fn take_over(&self, asked: TakeOver) -> StoreFuture<'_, TakenOver> {
        let is_lost = take_one(&self.looks_to_lose);
        self.looks.lock().unwrap().push(Look {
            begun: Instant::now(),
            now: self.now(),
            asked: asked.clone(),
            is_lost,
        });
        or_lost(self.inner.take_over(asked), is_lost)
    }
});

static LINE: Queue = Queue::new("line");

#[derive(stepwell::State, Default)]
struct Counts {
    #[provide]
    steps: AtomicU32,
    /// What `waits_first` waits for.
    #[provide]
    go: Notify,
}

#[step]
async fn count(#[state] steps: &AtomicU32) -> stepwell::Result<u32> {
    Ok(steps.fetch_add(1, SeqCst))
}

#[workflow]
async fn three_steps(ctx: &mut Ctx<Counts>) -> stepwell::Result<u32> {
    for _ in 0..3 {
        ctx.run(count()).await?;
    }
    Ok(3)
}

#[step]
async fn wait_and_count(#[state] go: &Notify, #[state] steps: &AtomicU32) -> stepwell::Result<u32> {
    go.notified().await;
    Ok(steps.fetch_add(1, SeqCst))
}

#[workflow]
async fn waits_first(ctx: &mut Ctx<Counts>) -> stepwell::Result<()> {
    ctx.run(wait_and_count()).await?;
    ctx.run(count()).await?;
    Ok(())
}

async fn launch(store: Arc<Faulty>) -> App<Counts> {
    launch_with(store, Duration::from_millis(300)).await
}

async fn launch_with(store: Arc<Faulty>, lease: Duration) -> App<Counts> {
    let app = App::builder("faults").store(store).state(Counts::default());
    app.lease(lease).launch().await.unwrap()
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_handed_in_again_and_counts_once() {
    let store = Faulty::new().await;
    let app = launch(Arc::clone(&store)).await;
    for lost in 1..=5 {
        store.commits_to_lose.store(lost, SeqCst);
        assert_eq!(app.run(three_steps()).await.unwrap(), 3);
        assert_eq!(
            app.state().steps.swap(0, SeqCst),
            3,
            "a step ran again or not at all"
        );
    }
    let ended = Filter {
        states: vec![stepwell::State::Succeeded],
        ..Filter::default()
    };
    assert_eq!(app.client().list(ended).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_database_that_is_away_for_a_while_fails_no_workflow() {
    let store = Faulty::new().await;
    let app = launch(Arc::clone(&store)).await;
    let handle = app.start(three_steps()).await.unwrap();
    store.commits_to_refuse.store(4, SeqCst);
    assert_eq!(handle.result().await.unwrap(), 3);
    assert_eq!(app.state().steps.load(SeqCst), 3);
}

#[tokio::test]
async fn work_whose_claim_was_answered_into_the_void_is_found_again() {
    let store = Faulty::new().await;
    let app = launch(Arc::clone(&store)).await;
    store.claims_to_lose.store(1, SeqCst);
    let handle = app.start(three_steps().queue(&LINE)).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 3);
    assert_eq!(store.claims_to_lose.load(SeqCst), 0, "no claim was lost");
    assert_eq!(app.state().steps.load(SeqCst), 3);
}

/// What is owned is asked after a lost claim. The answer says that a workflow runs, without a record
/// yet; until it arrives, the workflow has ended.
#[tokio::test]
async fn what_has_ended_before_the_answer_arrives_is_not_run_again() {
    let store = Faulty::new().await;
    // It is asked at renewals, too: there are none as long as this takes.
    let app = launch_with(Arc::clone(&store), Duration::from_secs(600)).await;
    let ends = app.start(waits_first()).await.unwrap();
    store.owned_gate.is_closed.store(true, SeqCst);
    store.claims_to_lose.store(1, SeqCst);
    let lost = app.start(three_steps().queue(&LINE)).await.unwrap();
    store.owned_gate.reached.notified().await;
    app.state().go.notify_one();
    ends.result().await.unwrap();
    assert_eq!(app.state().steps.load(SeqCst), 2);
    // Whoever runs it again need not wait.
    app.state().go.notify_one();
    store.owned_gate.opened.notify_one();
    assert_eq!(lost.result().await.unwrap(), 3);
    app.shutdown().await;
    assert_eq!(
        app.state().steps.load(SeqCst),
        2 + 3,
        "recorded steps ran again"
    );
}

#[tokio::test]
async fn what_is_claimed_while_the_application_stops_is_handed_back() {
    let store = Faulty::new().await;
    let app = launch(Arc::clone(&store)).await;
    store.claim_gate.is_closed.store(true, SeqCst);
    let late = app.start(three_steps().queue(&LINE)).await.unwrap();
    store.claim_gate.reached.notified().await;
    let stops = app.clone();
    let stopping = tokio::spawn(async move { stops.shutdown().await });
    app.stopped().await;
    store.claim_gate.opened.notify_one();
    let stopped = tokio::time::timeout(Duration::from_secs(20), stopping).await;
    stopped
        .expect("the end waits for a run that nobody told of it")
        .unwrap();
    let left = app.client().get(late.id()).await.unwrap().unwrap();
    assert_eq!(left.state, stepwell::State::Enqueued);
    assert_eq!(app.state().steps.load(SeqCst), 0);
}

/// All threads of the application were blocked, and its lease was lost meanwhile: the thread that keeps it
/// has another one.
#[tokio::test]
async fn what_an_earlier_incarnation_has_claimed_is_not_run_by_a_later_one() {
    let store = Faulty::new().await;
    let app = launch(Arc::clone(&store)).await;
    let incarnations = async || store.inner.executors().await.unwrap();
    let first = incarnations().await.remove(0).id;
    store.claim_gate.is_closed.store(true, SeqCst);
    let handle = app.start(waits_first().queue(&LINE)).await.unwrap();
    store.claim_gate.reached.notified().await;
    // What was claimed is handed out anew.
    store.inner.retire(&first).await.unwrap();
    let is_later = |it: &Executor| it.id != first && it.ended_at.is_none();
    while !incarnations().await.iter().any(is_later) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let elsewhere = App::builder("faults").store(Arc::clone(&store.inner));
    let elsewhere = elsewhere.state(Counts::default()).launch().await.unwrap();
    let id = handle.id().to_owned();
    let runs = async || app.client().get(&id).await.unwrap().unwrap().state;
    while runs().await != stepwell::State::Running {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    app.state().go.notify_one();
    store.claim_gate.opened.notify_one();
    elsewhere.state().go.notify_one();
    handle.result().await.unwrap();
    app.shutdown().await;
    elsewhere.shutdown().await;
    let counts = [&app, &elsewhere].map(|app| app.state().steps.load(SeqCst));
    assert_eq!(counts, [0, 2], "its steps ran where it was not owned");
}

/// Takes several batches at once and applies them in whatever order it likes; some it refuses, of
/// some it loses the answer. It watches that the changes of a run arrive in order all the same.
#[derive(Debug, Default)]
struct Unruly {
    dice: Mutex<u64>,
    at_once: AtomicU32,
    most_at_once: AtomicU32,
    late: AtomicU32,
    with_records: AtomicU32,
    held: Notify,
    joined: Notify,
    last_places: Mutex<HashMap<WorkflowKey, Place>>,
}

impl Unruly {
    fn roll(&self, sides: u64) -> u64 {
        // A linear congruential generator: the same order of answers in every run.
        let mut dice = self.dice.lock().unwrap();
        *dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*dice >> 33) % sides
    }

    fn watch(&self, changes: &[Change], applied: &[Applied]) {
        let mut last = self.last_places.lock().unwrap();
        for (change, applied) in changes.iter().zip(applied) {
            let (Change::Progress(progress), Applied::Progress(Progressed::Recorded(_))) =
                (change, applied)
            else {
                continue;
            };
            for record in &progress.records {
                let before = last.insert(progress.key, record.place.clone());
                let in_order = before.is_none_or(|before| before.encode() < record.place.encode());
                self.late.fetch_add(u32::from(!in_order), SeqCst);
            }
        }
    }

    /// Holds the first batch with records in the air until another one is there too.
    async fn hold(&self, batch: &Batch) {
        let is_record = |change: &Change| matches!(change, Change::Progress(_));
        if !batch.changes.iter().any(is_record) {
            return;
        }
        match self.with_records.fetch_add(1, SeqCst) {
            0 => {
                self.held.notify_one();
                // If none comes, the test says so.
                let joined = self.joined.notified();
                let _ = tokio::time::timeout(Duration::from_secs(20), joined).await;
            }
            1 => self.joined.notify_one(),
            _ => {}
        }
    }

    async fn commit(&self, store: &dyn Store, batch: Batch) -> Result<Written, StoreError> {
        let at_once = self.at_once.fetch_add(1, SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, SeqCst);
        self.hold(&batch).await;
        for _ in 0..self.roll(40) {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, SeqCst);
        let fate = self.roll(20);
        if fate == 0 {
            return Err(away());
        }
        let changes = batch.changes.clone();
        let written = store.commit(batch).await?;
        self.watch(&changes, &written.applied);
        if fate == 1 { Err(away()) } else { Ok(written) }
    }
}

#[workflow]
async fn many_records(ctx: &mut Ctx<Counts>, number: u32) -> stepwell::Result<u32> {
    for _ in 0..5 {
        // Each is recorded without waiting for the one before.
        for _ in 0..number % 4 {
            ctx.uuid().await;
            tokio::task::yield_now().await;
        }
        ctx.run(count()).await?;
    }
    Ok(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_run_arrive_in_order_however_batches_overtake_each_other() {
    let store = Faulty::with(Some(Unruly::default())).await;
    let app = launch(Arc::clone(&store)).await;
    let unruly = store.unruly.as_ref().unwrap();
    let run = async |numbers: std::ops::Range<u32>| {
        let runs = numbers.clone().map(|number| app.run(many_records(number)));
        let results = futures_util::future::join_all(runs).await;
        for (number, result) in numbers.zip(results) {
            assert_eq!(result.unwrap(), number);
        }
    };
    // The others outnumber those whose batch is held, so theirs goes beside it.
    tokio::join!(run(0..20), async {
        unruly.held.notified().await;
        run(20..100).await;
    });
    assert_eq!(app.state().steps.load(SeqCst), 100 * 5);
    assert_eq!(
        unruly.late.load(SeqCst),
        0,
        "changes of a run were overtaken"
    );
    assert!(
        unruly.most_at_once.load(SeqCst) > 1,
        "one batch at a time proves nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_crosses_the_launch_runs_once_and_shuts_down() {
    for _ in 0..30 {
        let builder = App::builder("faults").store(Faulty::new().await);
        let app = builder.state(Counts::default()).build().await.unwrap();
        let starts = futures_util::future::join_all((0..8).map(|_| app.start(three_steps())));
        let (starts, launched) = tokio::join!(starts, app.launch());
        launched.unwrap();
        for handle in starts {
            assert_eq!(handle.unwrap().result().await.unwrap(), 3);
        }
        app.shutdown().await;
        assert_eq!(app.state().steps.load(SeqCst), 8 * 3);
    }
}

#[tokio::test]
async fn a_start_whose_caller_has_gone_runs_all_the_same() {
    let store = Faulty::new().await;
    let app = launch(Arc::clone(&store)).await;
    let mut start = Box::pin(app.start(three_steps().id("gone")));
    assert!(futures_util::poll!(&mut start).is_pending());
    drop(start);
    while app.client().get("gone").await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let handle = app.handle::<three_steps>("gone");
    assert_eq!(handle.result().await.unwrap(), 3);
}

/// Each in a commit of its own, a thousand schedules of one instant were seconds late.
#[tokio::test]
async fn schedules_of_one_instant_share_commits() {
    const SCHEDULES: usize = 200;
    let store = Faulty::new().await;
    // Nothing of it begins: only ticks are written.
    let queue = QueueUse::new("later");
    let define = |number| {
        Change::Schedule(ScheduleChange::Define(NewSchedule {
            name: format!("report-{number:03}"),
            workflow: "three_steps".to_owned(),
            spec: "@every 1000h".to_owned(),
            timezone: None,
            missed: Missed::Latest,
            arguments: stepwell::Payload::from_stored("[]".to_owned()),
            queue: Some(queue.clone()),
            executor: None,
            next_at: Some(store.now()),
        }))
    };
    let mut changes: Vec<_> = (0..SCHEDULES).map(define).collect();
    changes.push(Change::Queue(QueueChange::Pause {
        name: "later".to_owned(),
        by: "a test".to_owned(),
        why: String::new(),
    }));
    let batch = Batch {
        executor: None,
        changes,
    };
    store.commit(batch).await.unwrap();
    store.commits.store(0, SeqCst);

    let app = launch(Arc::clone(&store)).await;
    let started = || async {
        let filter = Filter {
            name: Some("three_steps".to_owned()),
            limit: 1_000,
            ..Filter::default()
        };
        app.client().list(filter).await.unwrap().len()
    };
    let all = tokio::time::timeout(Duration::from_secs(60), async {
        while started().await < SCHEDULES {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    all.await.unwrap();
    let commits = store.commits.load(SeqCst);
    assert!(commits < 20, "{commits} commits");
    app.shutdown().await;
}
