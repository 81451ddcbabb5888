//! A transaction of a workflow, on either database.
//!
//! It is the transaction of the one or the other crate, whole: the witness, the search for conflicts
//! and for commits by hand are there. Here is only the choice.

use stepwell_core::{
    BoxFuture, Committed, Enlist, Error, Operation, Payload, Tx, TxError, TxOptions, Witness,
    store::{Applied, Change, Store},
};
use stepwell_postgres::{PostgresHome, PostgresTx};
use stepwell_sqlite::{SqliteHome, SqliteTx};

use crate::AnyPool;

/// A transaction of a workflow in the user's database, SQLite or Postgres.
///
/// `&mut tx` is an sqlx [`Executor`](sqlx::Executor) for [`sqlx::Any`]. Stepwell commits the
/// transaction together with its witness when the code returns `Ok`, and undoes it otherwise.
/// Everything that [`SqliteTx`] and [`PostgresTx`] promise holds, and what the one or the other can
/// do besides is had by matching:
///
/// ```
/// # use stepwell::AnyTx;
/// # async fn lock(tx: &mut AnyTx) -> Result<(), sqlx::Error> {
/// if let AnyTx::Postgres(tx) = tx {
///     // A transaction in SQLite is alone from its begin.
///     sqlx::query("lock table orders in exclusive mode").execute(tx).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum AnyTx {
    /// In a SQLite file.
    Sqlite(SqliteTx),
    /// In a Postgres database.
    Postgres(PostgresTx),
}

/// Where an [`AnyTx`] comes to rest when the user's code is done with it.
#[derive(Debug)]
pub enum AnyHome {
    /// Of a transaction in a SQLite file.
    Sqlite(SqliteHome),
    /// Of a transaction in a Postgres database.
    Postgres(PostgresHome),
}

impl AnyTx {
    /// Makes the table of the witnesses, if it is missing. The first transaction does it too; see
    /// [`PostgresTx::make_witness_table`] for what is better when it is there before.
    ///
    /// # Errors
    /// When the database does not answer, or the role may not make tables; then the message says
    /// what an administrator must run.
    pub async fn make_witness_table(source: &AnyPool) -> Result<(), TxError> {
        match source {
            // Made in the first transaction itself, which loses nothing by it.
            AnyPool::Sqlite(_) => Ok(()),
            AnyPool::Postgres(pool) => PostgresTx::make_witness_table(pool).await,
        }
    }
}

impl Tx for AnyTx {
    type Source = AnyPool;
    type Home = AnyHome;

    fn begin(
        source: &AnyPool,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, AnyHome), TxError>> {
        Box::pin(async move {
            Ok(match source {
                AnyPool::Sqlite(pool) => {
                    let (tx, home) = SqliteTx::begin(pool, options).await?;
                    (Self::Sqlite(tx), AnyHome::Sqlite(home))
                }
                AnyPool::Postgres(pool) => {
                    let (tx, home) = PostgresTx::begin(pool, options).await?;
                    (Self::Postgres(tx), AnyHome::Postgres(home))
                }
            })
        })
    }

    fn witnessed<'a>(
        source: &'a AnyPool,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        match source {
            AnyPool::Sqlite(pool) => SqliteTx::witnessed(pool, operation),
            AnyPool::Postgres(pool) => PostgresTx::witnessed(pool, operation),
        }
    }

    fn commit(home: AnyHome, witness: Witness) -> BoxFuture<'static, Result<Committed, TxError>> {
        match home {
            AnyHome::Sqlite(home) => SqliteTx::commit(home, witness),
            AnyHome::Postgres(home) => PostgresTx::commit(home, witness),
        }
    }

    fn commit_plain(home: AnyHome) -> BoxFuture<'static, Result<(), TxError>> {
        match home {
            AnyHome::Sqlite(home) => SqliteTx::commit_plain(home),
            AnyHome::Postgres(home) => PostgresTx::commit_plain(home),
        }
    }

    fn rollback(home: AnyHome) -> BoxFuture<'static, ()> {
        match home {
            AnyHome::Sqlite(home) => SqliteTx::rollback(home),
            AnyHome::Postgres(home) => PostgresTx::rollback(home),
        }
    }

    fn conflict(home: &AnyHome) -> bool {
        match home {
            AnyHome::Sqlite(home) => SqliteTx::conflict(home),
            AnyHome::Postgres(home) => PostgresTx::conflict(home),
        }
    }
}

/// Starts and sends on either database: `app.start_in(&mut tx, call)`.
impl Enlist<AnyTx> for AnyTx {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        match self {
            Self::Sqlite(tx) => tx.apply(store, change),
            Self::Postgres(tx) => tx.apply(store, change),
        }
    }
}
