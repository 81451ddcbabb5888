//! From an empty file to the newest schema, once.

use std::{path::Path, sync::Arc};

use stepwell_core::store::{Filter, StoreErrorKind, WorkflowStore};
use stepwell_sqlite::SqliteStore;
use tokio::{runtime::Builder, sync::Barrier};

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(&format!("sqlite:{}", path.display()))
        .await
        .unwrap()
}

fn pragma<T: rusqlite::types::FromSql>(path: &Path, name: &str) -> T {
    let db = rusqlite::Connection::open(path).unwrap();
    db.pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

/// The file says that it is of the first major version, and of its last migration.
async fn is_newest(path: &Path) {
    let url = format!("sqlite:{}", path.display());
    let migrations = SqliteStore::migrations(&url).await.unwrap();
    assert!(migrations.missing.is_empty(), "{migrations:?}");
    assert_eq!(
        pragma::<u32>(path, "user_version"),
        10_000 + migrations.applied
    );
}

#[tokio::test]
async fn a_migrated_file_is_migrated_again_without_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(open(&path).await);
    let before: i64 = pragma(&path, "schema_version");
    drop(open(&path).await);
    assert_eq!(pragma::<i64>(&path, "schema_version"), before);
    is_newest(&path).await;
}

/// Two binaries that start at once on an empty file: the loser waits and goes on.
#[test]
fn many_processes_make_the_same_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = Arc::new(directory.path().join("shop.db"));
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let together = Arc::new(Barrier::new(8));
        let starts = (0..8).map(|_| {
            let (path, together) = (Arc::clone(&path), Arc::clone(&together));
            tokio::spawn(async move {
                together.wait().await;
                let store = open(&path).await;
                assert!(store.list(Filter::default()).await.unwrap().is_empty());
            })
        });
        for start in starts.collect::<Vec<_>>() {
            start.await.unwrap();
        }
        is_newest(&path).await;
    });
}

#[tokio::test]
async fn a_newer_major_schema_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(open(&path).await);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 20_003).unwrap();
    drop(db);
    let url = format!("sqlite:{}", path.display());
    let error = SqliteStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    for says in ["of version 2", "knows version 1", "update Stepwell"] {
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A newer binary of the same major version adds; this one can go on beside it.
#[tokio::test]
async fn a_newer_minor_schema_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(open(&path).await);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 10_009).unwrap();
    drop(db);
    drop(open(&path).await);
    assert_eq!(pragma::<i64>(&path, "user_version"), 10_009);
}

#[tokio::test]
async fn the_log_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(open(&path).await);
    assert_eq!(pragma::<String>(&path, "journal_mode"), "wal");
    assert_eq!(pragma::<i64>(&path, "application_id"), 0x7374_776c);
}

/// What is printed for a person to apply is what a store applies.
#[tokio::test]
async fn what_is_missing_can_be_applied_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let url = format!("sqlite:{}", path.display());

    let before = SqliteStore::migrations(&url).await.unwrap();
    assert!(!path.exists(), "looking makes no file");
    assert_eq!(before.applied, 0);
    let numbers: Vec<u32> = before.missing.iter().map(|it| it.number).collect();
    let newest = u32::try_from(numbers.len()).unwrap();
    assert!(numbers.iter().copied().eq(1..=newest), "{numbers:?}");

    let db = rusqlite::Connection::open(&path).unwrap();
    let mut left = before;
    while let Some(next) = left.missing.first() {
        db.execute_batch(&next.sql).unwrap();
        let number = next.number;
        left = SqliteStore::migrations(&url).await.unwrap();
        assert_eq!(left.applied, number);
    }

    let version: i64 = pragma(&path, "schema_version");
    let store = open(&path).await;
    assert!(store.list(Filter::default()).await.unwrap().is_empty());
    drop(store);
    assert_eq!(pragma::<i64>(&path, "schema_version"), version);
}

#[tokio::test]
async fn looking_at_a_database_of_another_application_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("create table theirs (id)").unwrap();
    let url = format!("sqlite:{}", path.display());
    let error = SqliteStore::migrations(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(error.to_string().contains("holds `theirs`"), "{error}");
}
