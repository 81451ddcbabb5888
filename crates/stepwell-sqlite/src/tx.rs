//! A transaction in the user's own SQLite database.

mod executor;
mod hooks;
mod witness;

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use stepwell_core::{BoxFuture, Committed, Operation, Payload, Tx, TxError, TxOptions, Witness};

/// A transaction in the user's SQLite database, through sqlx.
///
/// `&mut tx` is an sqlx [`Executor`](sqlx::Executor), and `&mut *tx` the connection itself. The
/// transaction holds the database's write lock from its begin (`begin immediate`); Stepwell commits
/// it together with its witness when the code returns `Ok`, and undoes it otherwise. The code cannot
/// end it itself: a `commit` inside fails and undoes everything, because committing without the
/// witness would do the same changes again after a crash. For that, the transaction uses the
/// connection's commit and rollback hooks.
///
/// Every transaction is serializable, whatever isolation was asked for. One that is `read_only`
/// takes no lock that keeps writers waiting (`begin deferred`, and a journal in WAL mode). A
/// statement that writes in it does run, but nothing of it is kept: the commit finds it out, undoes
/// it and says so.
///
/// The witnesses stay in `stepwell_witness` until somebody deletes them, and mean nothing once their
/// workflow was deleted. What is older than any workflow lives, and than any outage lasts, can go at any
/// time: `delete from stepwell_witness where recorded_at < (unixepoch() - 90 * 86400) * 1000000`.
pub struct SqliteTx {
    // Always there, until it goes home.
    transaction: Option<Transaction<'static, Sqlite>>,
    home: SqliteHome,
}

/// Where a [`SqliteTx`] comes to rest when the user's code is done with it.
#[derive(Clone)]
pub struct SqliteHome(Arc<Shared>);

/// What the transaction, its home and the connection's hooks know.
#[derive(Default)]
struct Shared {
    rested: Mutex<Option<Transaction<'static, Sqlite>>>,
    /// A statement failed because another connection has the lock.
    conflict: AtomicBool,
    /// Stepwell itself ends the transaction now: the hooks let it.
    ending: AtomicBool,
    /// The user's code has ended the transaction, or tried to.
    ended_by_hand: AtomicBool,
    /// The hooks let nothing be committed that has written.
    read_only: bool,
}

impl SqliteHome {
    fn rest(&self, transaction: Option<Transaction<'static, Sqlite>>) {
        *self.0.rested.lock().unwrap_or_else(PoisonError::into_inner) = transaction;
    }

    fn take(&self) -> Option<Transaction<'static, Sqlite>> {
        self.0
            .rested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The transaction, now that the user's code is done with it.
    fn come_home(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, TxError> {
        self.take().ok_or_else(|| {
            TxError::misuse(
                "the transaction is still in use after its code has returned; await everything \
                 that uses it, and move it nowhere else",
            )
        })
    }

    fn ended_by_hand(&self) -> bool {
        self.0.ended_by_hand.load(Ordering::Acquire)
    }

    /// Remembers what an error says about the transaction.
    fn note(&self, error: &sqlx::Error) {
        if is_conflict(error) {
            self.0.conflict.store(true, Ordering::Release);
        }
    }
}

/// Whether a statement failed for a reason that is not the user's code: another connection has the
/// lock (`SQLITE_BUSY` 5, `SQLITE_LOCKED` 6), the disk is full or fails (`SQLITE_FULL` 13,
/// `SQLITE_IOERR` 10, `SQLITE_CANTOPEN` 14), or the connection is gone. The number is the last byte of
/// the extended code.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, WorkerCrashed};
    matches!(error, Io(_) | PoolClosed | PoolTimedOut | WorkerCrashed)
        || code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
}

/// SQLite's extended code of an error.
pub(crate) fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

impl SqliteTx {
    /// Whether nothing that it writes is kept.
    pub(crate) fn is_read_only(&self) -> bool {
        self.home.0.read_only
    }

    /// Remembers what an error says about the transaction.
    pub(crate) fn note(&self, error: &sqlx::Error) {
        self.home.note(error);
    }

    async fn open(source: &SqlitePool, options: TxOptions) -> Result<(Self, SqliteHome), TxError> {
        let begin = if options.read_only {
            "begin deferred"
        } else {
            "begin immediate"
        };
        let begun = source.begin_with(begin).await;
        let mut transaction = begun.map_err(|error| failed("begin a transaction", error))?;
        let home = SqliteHome(Arc::new(Shared {
            read_only: options.read_only,
            ..Shared::default()
        }));
        hooks::set(&mut transaction, &home.0).await?;
        let tx = Self {
            transaction: Some(transaction),
            home: home.clone(),
        };
        Ok((tx, home))
    }
}

impl Tx for SqliteTx {
    type Source = SqlitePool;
    type Home = SqliteHome;

    fn begin(
        source: &SqlitePool,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, SqliteHome), TxError>> {
        Box::pin(Self::open(source, options))
    }

    fn witnessed<'a>(
        source: &'a SqlitePool,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        Box::pin(witness::find_or_make_table(source, operation))
    }

    fn commit(
        home: SqliteHome,
        witness: Witness,
    ) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async move {
            let transaction = home.come_home()?;
            if home.0.read_only {
                hooks::rollback(&home, transaction).await;
                return Err(TxError::misuse(
                    "a read-only transaction keeps no witness: it is committed without one",
                ));
            }
            witness::commit(transaction, &home, &witness).await
        })
    }

    fn commit_plain(home: SqliteHome) -> BoxFuture<'static, Result<(), TxError>> {
        Box::pin(async move {
            let transaction = home.come_home()?;
            if home.0.read_only {
                return hooks::end_reading(&home, transaction).await;
            }
            if let Err(misuse) = hooks::refuse_if_ended_by_hand(&home) {
                hooks::rollback(&home, transaction).await;
                return Err(misuse);
            }
            let committed = hooks::commit(&home, transaction).await;
            committed.map_err(|error| failed("commit a transaction", error))
        })
    }

    fn rollback(home: SqliteHome) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(transaction) = home.take() {
                hooks::rollback(&home, transaction).await;
            }
        })
    }

    fn conflict(home: &SqliteHome) -> bool {
        home.0.conflict.load(Ordering::Acquire)
    }
}

fn failed(operation: &str, error: sqlx::Error) -> TxError {
    TxError::new(format!(
        "could not {operation} in the user's SQLite database"
    ))
    .with_source(error)
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        self.home.rest(self.transaction.take());
    }
}

impl Deref for SqliteTx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.transaction
            .as_ref()
            .expect("a transaction goes home only when it is dropped")
    }
}

impl DerefMut for SqliteTx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.transaction
            .as_mut()
            .expect("a transaction goes home only when it is dropped")
    }
}

impl fmt::Debug for SqliteTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTx").finish_non_exhaustive()
    }
}

impl fmt::Debug for SqliteHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteHome")
            .field("conflict", &self.0.conflict)
            .field("ended_by_hand", &self.0.ended_by_hand)
            .finish_non_exhaustive()
    }
}
