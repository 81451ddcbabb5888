//! A transaction of SeaORM that Stepwell commits together with its witness.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel,
    TransactionTrait,
};
use stepwell::{
    BoxFuture, Committed, Isolation, Operation, Payload, Tx, TxError, TxOptions, Witness,
};

use crate::{
    connection::{code, is_conflict},
    witness,
};

/// Marks the transaction as ours. The mark is local to it, so it is gone when the code has committed
/// by hand; the witness is written only where it is.
const MARK: &str = "set local stepwell.transaction = 'open'";

/// A transaction in the user's Postgres database, through SeaORM: `&tx` is its connection.
#[derive(Debug)]
pub struct OrmTx {
    // Always there, until it goes home.
    transaction: Option<DatabaseTransaction>,
    home: OrmHome,
}

/// Where an [`OrmTx`] comes to rest when the user's code is done with it.
#[derive(Debug, Clone, Default)]
pub struct OrmHome {
    rested: Arc<Mutex<Option<DatabaseTransaction>>>,
    conflict: Arc<AtomicBool>,
}

impl OrmTx {
    pub(crate) fn transaction(&self) -> &DatabaseTransaction {
        self.transaction
            .as_ref()
            .expect("a transaction goes home only when it is dropped")
    }

    /// Notes a conflict, whatever the code makes of the error.
    pub(crate) fn seen<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if result.as_ref().is_err_and(is_conflict) {
            self.home.conflict.store(true, SeqCst);
        }
        result
    }
}

impl Drop for OrmTx {
    fn drop(&mut self) {
        let rested = self.home.rested.lock();
        *rested.unwrap_or_else(PoisonError::into_inner) = self.transaction.take();
    }
}

impl OrmHome {
    fn take(&self) -> Option<DatabaseTransaction> {
        self.rested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn come_home(&self) -> Result<DatabaseTransaction, TxError> {
        self.take().ok_or_else(|| {
            TxError::misuse(
                "the transaction is still in use after its code has returned; await everything \
                 that uses it, and move it nowhere else",
            )
        })
    }
}

impl Tx for OrmTx {
    type Source = DatabaseConnection;
    type Home = OrmHome;

    fn begin(
        source: &DatabaseConnection,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, OrmHome), TxError>> {
        Box::pin(async move {
            let begun = async {
                let isolation = options.isolation.map(|level| match level {
                    Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
                    Isolation::RepeatableRead => IsolationLevel::RepeatableRead,
                    Isolation::Serializable => IsolationLevel::Serializable,
                });
                let access = options.read_only.then_some(AccessMode::ReadOnly);
                let transaction = source.begin_with_config(isolation, access).await?;
                transaction.execute_unprepared(MARK).await?;
                Ok(transaction)
            };
            let transaction = begun
                .await
                .map_err(|error: DbErr| failed("begin a transaction", error))?;
            let home = OrmHome::default();
            let tx = Self {
                transaction: Some(transaction),
                home: home.clone(),
            };
            Ok((tx, home))
        })
    }

    fn witnessed<'a>(
        source: &'a DatabaseConnection,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        Box::pin(async move {
            let looked = witness::find_or_make_table(source, operation).await;
            looked.map_err(|error| failed("look for the witness of a transaction", error))
        })
    }

    fn commit(home: OrmHome, witness: Witness) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async move {
            let transaction = home.come_home()?;
            match witness::write(&transaction, &witness).await {
                Ok(Committed::Now) => finish(transaction).await.map(|()| Committed::Now),
                undone => {
                    abandon(transaction).await;
                    undone.map_err(|error| home.unless_conflict(error))
                }
            }
        })
    }

    fn commit_plain(home: OrmHome) -> BoxFuture<'static, Result<(), TxError>> {
        Box::pin(async move {
            let transaction = home.come_home()?;
            match witness::check_still_open(&transaction).await {
                Ok(()) => finish(transaction).await,
                Err(error) => {
                    abandon(transaction).await;
                    Err(home.unless_conflict(error))
                }
            }
        })
    }

    fn rollback(home: OrmHome) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(transaction) = home.take() {
                abandon(transaction).await;
            }
        })
    }

    fn conflict(home: &OrmHome) -> bool {
        home.conflict.load(SeqCst)
    }
}

impl OrmHome {
    /// A conflict that the code has swallowed is still one: the code runs again.
    fn unless_conflict(&self, error: TxError) -> TxError {
        if self.conflict.load(SeqCst) {
            return TxError::new("another transaction was in the way").with_source(error);
        }
        error
    }
}

/// A crash before the answer comes leaves it open whether it was committed: the witness tells.
async fn finish(transaction: DatabaseTransaction) -> Result<(), TxError> {
    let Err(error) = transaction.commit().await else {
        return Ok(());
    };
    // What was deferred to the commit and fails would fail again.
    if code(&error).is_some() && !is_conflict(&error) {
        return Err(TxError::misuse(format!(
            "the database refused to commit the transaction, and nothing of it is kept: {error}"
        )));
    }
    Err(failed("commit a transaction", error))
}

async fn abandon(transaction: DatabaseTransaction) {
    // What cannot be undone by a statement is undone when the connection closes.
    let _ = transaction.rollback().await;
}

/// Trouble that is tried again.
pub(crate) fn failed(operation: &str, error: DbErr) -> TxError {
    TxError::new(format!("could not {operation} in the user's database")).with_source(error)
}
