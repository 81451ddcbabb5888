//! A database of a test's own, on the server that `STEPWELL_TEST_POSTGRES` names.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have its database has failed"
)]

use std::{
    io::Write,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// The URL of a server that tests may do anything to.
const SERVER: &str = "STEPWELL_TEST_POSTGRES";

/// A new database. It takes a few megabytes of the server, and is dropped with this.
#[derive(Debug)]
pub struct Database {
    url: String,
    name: String,
}

impl Database {
    /// None, and a line that says so, without a server. May be called within a runtime and without one.
    ///
    /// # Panics
    /// If the server does not make it.
    pub fn new(prefix: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var(SERVER) else {
            // Not `eprintln!`: what passes must not hide what was left out.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED on Postgres: {SERVER} names no server; run tests/with-postgres cargo test"
            );
            return None;
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}_{}_{number}", std::process::id());
        ask(&server, format!("create database {name}")).unwrap();
        let (server, _) = server.rsplit_once('/').unwrap();
        Some(Self {
            url: format!("{server}/{name}"),
            name,
        })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(server) = std::env::var(SERVER) {
            // What is left behind harms no other test.
            drop(ask(
                &server,
                format!("drop database {} with (force)", self.name),
            ));
        }
    }
}

/// On a thread of its own: whoever asks may be in a runtime.
fn ask(server: &str, sql: String) -> std::thread::Result<()> {
    let server = server.to_owned();
    std::thread::spawn(move || asked(&server, sql)).join()
}

#[tokio::main(flavor = "current_thread")]
async fn asked(server: &str, sql: String) {
    let mut server = PgConnection::connect(server).await.unwrap();
    server
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .unwrap();
}
