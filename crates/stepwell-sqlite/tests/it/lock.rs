//! A file that is locked for longer than a statement waits.

use stepwell_core::{
    Payload, WorkflowId,
    store::{Batch, Change, NewWorkflow, Store, StoreErrorKind},
};
use stepwell_sqlite::SqliteStore;

/// A start that waits for a transaction of the application's, which waits for the start.
#[tokio::test]
async fn a_transaction_of_this_process_that_keeps_the_lock_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let url = format!("sqlite:{}", path.display());
    let store = SqliteStore::open(&url).await.unwrap();
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs.execute_batch("begin immediate").unwrap();
    let id = WorkflowId::new("order-1").unwrap();
    let new = NewWorkflow::new(id, "ship", Payload::null());
    let batch = Batch {
        executor: None,
        changes: vec![Change::Start(new)],
    };
    let error = store.commit(batch.clone()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("`start_in`"), "{error}");
    if cfg!(target_os = "linux") {
        let named = "a transaction of this process";
        assert!(error.to_string().contains(named), "{error}");
    }
    theirs.execute_batch("commit").unwrap();
    store.commit(batch).await.unwrap();
}
