//! A transaction in the user's own Postgres database.

mod connection;
mod error;
mod executor;
mod options;
mod table;
mod witness;

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::PgPool;
use stepwell_core::{BoxFuture, Committed, Operation, Payload, Tx, TxError, TxOptions, Witness};

use connection::Noted;
pub use connection::PostgresTxConnection;
use error::failed;
pub(crate) use error::is_conflict;

/// A transaction in the user's Postgres database, through sqlx.
///
/// `&mut tx` is an sqlx [`Executor`](sqlx::Executor), [`tx.begin()`](PostgresTxConnection::begin)
/// a savepoint, and where a function wants the connection itself (`&mut PgConnection`), `&mut tx`
/// becomes one. Stepwell commits the transaction together with its witness when the code returns
/// `Ok`, and undoes it otherwise. When a statement fails because another transaction was in the way
/// or the server went away, the code is run again, whatever it returns. Only an error that a
/// function sees on the bare connection is the code's own: let such a function take an
/// `impl sqlx::PgExecutor<'_>` instead.
///
/// # The code cannot end it
/// A `commit` or `rollback` is refused before it is sent, and the transaction undone. Postgres has
/// no commit hooks, so one that is hidden (inside a text of several statements, or sent on the bare
/// connection) does happen; it is found out when the code returns `Ok`: nothing more is kept, and
/// the workflow is stuck with a message that says so.
///
/// That costs nothing: a setting that is local to the transaction marks it, in the same round trip
/// as `begin`, and the statement that writes the witness looks at it. What would stop a hidden
/// commit too is a row written first that a deferred constraint forbids to commit. It was tried and
/// is not done: it needs two more statements in every transaction (1.4 times the latency of a small
/// one), and `set constraints all immediate`, which the code may want, fails on it.
///
/// # The witnesses
/// They stay in `stepwell.witness` until somebody deletes them, and mean nothing once their workflow was
/// deleted. What is older than any workflow lives, and than any outage lasts, can go at any time:
/// `delete from stepwell.witness where recorded_at < now() - interval '90 days'`.
pub struct PostgresTx {
    // Always there, until it goes home.
    connection: Option<PostgresTxConnection<'static>>,
    home: PostgresHome,
}

/// Where a [`PostgresTx`] comes to rest when the user's code is done with it.
#[derive(Clone)]
pub struct PostgresHome {
    rested: Arc<Mutex<Option<PostgresTxConnection<'static>>>>,
    noted: Arc<Noted>,
    options: TxOptions,
}

impl PostgresTx {
    async fn open(source: &PgPool, options: TxOptions) -> Result<(Self, PostgresHome), TxError> {
        let noted = Arc::default();
        let begun = PostgresTxConnection::open(source, options, Arc::clone(&noted)).await;
        let connection = begun.map_err(|error| failed("begin a transaction", error))?;
        let home = PostgresHome {
            rested: Arc::default(),
            noted,
            options,
        };
        let tx = Self {
            connection: Some(connection),
            home: home.clone(),
        };
        Ok((tx, home))
    }

    /// Makes the table of the witnesses, `stepwell.witness`, if it is missing.
    ///
    /// The engine makes it itself when the first transaction finds none, and runs that one again;
    /// nobody need call this. Called before, the first transaction takes no number of a sequence
    /// twice, and a deploy can make the table with rights that the application does not have.
    ///
    /// # Errors
    /// When the database does not answer, or the role may not make the table; then the message says
    /// what an administrator must run.
    pub async fn make_witness_table(source: &PgPool) -> Result<(), TxError> {
        witness::make_table(source).await
    }
}

impl PostgresHome {
    fn rest(&self, connection: Option<PostgresTxConnection<'static>>) {
        *self.rested.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    fn take(&self) -> Option<PostgresTxConnection<'static>> {
        self.rested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The transaction, now that the user's code is done with it.
    fn come_home(&self) -> Result<PostgresTxConnection<'static>, TxError> {
        self.take().ok_or_else(|| {
            TxError::misuse(
                "the transaction is still in use after its code has returned; await everything \
                 that uses it, and move it nowhere else",
            )
        })
    }
}

impl Tx for PostgresTx {
    type Source = PgPool;
    type Home = PostgresHome;

    fn begin(
        source: &PgPool,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, PostgresHome), TxError>> {
        Box::pin(Self::open(source, options))
    }

    fn witnessed<'a>(
        source: &'a PgPool,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        Box::pin(witness::find_or_make_table(source, operation))
    }

    fn commit(
        home: PostgresHome,
        witness: Witness,
    ) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async move {
            let mut connection = home.come_home()?;
            if home.options.read_only {
                connection.abandon().await;
                return Err(TxError::misuse(
                    "a read-only transaction keeps no witness: it is committed without one",
                ));
            }
            match witness::write(&mut connection, &witness).await {
                Ok(Committed::Now) => connection.finish().await.map(|()| Committed::Now),
                Ok(before) => {
                    connection.abandon().await;
                    Ok(before)
                }
                Err(error) => {
                    connection.abandon().await;
                    Err(error)
                }
            }
        })
    }

    fn commit_plain(home: PostgresHome) -> BoxFuture<'static, Result<(), TxError>> {
        Box::pin(async move {
            let mut connection = home.come_home()?;
            match witness::check_still_open(&mut connection).await {
                Ok(()) => connection.finish().await,
                Err(error) => {
                    connection.abandon().await;
                    Err(error)
                }
            }
        })
    }

    fn rollback(home: PostgresHome) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(connection) = home.take() {
                connection.abandon().await;
            }
        })
    }

    fn conflict(home: &PostgresHome) -> bool {
        home.noted.conflict()
    }
}

impl Drop for PostgresTx {
    fn drop(&mut self) {
        self.home.rest(self.connection.take());
    }
}

impl Deref for PostgresTx {
    type Target = PostgresTxConnection<'static>;

    fn deref(&self) -> &Self::Target {
        self.connection
            .as_ref()
            .expect("a transaction goes home only when it is dropped")
    }
}

impl DerefMut for PostgresTx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.connection
            .as_mut()
            .expect("a transaction goes home only when it is dropped")
    }
}

impl fmt::Debug for PostgresTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTx").finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresHome")
            .field("noted", &self.noted)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
