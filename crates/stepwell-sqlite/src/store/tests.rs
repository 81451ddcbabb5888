//! What is told of a disk that is full or cannot be written, and of a database that is locked.

use std::time::Duration;

use stepwell_core::{
    ExecutorId, Payload, WorkflowId, WorkflowKey,
    store::{Change, ExecutorStore, Filter, NewExecutor, NewWorkflow, WorkflowStore},
};

use super::*;

struct Disk {
    directory: tempfile::TempDir,
    store: SqliteStore,
}

impl Disk {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("shop.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        Self { directory, store }
    }

    async fn pragma(&self, name: &'static str, value: i64) {
        let set = self.store.write("set a pragma", move |db| {
            // Some answer with their value, some with nothing.
            Ok(db
                .pragma_update_and_check(None, name, value, |_| Ok(()))
                .or_else(|error| match error {
                    rusqlite::Error::QueryReturnedNoRows => Ok(()),
                    error => Err(error),
                })?)
        });
        set.await.unwrap();
    }

    async fn start(&self, number: u32) -> Result<(), StoreError> {
        let start = NewWorkflow::new(
            WorkflowId::new(format!("order-{number}")).unwrap(),
            "checkout",
            Payload::from_stored(format!("[\"{}\"]", "x".repeat(10_000))),
        );
        let batch = Batch {
            executor: None,
            changes: vec![Change::Start(start)],
        };
        self.store.commit(batch).await.map(|_| ())
    }

    async fn count(&self) -> usize {
        let filter = Filter {
            limit: 1_000,
            ..Filter::default()
        };
        self.store.list(filter).await.unwrap().len()
    }
}

/// Starts until the disk is full. Says how many were acknowledged.
async fn fill(disk: &Disk) -> (u32, StoreError) {
    for number in 0..1_000 {
        if let Err(error) = disk.start(number).await {
            return (number, error);
        }
    }
    panic!("the disk is never full");
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let disk = Disk::new().await;
    disk.pragma("max_page_count", 120).await;
    let (acknowledged, error) = fill(&disk).await;
    assert!(acknowledged > 5);
    assert_eq!(error.kind(), StoreErrorKind::Full, "{error:?}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(disk.count().await, acknowledged as usize);

    disk.pragma("max_page_count", 1_000_000).await;
    disk.start(acknowledged).await.unwrap();
    assert_eq!(disk.count().await, acknowledged as usize + 1);
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_told_and_can_be_read() {
    let disk = Disk::new().await;
    disk.start(0).await.unwrap();
    disk.pragma("query_only", 1).await;
    let error = disk.start(1).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{error:?}");
    assert_eq!(disk.count().await, 1);
}

#[tokio::test]
async fn a_database_that_stays_locked_is_unavailable() {
    let disk = Disk::new().await;
    disk.pragma("busy_timeout", 1).await;
    let path = disk.directory.path().join("shop.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let error = disk.start(0).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("keeps it locked"), "{error}");
    assert_eq!(disk.count().await, 0, "readers do not wait");
    other.execute_batch("rollback").unwrap();
    disk.start(0).await.unwrap();
}

#[tokio::test]
async fn a_number_that_makes_no_sense_is_corrupt_and_no_panic() {
    let disk = Disk::new().await;
    disk.start(0).await.unwrap();
    let spoil = disk.store.write("spoil a row", |db| {
        Ok(db.execute_batch("update records set attempts = -1")?)
    });
    spoil.await.unwrap();
    let history = disk.store.history(WorkflowKey(1), None, 10).await;
    let error = history.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error:?}");
}

#[tokio::test]
async fn a_job_that_panics_ends_neither_the_thread_nor_its_store() {
    let disk = Disk::new().await;
    let panicked: Result<(), _> = disk.store.write("panic", |_| panic!("on purpose")).await;
    assert_eq!(panicked.unwrap_err().kind(), StoreErrorKind::Backend);
    disk.start(0).await.unwrap();
}

/// What is committed survives a power cut: nothing of it is left to SQLite's defaults.
#[tokio::test]
async fn the_writer_waits_for_the_disk() {
    let disk = Disk::new().await;
    let read = disk.store.write("read pragmas", |db| {
        let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let checkpoint = number("wal_autocheckpoint")?;
        Ok((
            mode,
            number("synchronous")?,
            number("foreign_keys")?,
            checkpoint,
        ))
    });
    let (mode, synchronous, foreign_keys, checkpoint) = read.await.unwrap();
    assert_eq!((mode.as_str(), synchronous, foreign_keys), ("wal", 2, 0));
    assert!((1..=10_000).contains(&checkpoint));
}

/// The log begins anew however long the batches follow each other.
#[tokio::test]
async fn the_log_does_not_grow_for_ever() {
    let disk = Disk::new().await;
    disk.pragma("wal_autocheckpoint", 50).await;
    for number in 0..200 {
        disk.start(number).await.unwrap();
    }
    let log = std::fs::metadata(disk.directory.path().join("shop.db-wal"))
        .unwrap()
        .len();
    assert!(log < 600_000, "{log} bytes for 2 MB of input");
}

#[tokio::test]
async fn an_executor_is_removed_a_day_after_its_end() {
    let clock =
        stepwell_core::clock::ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
    let store = SqliteStore::open_with_clock("sqlite::memory:", Arc::new(clock.clone()));
    let store = store.await.unwrap();
    let register = |id: &str| {
        store.register(NewExecutor {
            id: ExecutorId::from_stored(id.into()),
            application: "shop".into(),
            version: "v1".into(),
            host: "host-1".into(),
            pid: 1,
            lease: Duration::from_secs(10),
            declares: Vec::new(),
            names: Vec::new(),
        })
    };
    register("e-1").await.unwrap();
    store
        .retire(&ExecutorId::from_stored("e-1".into()))
        .await
        .unwrap();
    let count = || {
        store.read("count executors", |db| {
            Ok(db.query_row("select count(*) from executors", [], |row| {
                row.get::<_, i64>(0)
            })?)
        })
    };
    register("e-2").await.unwrap();
    assert_eq!(count().await.unwrap(), 2);
    clock.advance(Duration::from_secs(25 * 60 * 60));
    register("e-3").await.unwrap();
    assert_eq!(count().await.unwrap(), 2, "e-1 is gone, e-2 has not ended");
}
