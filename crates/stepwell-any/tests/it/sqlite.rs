//! What only SQLite does.

use stepwell::{AnyTx, Tx};

use crate::database::{Database, witness};

const INSERT: &str = "insert into orders (item) values ('widget')";

/// A checkpoint inside a transaction is answered by `SQLITE_LOCKED`.
#[tokio::test]
async fn a_locked_database_is_a_conflict() {
    let db = Database::sqlite().await;
    let (mut tx, home) = db.begin().await;
    assert!(!AnyTx::conflict(&home));
    let locked = sqlx::query("pragma wal_checkpoint").execute(&mut tx).await;
    assert!(locked.is_err());
    assert!(AnyTx::conflict(&home));
    drop(tx);
    AnyTx::rollback(home).await;
}

/// The connection asks before it commits anything, so nothing hides a commit from it.
#[tokio::test]
async fn a_hidden_commit_is_refused_too() {
    let db = Database::sqlite().await;
    for hidden in ["/* now */ commit", "select 1; commit"] {
        let (mut tx, home) = db.begin().await;
        sqlx::query(INSERT).execute(&mut tx).await.unwrap();
        assert!(sqlx::raw_sql(hidden).execute(&mut tx).await.is_err());
        drop(tx);
        assert!(
            AnyTx::commit(home, witness("1"))
                .await
                .unwrap_err()
                .is_misuse()
        );
        assert_eq!((db.orders().await, db.witnessed().await), (0, None));
    }
}

#[tokio::test]
async fn the_transaction_itself_is_at_hand() {
    let db = Database::sqlite().await;
    let (mut tx, home) = db.begin().await;
    if let AnyTx::Sqlite(tx) = &mut tx {
        sqlx::query(INSERT).execute(tx).await.unwrap();
    }
    drop(tx);
    AnyTx::commit(home, witness("1")).await.unwrap();
    assert_eq!(db.orders().await, 1);
}
