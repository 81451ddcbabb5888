//! Addresses that name no database that can be used.

use std::{fs, path::Path};

use stepwell_core::store::{Store, StoreErrorKind, StoreUrl, open_store};
use stepwell_sqlite::SqliteStore;

/// Opens what cannot be opened, and checks what a person is told.
#[track_caller]
fn check(error: &stepwell_core::store::StoreError, kind: StoreErrorKind, says: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
}

async fn refused(url: &str, says: &str) {
    let error = SqliteStore::open(url).await.unwrap_err();
    check(&error, StoreErrorKind::Unusable, says);
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("not-there");
    refused(&url(&missing.join("shop.db")), "not-there` of the database").await;
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_directory_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    refused(&url(directory.path()), "is a directory; name a file in it").await;
}

#[tokio::test]
async fn parameters_are_refused() {
    refused("sqlite:shop.db?mode=rwc", "there are none but `existing`").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let notes = "buy widgets\n".repeat(100);
    fs::write(&path, &notes).unwrap();
    refused(&url(&path), "is not a SQLite database").await;
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_database_of_another_application_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs
        .execute_batch("create table orders (id integer primary key)")
        .unwrap();
    refused(&url(&path), "it holds `orders`").await;
    let tables: i64 = theirs
        .query_row("select count(*) from sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
    let mode: String = theirs
        .query_row("pragma journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete", "not even its journal was changed");
}

/// `/proc` is a directory in which nobody can make a file, whoever it is.
#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    refused("sqlite:/proc/shop.db", "may write the directory").await;
}

/// What root may write as well, so that this says the same for everybody.
#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused() {
    let error = SqliteStore::open("sqlite:/proc/version").await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            StoreErrorKind::ReadOnly | StoreErrorKind::Unusable
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("/proc/version"), "{error}");
}

#[tokio::test]
async fn the_scheme_finds_this_store() {
    let clock = std::sync::Arc::new(crate::backend::clock());
    let store = open_store(&StoreUrl::new("sqlite::memory:"), clock)
        .await
        .unwrap();
    assert_eq!(store.describe(), "sqlite::memory:");
}

#[tokio::test]
async fn every_form_of_an_address_opens_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    for url in [url(&path), format!("sqlite://{}", path.display())] {
        let store = SqliteStore::open(&url).await.unwrap();
        assert_eq!(store.describe(), path.display().to_string());
    }
    assert!(path.exists());
}
