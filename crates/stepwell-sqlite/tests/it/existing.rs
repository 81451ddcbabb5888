//! A file that an application has made and keeps its tables in.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use stepwell_core::store::{Filter, StoreErrorKind, WorkflowStore};
use stepwell_sqlite::SqliteStore;

/// A file of an application's, with marks of its own in the header.
struct Theirs {
    _directory: tempfile::TempDir,
    path: PathBuf,
    db: Connection,
}

impl Theirs {
    fn new(tables: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(tables).unwrap();
        db.execute_batch("pragma user_version = 12; pragma application_id = -7")
            .unwrap();
        Self {
            _directory: directory,
            path,
            db,
        }
    }

    fn marks(&self) -> (i64, i64) {
        let number = |pragma| {
            let number = self.db.pragma_query_value(None, pragma, |row| row.get(0));
            number.unwrap()
        };
        (number("user_version"), number("application_id"))
    }

    fn count(&self, sql: &str) -> i64 {
        self.db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    async fn refused(&self, says: &str) {
        let tables = "select count(*) from sqlite_schema";
        let before = self.count(tables);
        let error = SqliteStore::open(&existing(&self.path)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unusable);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(self.count(tables), before);
    }
}

fn existing(path: &Path) -> String {
    format!("sqlite:{}?existing", path.display())
}

async fn is_used(url: &str) {
    let store = SqliteStore::open(url).await.unwrap();
    assert!(store.list(Filter::default()).await.unwrap().is_empty());
    let migrations = SqliteStore::migrations(url).await.unwrap();
    assert!(migrations.missing.is_empty(), "{migrations:?}");
}

const ORDERS: &str = "create table orders (id integer primary key); insert into orders values (1)";

#[tokio::test]
async fn workflows_are_kept_beside_the_tables_of_an_application() {
    let theirs = Theirs::new(ORDERS);
    let (url, plain) = (
        existing(&theirs.path),
        format!("sqlite:{}", theirs.path.display()),
    );
    let error = SqliteStore::open(&plain).await.unwrap_err();
    assert!(error.to_string().contains("?existing"), "{error}");
    let before = SqliteStore::migrations(&url).await.unwrap();
    assert_eq!(before.applied, 0);
    is_used(&url).await;
    is_used(&url).await;
    // Whoever comes later sees whose it is.
    is_used(&plain).await;
    assert_eq!(theirs.marks(), (12, -7));
    assert_eq!(theirs.count("select count(*) from orders"), 1);
}

/// What is printed for a person to apply is what a store applies.
#[tokio::test]
async fn what_is_missing_beside_them_can_be_applied_by_hand() {
    let theirs = Theirs::new(ORDERS);
    let url = existing(&theirs.path);
    let missing = SqliteStore::migrations(&url).await.unwrap().missing;
    for migration in &missing {
        theirs.db.execute_batch(&migration.sql).unwrap();
    }
    is_used(&url).await;
    assert_eq!(theirs.marks(), (12, -7));
}

#[tokio::test]
async fn a_table_that_is_in_the_way_is_named() {
    Theirs::new("create table Events (id)")
        .refused("it holds `Events`")
        .await;
    Theirs::new("create table orders (id); create index workflows_running on orders (id)")
        .refused("it holds `workflows_running`")
        .await;
}

#[tokio::test]
async fn texts_that_sort_otherwise_are_refused() {
    Theirs::new("pragma encoding = 'UTF-16'; create table orders (id)")
        .refused("in UTF-16")
        .await;
}

/// A new file that the application will make its tables in, and its marks.
#[tokio::test]
async fn a_new_file_can_be_an_applications() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    is_used(&existing(&path)).await;
    let theirs = Connection::open(&path).unwrap();
    let version: i64 = theirs
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 0);
    theirs.execute_batch(ORDERS).unwrap();
    is_used(&existing(&path)).await;
}
