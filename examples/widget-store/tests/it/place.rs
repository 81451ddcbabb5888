//! Where a store keeps its data: a directory of its own, or a database of its own on a server.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use stepwell::AnyPool;
use tempfile::TempDir;

/// The URL of a server that tests may do anything to.
const SERVER: &str = "STEPWELL_TEST_POSTGRES";

/// Makes two tests of each case: on SQLite, and on the server that `STEPWELL_TEST_POSTGRES` names.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[test]
                fn $case() {
                    super::$case(crate::place::Place::sqlite());
                }
            )*
        }

        mod on_postgres {
            $(
                #[test]
                fn $case() {
                    if let Some(place) = crate::place::Place::postgres() {
                        super::$case(place);
                    }
                }
            )*
        }
    };
}

pub(crate) use on_both;

/// Where a store runs. Stores that share one of Postgres share their data.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    database: Option<ServerDatabase>,
}

/// A database takes a few megabytes of the server: it is dropped with this.
struct ServerDatabase {
    url: String,
    name: String,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            database: None,
        }
    }

    /// None, and a line that says so, without a server.
    pub(crate) fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var(SERVER) else {
            // Not `eprintln!`: what passes must not hide what was left out.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED on Postgres: {SERVER} names no server; run \
                 tests/with-postgres cargo test -p widget-store"
            );
            return None;
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("widgets_{}_{number}", std::process::id());
        ask_server(format!("create database {name}"));
        let (server, _) = server.rsplit_once('/').unwrap();
        let url = format!("{server}/{name}");
        Some(Self {
            directory: TempDir::new().unwrap(),
            database: Some(ServerDatabase { url, name }),
        })
    }

    /// The shop's database.
    pub(crate) fn url(&self) -> String {
        match &self.database {
            Some(database) => database.url.clone(),
            None => {
                let file = self.directory.path().join("widget-store.db");
                format!("sqlite:{}", file.display())
            }
        }
    }

    /// How long a workflow may wait, in milliseconds, for somebody to go on with it. On Postgres
    /// that takes the lease of the dead and the next look around.
    pub(crate) fn resumed_ms_max(&self) -> i64 {
        if self.database.is_some() {
            10_000
        } else {
            1_000
        }
    }

    /// The program, told to use this place.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_widget-store"));
        command
            .current_dir(&self.directory)
            .env("PORT", "0")
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null());
        if let Some(database) = &self.database {
            command.env("DATABASE_URL", &database.url);
        }
        command
    }

    /// Changes the shop's tables behind its back.
    #[tokio::main(flavor = "current_thread")]
    pub(crate) async fn tamper(&self, sql: &'static str) {
        let shop = AnyPool::connect(&self.url()).await.unwrap();
        sqlx::query(sql).execute(&shop).await.unwrap();
        shop.close().await;
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        ask_server(format!("drop database {} with (force)", self.name));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn ask_server(sql: String) {
    let url = std::env::var(SERVER).unwrap();
    let mut server = PgConnection::connect(&url).await.unwrap();
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    sql.execute(&mut server).await.unwrap();
}
