//! Batches on their way while somebody takes their work away: each test holds the executor's row
//! with a connection of its own, so that the batch waits there for certain.

use std::sync::Arc;

use stepwell_core::{
    ExecutorId, Outcome, Payload, Place, Position, RecordKind, State, WorkflowId, WorkflowKey,
    store::{
        Applied, Batch, Cancel, CancelCause, Cancelled, Change, Effect, ExecutorStore, NewRecord,
        Progress, Progressed, Refusal, Store, StoreError, StoreErrorKind, WorkflowStore, Written,
    },
};
use stepwell_postgres::PostgresStore;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::server::{self, new_executor, unique, url_with};

struct Shop {
    schema: String,
    url: String,
    store: Arc<PostgresStore>,
    executor: ExecutorId,
    key: WorkflowKey,
}

impl Shop {
    /// A store with an executor that runs `order-1`, and has committed before.
    async fn open() -> Self {
        let schema = unique("fence");
        let url = url_with(&format!("schema={schema}"));
        let store = Arc::new(PostgresStore::open(&url).await.unwrap());
        let new = new_executor();
        let executor = new.id.clone();
        store.register(new).await.unwrap();
        let key = server::start(&store, &executor, "order-1").await;
        Self {
            schema,
            url,
            store,
            executor,
            key,
        }
    }

    /// Begins a transaction that holds the executor's row.
    async fn hold(&self) -> Client {
        let db = server::connect(&self.url).await;
        db.batch_execute(&format!(
            "begin; select from {}.executors where executor_id = '{}' for update",
            self.schema, self.executor
        ))
        .await
        .unwrap();
        db
    }

    /// Hands a record in, and comes back when it waits for the row.
    async fn record_and_wait(
        &self,
        effects: Vec<Effect>,
    ) -> JoinHandle<Result<Written, StoreError>> {
        let (store, batch) = (Arc::clone(&self.store), self.record(0, effects));
        let waiting = tokio::spawn(async move { store.commit(batch).await });
        let db = server::connect(&self.url).await;
        let look = format!(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
             and query like '%\"{}\".executors%'",
            self.schema
        );
        while db.query_one(&look, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert!(!waiting.is_finished(), "the batch waits for nobody");
            tokio::task::yield_now().await;
        }
        waiting
    }

    fn record(&self, number: u32, effects: Vec<Effect>) -> Batch {
        record(&self.executor, self.key, number, effects)
    }

    async fn places(&self) -> usize {
        self.store.history(self.key, None, 100).await.unwrap().len()
    }

    /// Says something in the schema, in the transaction of `db`.
    async fn say(&self, db: &Client, sql: &str) {
        let sql = sql.replace("{schema}", &self.schema);
        let sql = sql.replace("{executor}", self.executor.as_str());
        db.batch_execute(&sql).await.unwrap();
    }
}

fn record(executor: &ExecutorId, key: WorkflowKey, number: u32, effects: Vec<Effect>) -> Batch {
    let record = NewRecord {
        place: Place::At(Position::top(number)),
        kind: RecordKind::Step,
        name: "charge".into(),
        outcome: Outcome::Ok(Payload::null()),
        attempts: 1,
        elapsed: std::time::Duration::ZERO,
    };
    Batch {
        executor: Some(executor.clone()),
        changes: vec![Change::Progress(Progress {
            key,
            records: vec![record],
            effects,
        })],
    }
}

fn publish() -> Vec<Effect> {
    let (name, value) = ("status".to_owned(), Payload::null());
    vec![Effect::SetEvent { name, value }]
}

const END: &str = "update {schema}.executors set ended_at = now() where executor_id = '{executor}';
     update {schema}.workflows set state = 'enqueued', executor_id = null;
     commit";

const CANCEL: &str = "update {schema}.workflows set state = 'cancelled';
     update {schema}.executors set losses = losses + 1 where executor_id = '{executor}';
     commit";

/// Trap 3: the batch began before its executor was declared dead, and waits for that.
#[tokio::test]
async fn a_zombies_batch_that_waits_for_the_take_over_writes_nothing() {
    for effects in [vec![], publish()] {
        let shop = Shop::open().await;
        let heir = shop.hold().await;
        let waiting = shop.record_and_wait(effects).await;
        shop.say(&heir, END).await;
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Fenced, "{error:?}");
        assert_eq!(shop.places().await, 1);
    }
}

/// What the batch saw at its beginning is not true any more when it goes on.
#[tokio::test]
async fn a_batch_that_waits_for_a_cancellation_sees_it() {
    for effects in [vec![], publish()] {
        let shop = Shop::open().await;
        let canceller = shop.hold().await;
        let waiting = shop.record_and_wait(effects).await;
        shop.say(&canceller, CANCEL).await;
        let applied = waiting.await.unwrap().unwrap().applied;
        let refused = Progressed::Refused(Refusal::NotRunning(State::Cancelled));
        assert!(
            matches!(&applied[..], [Applied::Progress(it)] if *it == refused),
            "{applied:?}"
        );
        assert_eq!(shop.places().await, 1);
    }
}

/// Something else was taken from the executor: its batch is written all the same.
#[tokio::test]
async fn a_loss_holds_no_batch_up_for_long() {
    let shop = Shop::open().await;
    let other = server::start(&shop.store, &shop.executor, "order-2").await;
    let canceller = shop.hold().await;
    let waiting = shop.record_and_wait(vec![]).await;
    let one = format!(
        "update {{schema}}.workflows set state = 'cancelled' where workflow_key = {other};"
    );
    shop.say(&canceller, &one).await;
    shop.say(&canceller, &CANCEL[CANCEL.find(';').unwrap() + 1..])
        .await;
    let applied = waiting.await.unwrap().unwrap().applied;
    assert!(matches!(
        &applied[..],
        [Applied::Progress(Progressed::Recorded(_))]
    ));
    assert_eq!(shop.places().await, 2);
}

/// A renewal does not stand in a batch's way, nor a batch in a renewal's.
#[tokio::test]
async fn a_renewal_waits_for_no_batch() {
    let shop = Shop::open().await;
    let db = server::connect(&shop.url).await;
    shop.say(
        &db,
        "begin; update {schema}.executors set lease_expires_at = now() where executor_id = '{executor}'",
    )
    .await;
    shop.store.commit(shop.record(0, vec![])).await.unwrap();
    shop.store.commit(shop.record(1, publish())).await.unwrap();
    assert_eq!(shop.places().await, 3);
}

/// Records a step after the other. How many were acknowledged.
async fn record_until_refused(
    store: Arc<PostgresStore>,
    executor: ExecutorId,
    key: WorkflowKey,
) -> u32 {
    for number in 0.. {
        let effects = if number % 3 == 2 { publish() } else { vec![] };
        let applied = store.commit(record(&executor, key, number, effects)).await;
        match &applied.unwrap().applied[..] {
            [Applied::Progress(Progressed::Recorded(_))] => {}
            [Applied::Progress(Progressed::Refused(_))] => return number,
            other => panic!("progress came to {other:?}"),
        }
    }
    unreachable!("somebody cancels it")
}

/// Another process cancels while this one records: what was acknowledged is there, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_beside_cancellations_is_there() {
    let shop = Shop::open().await;
    let elsewhere = PostgresStore::open(&shop.url).await.unwrap();
    let mut keys = Vec::new();
    for number in 0..30 {
        keys.push(server::start(&shop.store, &shop.executor, &format!("w-{number}")).await);
    }
    let run = |key: &WorkflowKey| {
        let (store, executor) = (Arc::clone(&shop.store), shop.executor.clone());
        tokio::spawn(record_until_refused(store, executor, *key))
    };
    let runs: Vec<_> = keys.iter().map(run).collect();
    for number in 0..30 {
        let cancel = Change::Cancel(Cancel {
            id: WorkflowId::new(format!("w-{number}")).unwrap(),
            cause: CancelCause::Request,
        });
        let batch = Batch {
            executor: None,
            changes: vec![cancel],
        };
        let written = elsewhere.commit(batch).await.unwrap();
        assert!(matches!(
            &written.applied[..],
            [Applied::Cancel(Cancelled::Now(_))]
        ));
    }
    for (key, run) in keys.iter().zip(runs) {
        let recorded = run.await.unwrap();
        let history = shop.store.history(*key, None, 10_000).await.unwrap();
        assert_eq!(history.len(), 1 + recorded as usize);
    }
    let mut interrupts = shop.store.take_interrupts(&shop.executor).await.unwrap();
    interrupts.sort();
    assert_eq!(interrupts, keys);
}

/// Two executors that cancel each other's workflows, over and over, do not lock each other out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn executors_that_cancel_each_others_workflows_get_on() {
    let shop = Shop::open().await;
    let other = new_executor();
    shop.store.register(other.clone()).await.unwrap();
    let sides = [shop.executor.clone(), other.id.clone()];
    for number in 0..20 {
        for (side, executor) in sides.iter().enumerate() {
            server::start(&shop.store, executor, &format!("{side}-{number}")).await;
        }
    }
    let cancels = (0..20).flat_map(|number| [(0, number), (1, number)]);
    let running: Vec<_> = cancels
        .map(|(side, number)| {
            let (store, executor) = (Arc::clone(&shop.store), sides[1 - side].clone());
            tokio::spawn(async move {
                let cancel = Change::Cancel(Cancel {
                    id: WorkflowId::new(format!("{side}-{number}")).unwrap(),
                    cause: CancelCause::Request,
                });
                let batch = Batch {
                    executor: Some(executor),
                    changes: vec![cancel],
                };
                store.commit(batch).await.unwrap()
            })
        })
        .collect();
    for cancelled in running {
        let applied = cancelled.await.unwrap();
        assert!(matches!(
            &applied.applied[..],
            [Applied::Cancel(Cancelled::Now(_))]
        ));
    }
}
