//! A transaction that is no part of a workflow.

use sqlx::{Postgres, Sqlite, Transaction};

/// A transaction in the user's database that is no part of a workflow: of an endpoint that reads
/// what belongs together, or changes something by itself.
///
/// `&mut transaction` is an sqlx [`Executor`](sqlx::Executor) for [`sqlx::Any`]. It is undone when it
/// is dropped.
#[derive(Debug)]
pub enum AnyTransaction {
    /// In a SQLite file.
    Sqlite(Transaction<'static, Sqlite>),
    /// In a Postgres database.
    Postgres(Transaction<'static, Postgres>),
}

impl AnyTransaction {
    /// Keeps what was done.
    ///
    /// # Errors
    /// When the database refuses, or does not answer; then it is unknown whether it was kept.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// When the database does not answer; it is undone all the same.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        }
    }
}
