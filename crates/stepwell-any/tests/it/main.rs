//! The same program on both databases. Each case runs in a SQLite file, and in a Postgres database
//! of its own on the server that `STEPWELL_TEST_POSTGRES` names.

#![allow(missing_docs, reason = "tests are sentences")]
#![allow(clippy::unwrap_used, reason = "also in what tests share")]

mod blocking;
mod bounds;
mod connect;
mod database;
mod doubt;
mod engine;
mod hostile;
mod leases;
mod lock;
mod matrix;
mod newer;
mod postgres;
mod queries;
mod rolling;
mod round_trip;
mod shutdown;
mod sqlite;
mod store;
mod threads;
mod tls;
mod tx;
mod wait;
mod watching;

/// Makes two tests of each case.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::database::Database::sqlite().await).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    if let Some(database) = crate::database::Database::postgres().await {
                        super::$case(&database).await;
                    }
                }
            )*
        }
    };
}

pub(crate) use on_both;
