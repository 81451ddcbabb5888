//! A user's database, for one test.

use std::{
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use stepwell::{AnyPool, AnyTx, Tx, TxOptions};
use stepwell_any::AnyHome;
use stepwell_core::{Operation, Payload, Position, Witness, WorkflowId};

/// The URL of a server that tests may do anything to.
const SERVER: &str = "STEPWELL_TEST_POSTGRES";

/// A database with a table of orders and one of witnesses.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: AnyPool,
    /// Removes it.
    _home: Home,
}

enum Home {
    Directory { _directory: tempfile::TempDir },
    Server { _database: ServerDatabase },
}

/// A database takes a few megabytes of the server: it is dropped with this.
struct ServerDatabase(String);

impl Database {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("users.db").display());
        let home = Home::Directory {
            _directory: directory,
        };
        let orders = "create table orders (id integer primary key, item text)";
        Self::open(url, home, orders).await
    }

    /// None, and a line that says so, without a server.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var(SERVER) else {
            // Not `eprintln!`: what passes must not hide what was left out.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED on Postgres: {SERVER} names no server; run tests/with-postgres cargo test"
            );
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("any_{}_{number}", std::process::id());
        ask(&server, format!("create database {name}")).await;
        let (place, _) = server.rsplit_once('/').unwrap();
        let url = format!("{place}/{name}");
        let home = Home::Server {
            _database: ServerDatabase(name),
        };
        let orders = "create table orders (id bigserial primary key, item text)";
        Some(Self::open(url, home, orders).await)
    }

    async fn open(url: String, home: Home, orders: &'static str) -> Self {
        let pool = AnyPool::connect(&url).await.unwrap();
        pool.execute_script(orders).await.unwrap();
        AnyTx::make_witness_table(&pool).await.unwrap();
        Self {
            url,
            pool,
            _home: home,
        }
    }

    pub(crate) async fn begin(&self) -> (AnyTx, AnyHome) {
        AnyTx::begin(&self.pool, TxOptions::default())
            .await
            .unwrap()
    }

    pub(crate) async fn orders(&self) -> i64 {
        sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Looks from a pool of another process.
    pub(crate) async fn witnessed(&self) -> Option<Payload> {
        let other = AnyPool::connect(&self.url).await.unwrap();
        let found = AnyTx::witnessed(&other, &operation()).await.unwrap();
        other.close().await;
        found
    }
}

async fn ask(server: &str, sql: String) {
    let mut server = PgConnection::connect(server).await.unwrap();
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    sql.execute(&mut server).await.unwrap();
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        let (Ok(server), name) = (std::env::var(SERVER), self.0.clone()) else {
            return;
        };
        // A test's runtime cannot be waited for in a destructor.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let dropping = async move {
            ask(&server, format!("drop database {name} with (force)")).await;
        };
        let thread = std::thread::spawn(|| runtime.unwrap().block_on(dropping));
        // What is left behind harms no other test.
        drop(thread.join());
    }
}

pub(crate) fn operation() -> Operation {
    Operation {
        workflow: WorkflowId::new("order-1").unwrap(),
        position: Position::top(4).child(0),
    }
}

pub(crate) fn witness(output: &str) -> Witness {
    Witness {
        operation: operation(),
        output: payload(output),
    }
}

pub(crate) fn payload(json: &str) -> Payload {
    Payload::from_stored(json.to_owned())
}

/// What a user's code does. The transaction goes home at its end.
pub(crate) async fn order(mut tx: AnyTx) -> Result<(), sqlx::Error> {
    sqlx::query("insert into orders (item) values ($1)")
        .bind("widget")
        .execute(&mut tx)
        .await?;
    let item: String = sqlx::query_scalar("select item from orders limit 1")
        .fetch_one(&mut tx)
        .await?;
    assert_eq!(item, "widget", "it sees its own writes");
    Ok(())
}
