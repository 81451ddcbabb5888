//! A store whose answers get lost, or that fails for a while: nothing is lost, nothing runs twice.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Ctx, ExecutorId, Outcome, Place, Queue, Record, Takeover, Timestamp, WorkflowId,
    WorkflowKey,
    clock::{Clock, SystemClock},
    step,
    store::{
        Applied, Batch, Claim, Claimed, Executor, ExecutorStore, Filter, Message, MessageStore,
        NewExecutor, PublishedEvent, Renewed, Store, StoreError, StoreErrorKind, StoreFuture,
        StoreUrl, StreamEntry, TakenOver, Workflow, WorkflowStore, open_store,
    },
    workflow,
};

/// Passes everything on to SQLite in memory, and loses as many answers as it is told to.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Store>,
    commits_to_lose: AtomicU32,
    commits_to_refuse: AtomicU32,
    claims_to_lose: AtomicU32,
}

impl Faulty {
    async fn new() -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inner = open_store(&StoreUrl::new("sqlite::memory:"), clock)
            .await
            .unwrap();
        let (commits_to_lose, commits_to_refuse, claims_to_lose) = Default::default();
        Arc::new(Self {
            inner,
            commits_to_lose,
            commits_to_refuse,
            claims_to_lose,
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
    fn commit(&self, batch: Batch) -> StoreFuture<'_, Vec<Applied>> {
        if take_one(&self.commits_to_refuse) {
            return Box::pin(async { Err(away()) });
        }
        or_lost(self.inner.commit(batch), take_one(&self.commits_to_lose))
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn changed_elsewhere(&self) -> StoreFuture<'_, bool> {
        self.inner.changed_elsewhere()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Methods that are passed on as they are.
macro_rules! pass_on {
    ($trait:ident { $($(#[$lost:ident])? fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)* }) => {
        impl $trait for Faulty {
            $(fn $name(&self, $($arg: $type),*) -> StoreFuture<'_, $out> {
                let answer = self.inner.$name($($arg),*);
                $(if take_one(&self.$lost) {
                    return or_lost(answer, true);
                })?
                answer
            })*
        }
    };
}

pass_on!(WorkflowStore {
    fn find(id: &WorkflowId) -> Option<Workflow>;
    fn result(key: WorkflowKey) -> Option<(Workflow, Option<Outcome>)>;
    fn history(key: WorkflowKey, after: Option<Place>, limit: u32) -> Vec<Record>;
    fn list(filter: Filter) -> Vec<Workflow>;
    fn takeovers(key: WorkflowKey) -> Vec<Takeover>;
    fn children(key: WorkflowKey) -> Vec<Workflow>;
});

pass_on!(MessageStore {
    fn inbox(key: WorkflowKey, topic: &str, limit: u32) -> Vec<Message>;
    fn event(key: WorkflowKey, name: &str) -> Option<stepwell::Payload>;
    fn events(key: WorkflowKey) -> Vec<PublishedEvent>;
    fn stream(key: WorkflowKey, stream: &str, from: u64, limit: u32) -> Vec<StreamEntry>;
});

pass_on!(ExecutorStore {
    fn register(executor: NewExecutor) -> ();
    fn renew(executor: &ExecutorId) -> Renewed;
    fn take_over(executor: &ExecutorId, workflows_max: u32) -> TakenOver;
    #[claims_to_lose]
    fn claim(claim: Claim) -> Vec<Claimed>;
    fn owned(executor: &ExecutorId) -> Vec<Claimed>;
    fn next_wake() -> Option<Timestamp>;
    fn take_interrupts(executor: &ExecutorId) -> Vec<WorkflowKey>;
    fn retire(executor: &ExecutorId) -> ();
    fn executors() -> Vec<Executor>;
});

static LINE: Queue = Queue::new("line");

#[derive(stepwell::State, Default)]
struct Counts {
    #[provide]
    steps: AtomicU32,
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

async fn launch(store: Arc<Faulty>) -> App<Counts> {
    let app = App::builder("faults").store(store).state(Counts::default());
    app.lease(Duration::from_millis(300))
        .launch()
        .await
        .unwrap()
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
