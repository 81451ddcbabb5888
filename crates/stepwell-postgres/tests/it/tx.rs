//! Transactions in the user's own database.

mod by_hand;
mod concurrency;
mod doubt;
mod engine;
mod enlist;
mod proxy;
mod shop;
mod trouble;

use stepwell_core::{Committed, Isolation, Operation, Payload, Position, Tx, TxOptions, Witness};
use stepwell_postgres::PostgresTx;

use shop::{Shop, connect};

fn operation() -> Operation {
    Operation {
        workflow: "order-1".to_owned(),
        position: Position::top(4).child(0),
    }
}

fn witness(output: &str) -> Witness {
    Witness {
        operation: operation(),
        output: payload(output),
    }
}

fn payload(json: &str) -> Payload {
    Payload::from_stored(json.to_owned())
}

/// What a user's code does. The transaction goes home at its end.
async fn order(mut tx: PostgresTx) -> Result<(), sqlx::Error> {
    sqlx::query("insert into orders (item) values ($1)")
        .bind("widget")
        .execute(&mut tx)
        .await?;
    let item: String = sqlx::query_scalar("select item from orders limit 1")
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
    let committed = PostgresTx::commit(home, witness("7")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.orders().await, 1);
    assert_eq!(shop.witnessed().await, Some(payload("7")));
}

/// The first transaction of a database finds no table. Nothing of it is kept; the engine then looks
/// for its witness, which makes the table, and runs the code again.
#[tokio::test]
async fn the_witness_table_is_made_where_it_is_missing() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    let error = PostgresTx::commit(home, witness("7")).await.unwrap_err();
    assert!(!error.is_misuse(), "{error}");
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));

    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    let committed = PostgresTx::commit(home, witness("7")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.witnessed().await, Some(payload("7")));
}

/// Exactly once: the second run's changes are undone, and the first one's output counts.
#[tokio::test]
async fn a_second_run_of_the_operation_changes_nothing() {
    let shop = Shop::open_with_table().await;
    for (output, expected) in [
        ("1", Committed::Now),
        ("2", Committed::Before(payload("1"))),
    ] {
        let (tx, home) = shop.begin().await;
        order(tx).await.unwrap();
        let committed = PostgresTx::commit(home, witness(output)).await.unwrap();
        assert_eq!(committed, expected);
    }
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn another_position_is_another_operation() {
    let shop = Shop::open_with_table().await;
    for position in [Position::top(1), Position::top(2)] {
        let (tx, home) = shop.begin().await;
        order(tx).await.unwrap();
        let mut witness = witness("1");
        witness.operation.position = position;
        let committed = PostgresTx::commit(home, witness).await.unwrap();
        assert_eq!(committed, Committed::Now);
    }
    assert_eq!(shop.orders().await, 2);
}

#[tokio::test]
async fn an_output_is_read_as_it_was_written() {
    let shop = Shop::open_with_table().await;
    let output = r#"{"a":"\u0000 'ä' \\ \" $1","b":[1.50,12345678901234567890]}"#;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    PostgresTx::commit(home, witness(output)).await.unwrap();
    assert_eq!(shop.witnessed().await, Some(payload(output)));
}

#[tokio::test]
async fn a_rollback_undoes_everything() {
    let shop = Shop::open_with_table().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    PostgresTx::rollback(home).await;
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
}

#[tokio::test]
async fn a_transaction_that_nobody_ends_is_undone() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    drop(home);
    // The same connections serve again, and commit what they are told.
    for _ in 0..20 {
        sqlx::query("insert into orders (item) values ('by hand')")
            .execute(&shop.pool)
            .await
            .unwrap();
    }
    assert_eq!(shop.orders().await, 20);
}

#[tokio::test]
async fn a_transaction_without_a_workflow_leaves_no_witness() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    PostgresTx::commit_plain(home).await.unwrap();
    assert_eq!((shop.orders().await, shop.witnessed().await), (1, None));
}

#[tokio::test]
async fn an_error_of_the_code_is_no_conflict() {
    let shop = Shop::open().await;
    let (mut tx, home) = shop.begin().await;
    let wrong = sqlx::query("insert into nowhere values (1)")
        .execute(&mut tx)
        .await;
    assert!(wrong.is_err());
    assert!(!PostgresTx::conflict(&home));
    drop(tx);
    PostgresTx::rollback(home).await;
}

#[tokio::test]
async fn a_transaction_that_is_still_in_use_is_not_committed() {
    let shop = Shop::open().await;
    let (tx, home) = shop.begin().await;
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.is_misuse());
    assert!(error.to_string().contains("still in use"), "{error}");
    drop(tx);
}

#[tokio::test]
async fn isolation_is_what_was_asked_for() {
    let shop = Shop::open().await;
    for (isolation, expected) in [
        (None, "read committed"),
        (Some(Isolation::ReadCommitted), "read committed"),
        (Some(Isolation::RepeatableRead), "repeatable read"),
        (Some(Isolation::Serializable), "serializable"),
    ] {
        let (mut tx, home) = shop
            .begin_with(TxOptions {
                isolation,
                read_only: false,
            })
            .await;
        let shown: String = sqlx::query_scalar("show transaction_isolation")
            .fetch_one(&mut tx)
            .await
            .unwrap();
        assert_eq!(shown, expected);
        drop(tx);
        PostgresTx::rollback(home).await;
    }
}

#[tokio::test]
async fn a_read_only_transaction_writes_nothing() {
    let shop = Shop::open().await;
    let read_only = TxOptions {
        read_only: true,
        ..TxOptions::default()
    };
    let (mut tx, home) = shop.begin_with(read_only).await;
    let count: i64 = sqlx::query_scalar("select count(*) from orders")
        .fetch_one(&mut tx)
        .await
        .unwrap();
    assert_eq!(count, 0);
    drop(tx);
    PostgresTx::commit_plain(home).await.unwrap();

    let (tx, home) = shop.begin_with(read_only).await;
    assert!(order(tx).await.is_err());
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.to_string().contains("keeps no witness"), "{error}");
}
