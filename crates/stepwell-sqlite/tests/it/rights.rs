//! Who may read what the store writes.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use stepwell_core::{
    ExecutorId,
    store::{ExecutorStore, NewExecutor},
};
use stepwell_sqlite::SqliteStore;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn open_and_register(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let executor = NewExecutor {
        id: ExecutorId::generate(),
        application: "shop".into(),
        version: "v1".into(),
        host: "host-1".into(),
        pid: std::process::id(),
        lease: Duration::from_secs(3_600),
        declares: Vec::new(),
        names: Vec::new(),
    };
    store.register(executor).await.unwrap();
    store
}

#[tokio::test]
async fn a_new_database_is_read_by_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let _store = open_and_register(&path).await;
    for (file, expected) in [
        ("shop.db", 0o600),
        ("shop.db-wal", 0o600),
        ("shop.db-shm", 0o600),
        ("shop.db.locks", 0o700),
    ] {
        let found = mode(&directory.path().join(file));
        assert_eq!(found, expected, "{file}: {found:o}");
    }
}

#[tokio::test]
async fn a_database_that_is_there_keeps_the_rights_that_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    drop(open_and_register(&path).await);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let _store = open_and_register(&path).await;
    assert_eq!(mode(&path), 0o660);
}
