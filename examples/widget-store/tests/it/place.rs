//! Where a store keeps its data: a directory of its own, or a database of its own on a server.

use std::process::{Command, Stdio};

use scratch::Database;
use stepwell::AnyPool;
use tempfile::TempDir;

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
    database: Option<Database>,
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
        Some(Self {
            directory: TempDir::new().unwrap(),
            database: Some(Database::new("widgets")?),
        })
    }

    /// The shop's database.
    pub(crate) fn url(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
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
            command.env("DATABASE_URL", database.url());
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
