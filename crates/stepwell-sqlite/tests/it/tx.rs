//! Transactions in the user's own database.

use std::time::Duration;

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use stepwell_core::{Committed, Isolation, Operation, Payload, Position, Tx, TxOptions, Witness};
use stepwell_sqlite::{SqliteHome, SqliteTx};

struct Shop {
    directory: tempfile::TempDir,
    pool: SqlitePool,
}

impl Shop {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pool = connect(&directory, Duration::from_secs(5)).await;
        sqlx::query("create table orders (id integer primary key, item text)")
            .execute(&pool)
            .await
            .unwrap();
        Self { directory, pool }
    }

    /// A pool of another process, which does not wait for locks.
    async fn other(&self) -> SqlitePool {
        connect(&self.directory, Duration::ZERO).await
    }

    async fn begin(&self) -> (SqliteTx, SqliteHome) {
        SqliteTx::begin(&self.pool, TxOptions::default())
            .await
            .unwrap()
    }

    async fn orders(&self) -> i64 {
        sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    async fn witnessed(&self) -> Option<Payload> {
        SqliteTx::witnessed(&self.pool, &operation()).await.unwrap()
    }
}

async fn connect(directory: &tempfile::TempDir, patience: Duration) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("users.db"))
        .create_if_missing(true)
        .busy_timeout(patience);
    SqlitePoolOptions::new()
        .max_connections(3)
        .connect_with(options)
        .await
        .unwrap()
}

fn operation() -> Operation {
    Operation {
        workflow: "order-1".to_owned(),
        position: Position::top(4).child(0),
    }
}

fn witness(output: &str) -> Witness {
    Witness {
        operation: operation(),
        output: Payload::from_stored(output.to_owned()),
    }
}

/// What a user's code does. The transaction goes home at its end.
async fn order(mut tx: SqliteTx) -> Result<(), sqlx::Error> {
    sqlx::query("insert into orders (item) values (?1)")
        .bind("widget")
        .execute(&mut tx)
        .await?;
    let item: String = sqlx::query_scalar("select item from orders")
        .fetch_one(&mut tx)
        .await?;
    assert_eq!(item, "widget", "it sees its own writes");
    Ok(())
}

#[tokio::test]
async fn a_change_and_its_witness_are_committed_together() {
    let shop = Shop::open().await;
    assert_eq!(shop.witnessed().await, None);
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    assert_eq!(shop.orders().await, 0, "not yet");
    let committed = SqliteTx::commit(home, witness("7")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.orders().await, 1);
    assert_eq!(
        shop.witnessed().await,
        Some(Payload::from_stored("7".into()))
    );
}

#[tokio::test]
async fn the_witness_table_is_made_where_it_is_missing() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    assert_eq!(
        SqliteTx::commit(home, witness("7")).await.unwrap(),
        Committed::Now
    );
    assert_eq!(
        shop.witnessed().await,
        Some(Payload::from_stored("7".into()))
    );
}

/// Exactly once: the second run's changes are undone, and the first one's output counts.
#[tokio::test]
async fn a_second_run_of_the_operation_changes_nothing() {
    let shop = Shop::open().await;
    for (output, expected) in [
        ("1", Committed::Now),
        ("2", Committed::Before(Payload::from_stored("1".into()))),
    ] {
        let (tx, home) = shop.begin().await;
        order(tx).await.unwrap();
        assert_eq!(
            SqliteTx::commit(home, witness(output)).await.unwrap(),
            expected
        );
    }
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn another_position_is_another_operation() {
    let shop = Shop::open().await;
    for position in [Position::top(1), Position::top(2)] {
        let (tx, home) = shop.begin().await;
        order(tx).await.unwrap();
        let mut witness = witness("1");
        witness.operation.position = position;
        assert_eq!(
            SqliteTx::commit(home, witness).await.unwrap(),
            Committed::Now
        );
    }
    assert_eq!(shop.orders().await, 2);
}

#[tokio::test]
async fn a_rollback_undoes_everything() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    SqliteTx::rollback(home).await;
    assert_eq!(shop.orders().await, 0);
    assert_eq!(shop.witnessed().await, None);
}

#[tokio::test]
async fn a_transaction_that_nobody_ends_is_undone() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    drop(home);
    // The same connections serve again, and commit what they are told.
    for _ in 0..6 {
        sqlx::query("insert into orders (item) values ('by hand')")
            .execute(&shop.pool)
            .await
            .unwrap();
    }
    assert_eq!(shop.orders().await, 6);
}

/// The lock is taken at the begin, so a second transaction cannot even begin; a third connection
/// that writes by itself is told that the database is busy, and that counts as a conflict.
#[tokio::test]
async fn two_transactions_at_once_follow_each_other() {
    let shop = Shop::open().await;
    let other = shop.other().await;
    let (first, first_home) = shop.begin().await;
    let error = SqliteTx::begin(&other, TxOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("begin a transaction"), "{error}");
    order(first).await.unwrap();
    SqliteTx::commit(first_home, witness("1")).await.unwrap();

    let (second, second_home) = SqliteTx::begin(&other, TxOptions::default()).await.unwrap();
    order(second).await.unwrap();
    let committed = SqliteTx::commit(second_home, witness("2")).await.unwrap();
    assert_eq!(
        committed,
        Committed::Before(Payload::from_stored("1".into()))
    );
    assert_eq!(shop.orders().await, 1);
}

/// The lock is ours since the begin, but a statement can still meet one: a checkpoint inside a
/// transaction is answered by `SQLITE_LOCKED`.
#[tokio::test]
async fn a_locked_database_is_noted_as_a_conflict() {
    let shop = Shop::open().await;
    sqlx::query("pragma journal_mode = wal")
        .execute(&shop.pool)
        .await
        .unwrap();
    let (mut tx, home) = shop.begin().await;
    assert!(!SqliteTx::conflict(&home));
    let locked = sqlx::query("pragma wal_checkpoint").execute(&mut tx).await;
    assert!(locked.is_err());
    assert!(SqliteTx::conflict(&home));
    drop(tx);
    SqliteTx::rollback(home).await;
}

#[tokio::test]
async fn an_error_of_the_code_is_no_conflict() {
    let shop = Shop::open().await;
    let (mut tx, home) = shop.begin().await;
    let wrong = sqlx::query("insert into nowhere values (1)")
        .execute(&mut tx)
        .await;
    assert!(wrong.is_err());
    assert!(!SqliteTx::conflict(&home));
    drop(tx);
    SqliteTx::rollback(home).await;
}

#[tokio::test]
async fn a_commit_by_hand_fails_and_leaves_nothing() {
    let shop = Shop::open().await;
    let (mut tx, home) = shop.begin().await;
    sqlx::query("insert into orders (item) values ('widget')")
        .execute(&mut tx)
        .await
        .unwrap();
    let error = sqlx::query("commit").execute(&mut tx).await.unwrap_err();
    assert!(
        error.to_string().contains("must not commit or roll back"),
        "{error}"
    );
    drop(tx);
    let error = SqliteTx::commit(home, witness("1")).await.unwrap_err();
    assert!(
        error.to_string().contains("must not commit or roll back"),
        "{error}"
    );
    assert_eq!(shop.orders().await, 0);
    assert_eq!(shop.witnessed().await, None);
}

/// Also by way of the connection itself.
#[tokio::test]
async fn a_commit_on_the_connection_fails_and_leaves_nothing() {
    let shop = Shop::open().await;
    let (mut tx, home) = shop.begin().await;
    sqlx::query("insert into orders (item) values ('widget')")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert!(sqlx::raw_sql("commit").execute(&mut *tx).await.is_err());
    drop(tx);
    assert!(SqliteTx::commit(home, witness("1")).await.is_err());
    assert_eq!(shop.orders().await, 0);
}

#[tokio::test]
async fn nothing_is_kept_after_a_rollback_by_hand() {
    let shop = Shop::open().await;
    let (mut tx, home) = shop.begin().await;
    sqlx::query("rollback").execute(&mut tx).await.unwrap();
    let error = sqlx::query("insert into orders (item) values ('widget')")
        .execute(&mut tx)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("must not commit or roll back"),
        "{error}"
    );
    drop(tx);
    assert!(SqliteTx::commit(home, witness("1")).await.is_err());
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
}

/// The connection of a transaction that was ended by hand serves the pool as before.
#[tokio::test]
async fn the_pool_goes_on_after_a_commit_by_hand() {
    let shop = Shop::open().await;
    for _ in 0..6 {
        let (mut tx, home) = shop.begin().await;
        assert!(sqlx::query("commit").execute(&mut tx).await.is_err());
        drop(tx);
        SqliteTx::rollback(home).await;
    }
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    assert_eq!(
        SqliteTx::commit(home, witness("1")).await.unwrap(),
        Committed::Now
    );
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn savepoints_of_the_code_are_its_own() {
    let shop = Shop::open().await;
    let (mut tx, home) = shop.begin().await;
    for sql in [
        "savepoint a",
        "insert into orders (item) values ('widget')",
        "rollback to a",
    ] {
        sqlx::query(sql).execute(&mut tx).await.unwrap();
    }
    {
        let mut nested = sqlx::Connection::begin(&mut *tx).await.unwrap();
        sqlx::query("insert into orders (item) values ('gadget')")
            .execute(&mut *nested)
            .await
            .unwrap();
        nested.commit().await.unwrap();
    }
    drop(tx);
    assert_eq!(
        SqliteTx::commit(home, witness("1")).await.unwrap(),
        Committed::Now
    );
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn a_transaction_that_is_still_in_use_is_not_committed() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    let error = SqliteTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.to_string().contains("still in use"), "{error}");
    drop(tx);
}

async fn begin_reading(pool: &SqlitePool) -> (SqliteTx, SqliteHome) {
    let options = TxOptions {
        isolation: Some(Isolation::ReadCommitted),
        read_only: true,
    };
    SqliteTx::begin(pool, options).await.unwrap()
}

async fn counted(tx: &mut SqliteTx) -> i64 {
    sqlx::query_scalar("select count(*) from orders")
        .fetch_one(tx)
        .await
        .unwrap()
}

/// It sees one moment, whatever it has asked for, and is in nobody's way.
#[tokio::test]
async fn what_only_reads_sees_one_moment_and_lets_others_write() {
    let shop = Shop::open().await;
    sqlx::query("pragma journal_mode = wal")
        .execute(&shop.pool)
        .await
        .unwrap();
    let (mut reading, home) = begin_reading(&shop.pool).await;
    assert_eq!(counted(&mut reading).await, 0);
    let other = shop.other().await;
    let (tx, writing) = SqliteTx::begin(&other, TxOptions::default()).await.unwrap();
    order(tx).await.unwrap();
    SqliteTx::commit(writing, witness("1")).await.unwrap();
    assert_eq!(counted(&mut reading).await, 0);
    drop(reading);
    SqliteTx::commit_plain(home).await.unwrap();
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn what_only_reads_keeps_nothing_that_it_writes() {
    let shop = Shop::open().await;
    for _ in 0..6 {
        let (tx, home) = begin_reading(&shop.pool).await;
        order(tx).await.unwrap();
        let error = SqliteTx::commit_plain(home).await.unwrap_err();
        assert!(error.is_misuse());
        assert!(error.to_string().contains("read-only"), "{error}");
        assert_eq!(shop.orders().await, 0);
    }
    // The same connections serve again.
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    SqliteTx::commit_plain(home).await.unwrap();
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn what_only_reads_cannot_be_ended_by_hand_either() {
    let shop = Shop::open().await;
    for end in ["commit", "rollback"] {
        for write in [false, true] {
            let (mut tx, home) = begin_reading(&shop.pool).await;
            assert_eq!(counted(&mut tx).await, 0);
            sqlx::query(end).execute(&mut tx).await.unwrap();
            if write {
                let wrote = sqlx::query("insert into orders (item) values ('widget')");
                assert!(wrote.execute(&mut tx).await.is_err());
            }
            drop(tx);
            let error = SqliteTx::commit_plain(home).await.unwrap_err();
            assert!(error.is_misuse(), "{error}");
            assert_eq!(shop.orders().await, 0);
        }
    }
    let (mut tx, home) = begin_reading(&shop.pool).await;
    assert_eq!(counted(&mut tx).await, 0);
    drop(tx);
    SqliteTx::commit_plain(home).await.unwrap();
}

#[tokio::test]
async fn what_only_reads_keeps_no_witness() {
    let shop = Shop::open().await;
    let (tx, home) = begin_reading(&shop.pool).await;
    drop(tx);
    let error = SqliteTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.to_string().contains("keeps no witness"), "{error}");
    assert_eq!(shop.witnessed().await, None);
}
