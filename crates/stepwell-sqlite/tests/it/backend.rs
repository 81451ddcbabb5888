//! The two kinds of this store, as the conformance suite has them.

use std::{sync::Arc, time::Duration};

use stepwell_conformance::Backend;
use stepwell_core::{BoxFuture, Timestamp, clock::ManualClock, store::Store};
use stepwell_sqlite::SqliteStore;

/// A clock that stands still until a test moves it.
pub(crate) fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap())
}

/// A file in a directory of its own.
pub(crate) struct File {
    directory: tempfile::TempDir,
    clock: ManualClock,
}

impl File {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: clock(),
        }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let url = format!("sqlite:{}", self.directory.path().join("shop.db").display());
        let clock = Arc::new(self.clock.clone());
        Arc::new(SqliteStore::open_with_clock(&url, clock).await.unwrap())
    }
}

impl Backend for File {
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(self.open())
    }

    fn advance(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.clock.advance(by);
        Box::pin(async {})
    }

    fn set_back(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.clock.set_back(by);
        Box::pin(async {})
    }

    fn second_process(&self) -> bool {
        true
    }

    fn reopen(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(self.open())
    }

    fn behind<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, bool> {
        let path = self.directory.path().join("shop.db");
        Box::pin(async move {
            let db = rusqlite::Connection::open(path).unwrap();
            let sql = sql.replace("{schema}.", "");
            let sql = sql.replace("{day}", "86400000000");
            let sql = sql.replace("{no_instant}", "9223372036854775807");
            db.execute_batch(&sql).unwrap();
            true
        })
    }

    fn sees_gone_processes(&self) -> bool {
        true
    }
}

/// Memory of one process.
pub(crate) struct Memory(ManualClock);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(clock())
    }
}

impl Backend for Memory {
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        let clock = Arc::new(self.0.clone());
        Box::pin(async move {
            let store = SqliteStore::open_with_clock("sqlite::memory:", clock).await;
            Arc::new(store.unwrap()) as Arc<dyn Store>
        })
    }

    fn advance(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.0.advance(by);
        Box::pin(async {})
    }

    fn set_back(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.0.set_back(by);
        Box::pin(async {})
    }

    fn second_process(&self) -> bool {
        false
    }

    fn reopen(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        unreachable!("memory is one process's")
    }

    fn behind<'a>(&'a self, _sql: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }

    fn sees_gone_processes(&self) -> bool {
        false
    }
}
