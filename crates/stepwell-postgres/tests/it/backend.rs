//! The store as the conformance suite has it: a schema of its own for each case.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stepwell_conformance::Backend;
use stepwell_core::{BoxFuture, store::Store};
use stepwell_postgres::PostgresStore;

use crate::server::{unique, url_with};

/// A schema in the test database.
pub(crate) struct Schema {
    url: String,
    opened: Mutex<Vec<Arc<PostgresStore>>>,
}

impl Schema {
    pub(crate) fn new(parameters: &str) -> Self {
        let schema = unique("case");
        Self {
            url: url_with(&format!("schema={schema}&{parameters}")),
            opened: Mutex::default(),
        }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let store = Arc::new(PostgresStore::open(&self.url).await.unwrap());
        self.opened.lock().unwrap().push(Arc::clone(&store));
        store
    }

    async fn advance(&self, by: Duration) {
        let opened = self.opened.lock().unwrap().clone();
        opened[0].advance_clock(by).await.unwrap();
        for store in &opened {
            store.read_clock().await.unwrap();
        }
    }
}

impl Backend for Schema {
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(self.open())
    }

    fn advance(&self, by: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.advance(by))
    }

    fn second_process(&self) -> bool {
        true
    }

    fn reopen(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(self.open())
    }

    fn sees_gone_processes(&self) -> bool {
        false
    }
}
