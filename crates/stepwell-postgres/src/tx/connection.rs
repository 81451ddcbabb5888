//! The connection of a transaction: what it runs, and how it ends.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction};
use stepwell_core::{TxError, TxOptions};

use super::{
    error::{conflict, failed, is_conflict, is_passing, is_undone},
    options,
};

/// The connection of a [`PostgresTx`](super::PostgresTx), or of a savepoint in it.
///
/// `&mut connection` is an sqlx [`Executor`](sqlx::Executor), and `&mut *connection` the bare
/// connection.
pub struct PostgresTxConnection<'t> {
    pub(super) transaction: Transaction<'t, Postgres>,
    pub(super) noted: Arc<Noted>,
}

/// What was noticed of a transaction while its code ran.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// A statement failed for a reason that is not the user's code.
    conflict: AtomicBool,
    /// The user's code has ended the transaction, or tried to.
    ended_by_hand: AtomicBool,
}

impl Noted {
    /// Remembers what an error says about the transaction.
    pub(super) fn note(&self, error: &sqlx::Error) {
        if is_conflict(error) {
            self.conflict.store(true, Release);
        }
    }

    pub(super) fn note_end_by_hand(&self) {
        self.ended_by_hand.store(true, Release);
    }

    pub(super) fn conflict(&self) -> bool {
        self.conflict.load(Acquire)
    }

    pub(super) fn ended_by_hand(&self) -> bool {
        self.ended_by_hand.load(Acquire)
    }
}

impl PostgresTxConnection<'static> {
    pub(super) async fn open(
        source: &PgPool,
        options: TxOptions,
        noted: Arc<Noted>,
    ) -> Result<Self, sqlx::Error> {
        // Made of words of ours alone.
        let begin = AssertSqlSafe(options::begin(options));
        let transaction = source.begin_with(begin).await?;
        Ok(Self { transaction, noted })
    }

    /// Commits by our own hand.
    ///
    /// An answer that is an error is a no: nothing was committed. When there is no answer, it may
    /// have been; the witness tells.
    pub(super) async fn finish(self) -> Result<(), TxError> {
        let Err(error) = self.transaction.commit().await else {
            return Ok(());
        };
        match error.as_database_error() {
            Some(_) if is_undone(&error) => Err(conflict(error)),
            // What was deferred to the commit and fails would fail again.
            Some(refused) if !is_passing(&error) => Err(TxError::misuse(format!(
                "the database refused to commit the transaction, and nothing of it is kept: \
                 {refused}; checks that are deferred to the commit are the code's to make: end it \
                 with `set constraints all immediate`"
            ))),
            _ => Err(failed("commit a transaction", error)),
        }
    }

    /// Undoes by our own hand.
    pub(super) async fn abandon(self) {
        // What cannot be undone by a statement is undone when the connection closes.
        let _ = self.transaction.rollback().await;
    }
}

impl PostgresTxConnection<'_> {
    /// Begins a savepoint: a part of the transaction that can be undone alone, also after a
    /// statement in it has failed. It is undone when it is dropped.
    ///
    /// # Errors
    /// When a statement of the transaction has failed before, or the connection is gone.
    pub async fn begin(&mut self) -> Result<PostgresTxConnection<'_>, sqlx::Error> {
        self.refuse_if_over()?;
        let noted = Arc::clone(&self.noted);
        match Connection::begin(&mut *self.transaction).await {
            Ok(transaction) => Ok(PostgresTxConnection { transaction, noted }),
            Err(error) => {
                noted.note(&error);
                Err(error)
            }
        }
    }

    /// sqlx counts levels, and a savepoint whose begin fails or is given up half way takes the whole
    /// transaction with it: every later statement would commit by itself.
    pub(super) fn refuse_if_over(&self) -> Result<(), sqlx::Error> {
        if self.transaction.is_in_transaction() {
            return Ok(());
        }
        self.noted.note_end_by_hand();
        Err(sqlx::Error::Protocol(
            "the transaction is over: a savepoint could not be begun in it, or was given up half \
             way; nothing of it is kept"
                .to_owned(),
        ))
    }
}

impl<'t> PostgresTxConnection<'t> {
    /// Keeps what was done since the savepoint, if the whole transaction is kept.
    ///
    /// # Errors
    /// When a statement since the savepoint has failed, or the connection is gone.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        let released = self.transaction.commit().await;
        released.inspect_err(|error| self.noted.note(error))
    }

    /// Undoes what was done since the savepoint.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        let undone = self.transaction.rollback().await;
        undone.inspect_err(|error| self.noted.note(error))
    }
}

impl Deref for PostgresTxConnection<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for PostgresTxConnection<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl fmt::Debug for PostgresTxConnection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTxConnection")
            .field("noted", &self.noted)
            .finish_non_exhaustive()
    }
}
