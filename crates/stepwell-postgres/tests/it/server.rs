//! The server that the tests run on, and raw connections to it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use stepwell_core::{
    ExecutorId, Payload, WorkflowId, WorkflowKey,
    store::{Applied, Batch, Change, Launch, NewExecutor, NewWorkflow, Started, Store, StoreError},
};
use stepwell_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

/// The URL of a database that tests may do anything to.
pub(crate) fn url() -> String {
    std::env::var("STEPWELL_TEST_POSTGRES").expect("`STEPWELL_TEST_POSTGRES` names a database")
}

/// A name that no other test has: of a schema, a role, a database.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{what}_{}_{number}", std::process::id())
}

/// The test database, with parameters.
pub(crate) fn url_with(parameters: &str) -> String {
    format!("{}?{parameters}", url())
}

/// A plain connection.
pub(crate) async fn connect(url: &str) -> Client {
    let plain = url.split('?').next().unwrap_or(url);
    let (client, connection) = tokio_postgres::connect(plain, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A new incarnation with an hour's lease.
pub(crate) fn new_executor() -> NewExecutor {
    NewExecutor {
        id: ExecutorId::generate(),
        application: "shop".to_owned(),
        version: "v1".to_owned(),
        host: "host-1".to_owned(),
        pid: std::process::id(),
        lease: Duration::from_secs(60 * 60),
        declares: Vec::new(),
        names: Vec::new(),
    }
}

/// Starts a workflow that its executor runs.
pub(crate) async fn start(
    store: &PostgresStore,
    executor: &ExecutorId,
    workflow_id: &str,
) -> WorkflowKey {
    try_start(store, executor, workflow_id).await.unwrap()
}

/// Starts a workflow that its executor runs, or finds the one that is there.
pub(crate) async fn try_start(
    store: &PostgresStore,
    executor: &ExecutorId,
    workflow_id: &str,
) -> Result<WorkflowKey, StoreError> {
    commit_start(store, Some(executor), workflow_id).await
}

/// Starts a workflow that any executor may take.
pub(crate) async fn enqueue(store: &PostgresStore, workflow_id: &str) -> WorkflowKey {
    commit_start(store, None, workflow_id).await.unwrap()
}

async fn commit_start(
    store: &PostgresStore,
    executor: Option<&ExecutorId>,
    workflow_id: &str,
) -> Result<WorkflowKey, StoreError> {
    let start = NewWorkflow {
        launch: executor.map_or(Launch::Anywhere, |_| Launch::Here),
        ..NewWorkflow::new(
            WorkflowId::new(workflow_id).unwrap(),
            "checkout",
            Payload::from_stored("[1]".to_owned()),
        )
    };
    let batch = Batch {
        executor: executor.cloned(),
        changes: vec![Change::Start(start)],
    };
    match store.commit(batch).await?.applied.pop() {
        Some(Applied::Start(Started::New { key, .. } | Started::Existing { key, .. })) => Ok(key),
        other => panic!("a start came to {other:?}"),
    }
}
