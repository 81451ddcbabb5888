//! A user's database, for one test.

use std::{
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
};

use sea_orm::{ConnectionTrait, Database as Orm, DbBackend, Statement};

/// The URL of a server that tests may do anything to.
const SERVER: &str = "STEPWELL_TEST_POSTGRES";

/// A database takes a few megabytes of the server: it is dropped with this.
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

impl Database {
    /// None, and a line that says so, without a server.
    pub(crate) async fn make() -> Option<Self> {
        let Ok(server) = std::env::var(SERVER) else {
            // Not `eprintln!`: what passes must not hide what was left out.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: {SERVER} names no server; run \
                 tests/with-postgres cargo test -p sea-orm-orders"
            );
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sea_orm_{}_{number}", std::process::id());
        ask(&server, &format!("create database {name}")).await;
        let (place, _) = server.rsplit_once('/').unwrap();
        let url = format!("{place}/{name}");
        Some(Self { url, name })
    }

    /// How many orders there are, as another process sees it.
    pub(crate) async fn orders(&self) -> i64 {
        let other = Orm::connect(&self.url).await.unwrap();
        let count = Statement::from_string(DbBackend::Postgres, "select count(*) from orders");
        let count = other.query_one_raw(count).await.unwrap().unwrap();
        let orders = count.try_get_by_index(0).unwrap();
        other.close().await.unwrap();
        orders
    }
}

async fn ask(server: &str, sql: &str) {
    let server = Orm::connect(server).await.unwrap();
    server.execute_unprepared(sql).await.unwrap();
    server.close().await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("drop database {} with (force)", self.name);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let dropping = async move { ask(&std::env::var(SERVER).unwrap(), &sql).await };
        // A test's runtime cannot be waited for in a destructor.
        let thread = std::thread::spawn(|| runtime.unwrap().block_on(dropping));
        // What is left behind harms no other test.
        drop(thread.join());
    }
}
