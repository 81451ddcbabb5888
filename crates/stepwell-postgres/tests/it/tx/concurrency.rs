//! Several transactions at once.

use futures_util::future::join_all;
use sqlx::{Executor, PgPool};
use stepwell_core::{Committed, Isolation, Payload, Tx, TxOptions};
use stepwell_postgres::PostgresTx;

use super::{Shop, connect, operation, order, payload, witness};

/// A stalled executor and its successor both do the work.
#[tokio::test]
async fn of_two_runs_of_one_operation_one_counts() {
    let shop = Shop::open_with_table().await;
    let (first, first_home) = shop.begin().await;
    let (second, second_home) = PostgresTx::begin(&shop.other().await, TxOptions::default())
        .await
        .unwrap();
    order(first).await.unwrap();
    order(second).await.unwrap();
    let committed = PostgresTx::commit(first_home, witness("1")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    let committed = PostgresTx::commit(second_home, witness("2")).await.unwrap();
    assert_eq!(committed, Committed::Before(payload("1")));
    assert_eq!(shop.orders().await, 1);
}

/// Runs the operation as the engine does: again after a conflict, unless there is a witness.
async fn run(pool: &PgPool, isolation: Isolation, output: &str) -> Payload {
    let options = TxOptions {
        isolation: Some(isolation),
        ..TxOptions::default()
    };
    loop {
        let (tx, home) = PostgresTx::begin(pool, options).await.unwrap();
        if order(tx).await.is_err() {
            assert!(PostgresTx::conflict(&home));
            PostgresTx::rollback(home).await;
            continue;
        }
        match PostgresTx::commit(home, witness(output)).await {
            Ok(Committed::Now) => return payload(output),
            Ok(Committed::Before(output)) => return output,
            Err(error) => assert!(!error.is_misuse(), "{error}"),
        }
        if let Some(output) = PostgresTx::witnessed(pool, &operation()).await.unwrap() {
            return output;
        }
    }
}

#[tokio::test]
async fn of_many_runs_at_once_one_counts_at_every_isolation() {
    use Isolation::{ReadCommitted, RepeatableRead, Serializable};
    for isolation in [ReadCommitted, RepeatableRead, Serializable] {
        let shop = Shop::open_with_table().await;
        let pool = connect(&shop.url).await;
        let outputs: Vec<String> = (0..8).map(|i| i.to_string()).collect();
        let ran = join_all(outputs.iter().map(|output| run(&pool, isolation, output))).await;
        assert_eq!(shop.orders().await, 1, "{isolation:?}");
        let counts = shop.witnessed().await.unwrap();
        assert_eq!(ran, vec![counts; 8], "{isolation:?}");
    }
}

#[tokio::test]
async fn a_serialisation_failure_is_noted_as_a_conflict() {
    let shop = Shop::open().await;
    shop.pool
        .execute("insert into orders (item) values ('x')")
        .await
        .unwrap();
    let options = TxOptions {
        isolation: Some(Isolation::RepeatableRead),
        ..TxOptions::default()
    };
    let (mut tx, home) = shop.begin_with(options).await;
    tx.execute("select 1 from orders").await.unwrap();
    shop.pool
        .execute("update orders set item = 'y'")
        .await
        .unwrap();
    // In a savepoint too.
    let mut part = tx.begin().await.unwrap();
    assert!(!PostgresTx::conflict(&home));
    assert!(part.execute("update orders set item = 'z'").await.is_err());
    assert!(PostgresTx::conflict(&home));
    drop(part);
    drop(tx);
    PostgresTx::rollback(home).await;
}

#[tokio::test]
async fn a_conflict_that_the_code_swallows_is_no_misuse() {
    let shop = Shop::open_with_table().await;
    shop.pool
        .execute("insert into orders (item) values ('x')")
        .await
        .unwrap();
    let (mut holder, holders_home) = shop.begin().await;
    holder
        .execute("select 1 from orders for update")
        .await
        .unwrap();
    let (mut tx, home) = shop.begin().await;
    let locked = tx.execute("select 1 from orders for update nowait").await;
    assert!(locked.is_err());
    drop(tx);
    assert!(PostgresTx::conflict(&home));
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(!error.is_misuse(), "{error}");
    drop(holder);
    PostgresTx::rollback(holders_home).await;
}

/// Two that each read what the other writes: one of them is told when it is to be committed.
#[tokio::test]
async fn a_serialisation_failure_at_the_end_is_tried_again() {
    let shop = Shop::open_with_table().await;
    let options = TxOptions {
        isolation: Some(Isolation::Serializable),
        ..TxOptions::default()
    };
    let (mut one, first) = shop.begin_with(options).await;
    let (mut two, second) = shop.begin_with(options).await;
    let sql = "insert into orders (item) select count(*)::text from orders";
    one.execute(sql).await.unwrap();
    two.execute(sql).await.unwrap();
    drop((one, two));
    PostgresTx::commit_plain(first).await.unwrap();
    let error = PostgresTx::commit(second, witness("2")).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn a_conflict_at_the_very_commit_is_tried_again() {
    let shop = Shop::open_with_table().await;
    let at_the_commit = "
        create function too_late() returns trigger language plpgsql as
            $$ begin raise exception 'too late' using errcode = '40001'; end $$;
        create constraint trigger too_late after insert on orders deferrable initially deferred
            for each row execute function too_late()";
    shop.pool.execute(at_the_commit).await.unwrap();
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
}
