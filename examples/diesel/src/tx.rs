//! A transaction of diesel-async that Stepwell commits together with its witness.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use diesel::{
    connection::InstrumentationEvent,
    result::{DatabaseErrorKind as Kind, Error},
};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, TransactionManager,
    pooled_connection::{AsyncDieselConnectionManager, deadpool},
};
use stepwell::{
    BoxFuture, Committed, Isolation, Operation, Payload, Tx, TxError, TxOptions, Witness,
};

use crate::witness;

/// Where transactions are begun.
pub type Pool = deadpool::Pool<AsyncPgConnection>;

type Connection = deadpool::Object<AsyncPgConnection>;

/// Begins the transaction and marks it as ours. The mark is local to it, so it is gone when the code
/// has committed by hand; the witness is written only where it is.
fn begin(options: TxOptions) -> String {
    let isolation = match options.isolation {
        None => "",
        Some(Isolation::ReadCommitted) => " isolation level read committed,",
        Some(Isolation::RepeatableRead) => " isolation level repeatable read,",
        Some(Isolation::Serializable) => " isolation level serializable,",
    };
    let access = if options.read_only { "only" } else { "write" };
    format!("begin{isolation} read {access}; set local stepwell.transaction = 'open'")
}

/// Opens the database at a URL.
///
/// # Errors
/// If the pool cannot be made. No connection is made yet.
pub fn pool(url: &str) -> stepwell::Result<Pool> {
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    Ok(Pool::builder(manager).build()?)
}

/// A transaction in the user's Postgres database, through diesel-async. `&mut *tx` is the
/// connection; `(&mut *tx).transaction(…)` a savepoint.
pub struct DieselTx {
    // Always there, until it goes home.
    connection: Option<Connection>,
    home: DieselHome,
}

/// Where a [`DieselTx`] comes to rest when the user's code is done with it.
#[derive(Clone, Default)]
pub struct DieselHome {
    rested: Arc<Mutex<Option<Connection>>>,
    pub(crate) noted: Arc<Noted>,
}

/// What was noticed while the code ran: diesel tells of each query that fails, whatever the code
/// makes of its error.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// A statement failed for a reason that is not the user's code.
    conflict: AtomicBool,
    /// A statement failed.
    failed: AtomicBool,
}

impl Noted {
    fn note(&self, error: &Error) {
        self.failed.store(true, SeqCst);
        if is_conflict(error) {
            self.conflict.store(true, SeqCst);
        }
    }

    pub(crate) fn conflict(&self) -> bool {
        self.conflict.load(SeqCst)
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.load(SeqCst)
    }
}

/// Whether another transaction was in the way, or the connection is gone. Diesel keeps no code of an
/// error that it has no kind for, so those are known by their text, as a server says it whose
/// `lc_messages` is English.
fn is_conflict(error: &Error) -> bool {
    let Error::DatabaseError(kind, information) = error else {
        return matches!(error, Error::BrokenTransactionManager);
    };
    let said = information.message();
    match kind {
        Kind::SerializationFailure | Kind::ClosedConnection | Kind::UnableToSendCommand => true,
        Kind::Unknown => ["deadlock detected", "terminating connection"]
            .iter()
            .any(|trouble| said.starts_with(trouble)),
        _ => false,
    }
}

impl DieselHome {
    fn take(&self) -> Option<Connection> {
        self.rested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn come_home(&self) -> Result<Connection, TxError> {
        self.take().ok_or_else(|| {
            TxError::misuse(
                "the transaction is still in use after its code has returned; await everything \
                 that uses it, and move it nowhere else",
            )
        })
    }
}

impl Tx for DieselTx {
    type Source = Pool;
    type Home = DieselHome;

    fn begin(
        source: &Pool,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, DieselHome), TxError>> {
        Box::pin(async move {
            let mut connection = connect(source).await?;
            let begin = begin(options);
            let begun =
                AnsiTransactionManager::begin_transaction_sql(&mut *connection, &begin).await;
            begun.map_err(|error| failed("begin a transaction", error))?;
            let home = DieselHome::default();
            let noted = Arc::clone(&home.noted);
            // In the place of that of the connection's last transaction.
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::FinishQuery { error, .. } = event {
                    error.into_iter().for_each(|error| noted.note(error));
                }
            });
            let tx = Self {
                connection: Some(connection),
                home: home.clone(),
            };
            Ok((tx, home))
        })
    }

    fn witnessed<'a>(
        source: &'a Pool,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        Box::pin(async move {
            let mut connection = connect(source).await?;
            witness::find_or_make_table(&mut connection, operation).await
        })
    }

    fn commit(
        home: DieselHome,
        witness: Witness,
    ) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async move {
            let mut connection = home.come_home()?;
            let written = witness::write(&mut connection, &home, &witness).await;
            match written {
                Ok(Committed::Now) => finish(connection).await.map(|()| Committed::Now),
                undone => {
                    abandon(connection).await;
                    undone
                }
            }
        })
    }

    fn commit_plain(home: DieselHome) -> BoxFuture<'static, Result<(), TxError>> {
        Box::pin(async move {
            let mut connection = home.come_home()?;
            match witness::check_still_open(&mut connection, &home).await {
                Ok(()) => finish(connection).await,
                Err(error) => {
                    abandon(connection).await;
                    Err(error)
                }
            }
        })
    }

    fn rollback(home: DieselHome) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(connection) = home.take() {
                abandon(connection).await;
            }
        })
    }

    fn conflict(home: &DieselHome) -> bool {
        home.noted.conflict()
    }
}

async fn connect(source: &Pool) -> Result<Connection, TxError> {
    let connected = source.get().await;
    connected.map_err(|error| failed("connect", error))
}

/// A crash before the answer comes leaves it open whether it was committed: the witness tells.
async fn finish(mut connection: Connection) -> Result<(), TxError> {
    let committed = AnsiTransactionManager::commit_transaction(&mut *connection).await;
    let Err(error) = committed else { return Ok(()) };
    match &error {
        // What was deferred to the commit and fails would fail again.
        Error::DatabaseError(kind, refused)
            if !is_conflict(&error) && !matches!(kind, Kind::Unknown) =>
        {
            Err(TxError::misuse(format!(
                "the database refused to commit the transaction, and nothing of it is kept: {}",
                refused.message()
            )))
        }
        _ => Err(failed("commit a transaction", error)),
    }
}

async fn abandon(mut connection: Connection) {
    // What cannot be undone by a statement is undone when the pool throws the connection away.
    let _ = AnsiTransactionManager::rollback_transaction(&mut *connection).await;
}

/// Trouble that is tried again.
pub(crate) fn failed(
    operation: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> TxError {
    TxError::new(format!("could not {operation} in the user's database")).with_source(error)
}

impl Drop for DieselTx {
    fn drop(&mut self) {
        let rested = self.home.rested.lock();
        *rested.unwrap_or_else(PoisonError::into_inner) = self.connection.take();
    }
}

impl Deref for DieselTx {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.connection
            .as_ref()
            .expect("a transaction goes home only when it is dropped")
    }
}

impl DerefMut for DieselTx {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        self.connection
            .as_mut()
            .expect("a transaction goes home only when it is dropped")
    }
}

impl fmt::Debug for DieselHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DieselHome")
            .field("noted", &self.noted)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DieselTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DieselTx").finish_non_exhaustive()
    }
}
