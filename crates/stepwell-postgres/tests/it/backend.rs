//! The store as the conformance suite has it: a schema of its own for each case.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stepwell_conformance::Backend;
use stepwell_core::{BoxFuture, store::Store};
use stepwell_postgres::PostgresStore;

use crate::server::{connect, unique, url, url_with};

/// A schema in the test database.
pub(crate) struct Schema {
    url: String,
    /// One that others have used, too.
    used: Option<String>,
    opened: Mutex<Vec<Arc<PostgresStore>>>,
}

impl Schema {
    pub(crate) fn new(parameters: &str) -> Self {
        let schema = unique("case");
        Self {
            url: url_with(&format!("schema={schema}&{parameters}")),
            used: None,
            opened: Mutex::default(),
        }
    }

    /// A schema that is used again and again, and emptied before: making one takes longer than many a
    /// test, and ten thousand of them make the server slow.
    pub(crate) fn again(schema: &str, parameters: &str) -> Self {
        Self {
            url: url_with(&format!("schema={schema}&{parameters}")),
            used: Some(schema.to_owned()),
            opened: Mutex::default(),
        }
    }

    async fn fresh(&self) -> Arc<dyn Store> {
        if let Some(schema) = &self.used {
            empty(schema).await;
        }
        self.open().await
    }

    async fn open(&self) -> Arc<dyn Store> {
        let store = Arc::new(PostgresStore::open(&self.url).await.unwrap());
        self.opened.lock().unwrap().push(Arc::clone(&store));
        store
    }

    async fn advance(&self, by: Duration) {
        let opened = self.opened.lock().unwrap().clone();
        opened[0].advance_clock(by).await.unwrap();
        read_clock(&opened).await;
    }

    async fn set_back(&self, by: Duration) {
        let opened = self.opened.lock().unwrap().clone();
        opened[0].set_clock_back(by).await.unwrap();
        read_clock(&opened).await;
    }
}

async fn read_clock(opened: &[Arc<PostgresStore>]) {
    for store in opened {
        store.read_clock().await.unwrap();
    }
}

/// Deletes every row of a schema's tables, if there are any, but for what says whose they are.
async fn empty(schema: &str) {
    let db = connect(&url()).await;
    let tables = "select string_agg(format('delete from %I.%I', schemaname, tablename), ';')
        from pg_tables where schemaname = $1 and tablename not in ('identity', 'migrations')";
    let row = db.query_one(tables, &[&schema]).await.unwrap();
    if let Some(statements) = row.get::<_, Option<String>>(0) {
        db.batch_execute(&statements).await.unwrap();
    }
}

impl Backend for Schema {
    fn fresh(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(self.fresh())
    }

    fn advance(&self, by: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.advance(by))
    }

    fn set_back(&self, by: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.set_back(by))
    }

    fn second_process(&self) -> bool {
        true
    }

    fn reopen(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(self.open())
    }

    fn behind<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let (_, schema) = self.url.split_once("schema=").unwrap();
            let schema = schema.split('&').next().unwrap();
            let db = connect(&url()).await;
            let sql = sql.replace("{schema}", schema);
            let sql = sql.replace("{day}", "interval '1 day'");
            let sql = sql.replace("{no_instant}", "'infinity'");
            db.batch_execute(&sql).await.unwrap();
            true
        })
    }

    fn sees_gone_processes(&self) -> bool {
        false
    }
}
