//! Nobody but Stepwell commits the transaction.

use std::sync::{
    Arc, Weak,
    atomic::Ordering::{Acquire, Release},
};

use sqlx::{Sqlite, SqliteConnection, Transaction};
use stepwell_core::TxError;

use super::{Shared, SqliteHome, code, executor::COMMIT_REFUSED, failed, is_conflict};

/// Watches how the transaction of a connection ends.
///
/// SQLite asks the commit hook before it commits anything, and undoes the transaction when the hook
/// says no. So a `commit` by hand, by whatever way, leaves nothing behind; and so does every
/// statement after a `rollback` by hand, each of which would commit by itself.
///
/// The hooks stay on the connection when it goes back to its pool, and mean nothing there: they
/// know their transaction weakly, and it is gone by then.
pub(super) async fn set(
    connection: &mut SqliteConnection,
    shared: &Arc<Shared>,
) -> Result<(), TxError> {
    let mut handle = connection
        .lock_handle()
        .await
        .map_err(|error| failed("begin a transaction", error))?;
    let committing = Arc::downgrade(shared);
    handle.set_commit_hook(move || is_ours(&committing));
    let undoing = Arc::downgrade(shared);
    handle.set_rollback_hook(move || {
        is_ours(&undoing);
    });
    Ok(())
}

/// Commits by our own hand.
pub(super) async fn commit(
    home: &SqliteHome,
    transaction: Transaction<'static, Sqlite>,
) -> Result<(), sqlx::Error> {
    home.0.ending.store(true, Release);
    transaction.commit().await
}

/// Ends a transaction that was to read only. The hook is asked if it has written, and says no.
///
/// sqlx is not asked to commit: it would take a transaction that the hook has undone for one that
/// is open still, and its connection would be of no use to its pool any more.
pub(super) async fn end_reading(
    home: &SqliteHome,
    mut transaction: Transaction<'static, Sqlite>,
) -> Result<(), TxError> {
    let by_hand = home.ended_by_hand();
    let ended = sqlx::query("commit").execute(&mut *transaction).await;
    home.0.ended_by_hand.store(true, Release);
    rollback(home, transaction).await;
    match ended {
        Ok(_) if !by_hand => Ok(()),
        Err(error) if !by_hand && code(&error) == Some(COMMIT_REFUSED) => Err(TxError::misuse(
            "the transaction is read-only, and its code has written: nothing of it is kept; take \
             `read_only` away if it is to write",
        )),
        Err(error) if !by_hand && is_conflict(&error) => Err(failed("commit a transaction", error)),
        // There was nothing to commit: the code has done that.
        _ => Err(ended_by_hand()),
    }
}

/// Nothing of a transaction that the user's code has ended is kept.
pub(super) fn refuse_if_ended_by_hand(home: &SqliteHome) -> Result<(), TxError> {
    if !home.ended_by_hand() {
        return Ok(());
    }
    Err(ended_by_hand())
}

fn ended_by_hand() -> TxError {
    TxError::misuse(
        "the transaction was over before Stepwell could commit it: its code must not commit or \
         roll back, nor go on after an error that made SQLite roll back; nothing of it is kept",
    )
}

/// Undoes by our own hand.
pub(super) async fn rollback(home: &SqliteHome, mut transaction: Transaction<'static, Sqlite>) {
    home.0.ending.store(true, Release);
    if home.ended_by_hand() {
        // sqlx has not seen that the transaction is over. Without one to undo its rollback would
        // fail, and the connection be of no use to its pool any more.
        let _ = sqlx::query("begin").execute(&mut *transaction).await;
    }
    // What cannot be undone by a statement is undone when the connection closes.
    let _ = transaction.rollback().await;
}

/// Whether Stepwell ends the transaction; otherwise notes that the user's code does.
fn is_ours(shared: &Weak<Shared>) -> bool {
    let Some(shared) = shared.upgrade() else {
        return true;
    };
    let ours = shared.ending.load(Acquire);
    if !ours {
        shared.ended_by_hand.store(true, Release);
    }
    ours
}
