//! What waits for a lock, and must: each test holds it with a connection of its own, and sees that the
//! store waits there.

use std::sync::Arc;

use stepwell_core::{
    End, ExecutorId, Payload, WorkflowId, WorkflowKey,
    store::{
        Applied, Batch, Cancel, CancelCause, Cancelled, Change, Claim, ExecutorStore, Finish,
        Finished, Launch, NewExecutor, NewWorkflow, QueueLimits, QueueUse, RecoveryRules, Started,
        Store, StoreError, Written,
    },
};
use stepwell_postgres::PostgresStore;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::server::{self, new_executor, unique, url_with};

struct Shop {
    schema: String,
    application: String,
    store: Arc<PostgresStore>,
    executor: ExecutorId,
    db: Client,
}

impl Shop {
    async fn open() -> Self {
        let (schema, application) = (unique("locks"), unique("locks_app"));
        let url = url_with(&format!("schema={schema}&application_name={application}"));
        let store = Arc::new(PostgresStore::open(&url).await.unwrap());
        let new = new_executor();
        let executor = new.id.clone();
        store.register(new).await.unwrap();
        let db = server::connect(&url).await;
        Self {
            schema,
            application,
            store,
            executor,
            db,
        }
    }

    /// Begins a transaction of another connection that holds what a statement locks.
    async fn hold(&self, sql: &str) -> Client {
        let db = server::connect(&server::url()).await;
        let sql = sql.replace("{schema}", &self.schema);
        let sql = sql.replace("{executor}", self.executor.as_str());
        db.batch_execute(&format!("begin; {sql}")).await.unwrap();
        db
    }

    /// Hands a change in, and comes back when it waits for a lock.
    async fn waits(
        &self,
        executor: Option<ExecutorId>,
        change: Change,
    ) -> JoinHandle<Result<Written, StoreError>> {
        let store = Arc::clone(&self.store);
        let changes = vec![change];
        let batch = Batch { executor, changes };
        self.waits_in(async move { store.commit(batch).await })
            .await
    }

    /// Has something done, and comes back when it waits for a lock.
    async fn waits_in<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let waiting = tokio::spawn(work);
        let look = "select count(*) from pg_stat_activity
            where wait_event_type = 'Lock' and application_name = $1";
        loop {
            let row = self.db.query_one(look, &[&self.application]).await.unwrap();
            if row.get::<_, i64>(0) > 0 {
                return waiting;
            }
            assert!(!waiting.is_finished(), "it waits for nobody");
            tokio::task::yield_now().await;
        }
    }

    async fn losses(&self) -> i64 {
        let sql = format!("select losses from {}.executors", self.schema);
        self.db.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

async fn came_to(waiting: JoinHandle<Result<Written, StoreError>>) -> Applied {
    waiting.await.unwrap().unwrap().applied.remove(0)
}

fn cancel(id: &str) -> Change {
    Change::Cancel(Cancel {
        id: WorkflowId::new(id).unwrap(),
        cause: CancelCause::Request,
    })
}

/// The other half of the fence: a batch in flight holds the row as this connection does.
#[tokio::test]
async fn a_cancellation_waits_for_batches_in_flight_and_counts_a_loss() {
    let shop = Shop::open().await;
    server::start(&shop.store, &shop.executor, "order-1").await;
    let before = shop.losses().await;
    let batch = shop
        .hold("select from {schema}.executors where executor_id = '{executor}' for key share")
        .await;
    let waiting = shop.waits(None, cancel("order-1")).await;
    batch.batch_execute("commit").await.unwrap();
    let applied = came_to(waiting).await;
    assert!(
        matches!(applied, Applied::Cancel(Cancelled::Now(_))),
        "{applied:?}"
    );
    assert_eq!(shop.losses().await, before + 1);
}

#[tokio::test]
async fn a_bounded_queue_is_counted_by_one_at_a_time() {
    let shop = Shop::open().await;
    let start = |id: &str| {
        let limits = QueueLimits {
            waiting_max: Some(1),
            ..QueueLimits::default()
        };
        Change::Start(NewWorkflow {
            launch: Launch::Queue(QueueUse {
                limits,
                ..QueueUse::new("line")
            }),
            ..NewWorkflow::new(
                WorkflowId::new(id).unwrap(),
                "checkout",
                Payload::from_stored("[]".to_owned()),
            )
        })
    };
    let first = Batch {
        executor: None,
        changes: vec![start("order-1"), cancel("order-1")],
    };
    shop.store.commit(first).await.unwrap();
    // Another process has counted, and is about to start one.
    let other = shop
        .hold("select from {schema}.queues where queue_name = 'line' for update")
        .await;
    let waiting = shop.waits(None, start("order-2")).await;
    other.batch_execute("commit").await.unwrap();
    let applied = came_to(waiting).await;
    assert!(
        matches!(applied, Applied::Start(Started::New { .. })),
        "{applied:?}"
    );
    let third = Batch {
        executor: None,
        changes: vec![start("order-3")],
    };
    let applied = shop.store.commit(third).await.unwrap().applied;
    assert!(
        matches!(
            applied[..],
            [Applied::Start(Started::Full { waiting_max: 1 })]
        ),
        "{applied:?}"
    );
}

/// As whoever gets stuck, or takes what is stuck.
const HOLD_STUCK: &str =
    "select pg_advisory_xact_lock(hashtextextended('stepwell stuck ' || '\"{schema}\"', 0))";

fn sticks(key: WorkflowKey) -> Change {
    Change::Finish(Finish {
        key,
        end: End::Stuck {
            reason: "another code".to_owned(),
        },
        version: "v1".to_owned(),
        alerts: Vec::new(),
    })
}

/// Who gets stuck first in commit order has the lower number: a cursor passes none by.
#[tokio::test]
async fn what_gets_stuck_waits_until_the_one_before_it_is_committed() {
    let shop = Shop::open().await;
    let key = server::start(&shop.store, &shop.executor, "order-1").await;
    let other = shop.hold(HOLD_STUCK).await;
    let waiting = shop.waits(Some(shop.executor.clone()), sticks(key)).await;
    other.batch_execute("commit").await.unwrap();
    let applied = came_to(waiting).await;
    assert!(
        matches!(applied, Applied::Finish(Finished::Now)),
        "{applied:?}"
    );
}

/// Two of one version would move its cursor at once, past what only the other one has seen.
#[tokio::test]
async fn who_takes_what_is_stuck_waits_for_whoever_does_just_now() {
    let shop = Shop::open().await;
    let key = server::start(&shop.store, &shop.executor, "order-1").await;
    let stuck = Batch {
        executor: Some(shop.executor.clone()),
        changes: vec![sticks(key)],
    };
    shop.store.commit(stuck).await.unwrap();
    let newer = NewExecutor {
        version: "v2".to_owned(),
        ..new_executor()
    };
    let claim = Claim {
        executor: newer.id.clone(),
        names: vec!["checkout".to_owned()],
        version: "v2".to_owned(),
        limit: 10,
        rules: RecoveryRules { recoveries_max: 10 },
    };
    shop.store.register(newer).await.unwrap();
    let other = shop.hold(HOLD_STUCK).await;
    let store = Arc::clone(&shop.store);
    let waiting = shop.waits_in(async move { store.claim(claim).await }).await;
    other.batch_execute("commit").await.unwrap();
    let claimed = waiting.await.unwrap().unwrap();
    let keys: Vec<_> = claimed.iter().map(|it| it.key).collect();
    assert_eq!(keys, [key]);
}
