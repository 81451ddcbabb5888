//! A user's database, for one test.

use sqlx::{PgPool, postgres::PgPoolOptions};
use stepwell_core::{Payload, Tx, TxOptions};
use stepwell_postgres::{PostgresHome, PostgresTx};

use super::operation;
use crate::server;

/// A database with a table of orders.
pub(super) struct Shop {
    pub(super) url: String,
    pub(super) pool: PgPool,
}

impl Shop {
    pub(super) async fn open() -> Self {
        let url = fresh_database().await;
        let pool = connect(&url).await;
        sqlx::raw_sql("create table orders (id bigserial primary key, item text)")
            .execute(&pool)
            .await
            .unwrap();
        Self { url, pool }
    }

    /// A pool of another process.
    pub(super) async fn other(&self) -> PgPool {
        connect(&self.url).await
    }

    pub(super) async fn begin(&self) -> (PostgresTx, PostgresHome) {
        PostgresTx::begin(&self.pool, TxOptions::default())
            .await
            .unwrap()
    }

    pub(super) async fn begin_with(&self, options: TxOptions) -> (PostgresTx, PostgresHome) {
        PostgresTx::begin(&self.pool, options).await.unwrap()
    }

    pub(super) async fn orders(&self) -> i64 {
        sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Looks from a pool of another process.
    pub(super) async fn witnessed(&self) -> Option<Payload> {
        let other = self.other().await;
        PostgresTx::witnessed(&other, &operation()).await.unwrap()
    }

    /// As [`open`](Self::open), with the table of the witnesses.
    pub(super) async fn open_with_table() -> Self {
        let shop = Self::open().await;
        assert_eq!(shop.witnessed().await, None);
        shop
    }
}

/// The URL of a new database on the server of the tests.
async fn fresh_database() -> String {
    let (server, name) = (server::url(), server::unique("shop"));
    let client = server::connect(&server).await;
    let make = format!("create database {name}");
    client.batch_execute(&make).await.unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// A database takes a few megabytes.
impl Drop for Shop {
    fn drop(&mut self) {
        let name = self.url.rsplit('/').next().unwrap_or_default().to_owned();
        let dropping = async move {
            let client = server::connect(&server::url()).await;
            let database = format!("drop database {name} with (force)");
            let role = format!("drop role if exists clerk_of_{name}");
            client.batch_execute(&database).await.unwrap();
            client.batch_execute(&role).await.unwrap();
        };
        // A test's runtime cannot be waited for in a destructor.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let thread = std::thread::spawn(|| runtime.unwrap().block_on(dropping));
        // What is left behind harms no other test.
        drop(thread.join());
    }
}

pub(super) async fn connect(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(10)
        .connect(url)
        .await
        .unwrap()
}
