//! Lost connections, lost answers, missing rights.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use stepwell_core::{Committed, Tx, TxOptions};
use stepwell_postgres::PostgresTx;

use super::{Shop, connect, operation, order, payload, proxy::Proxy, witness};

async fn terminate(pool: &PgPool, backend: i32) {
    sqlx::query("select pg_terminate_backend($1, 5000)")
        .bind(backend)
        .execute(pool)
        .await
        .unwrap();
}

async fn backend(tx: &mut PostgresTx) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_connection_that_is_killed_while_the_code_runs_is_a_conflict() {
    let shop = Shop::open_with_table().await;
    let (mut tx, home) = shop.begin().await;
    let backend = backend(&mut tx).await;
    terminate(&shop.pool, backend).await;
    for _ in 0..2 {
        assert!(tx.execute("select 1").await.is_err());
        assert!(PostgresTx::conflict(&home));
    }
    drop(tx);
    PostgresTx::rollback(home).await;
    assert_eq!(shop.orders().await, 0, "the pool goes on");
}

#[tokio::test]
async fn a_connection_that_is_killed_before_the_commit_leaves_nothing() {
    let shop = Shop::open_with_table().await;
    let (mut tx, home) = shop.begin().await;
    let backend = backend(&mut tx).await;
    order(tx).await.unwrap();
    terminate(&shop.pool, backend).await;
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(!error.is_misuse(), "{error}");
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_has_left_its_witness() {
    let shop = Shop::open_with_table().await;
    let proxy = Proxy::before(&shop.url).await;
    let pool = connect(&proxy.url).await;
    let (tx, home) = PostgresTx::begin(&pool, TxOptions::default())
        .await
        .unwrap();
    order(tx).await.unwrap();
    proxy.lose_the_next_answer();
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(!error.is_misuse(), "{error}");
    assert_eq!(
        (shop.orders().await, shop.witnessed().await),
        (1, Some(payload("1")))
    );
}

/// The commit of the first run is still on its way when the second one looks for the witness.
#[tokio::test]
async fn a_commit_that_comes_late_still_counts() {
    let shop = Shop::open_with_table().await;
    let proxy = Proxy::before(&shop.url).await;
    let (tx, home) = PostgresTx::begin(&connect(&proxy.url).await, TxOptions::default())
        .await
        .unwrap();
    order(tx).await.unwrap();
    proxy.delay_the_next_commit();
    assert!(PostgresTx::commit(home, witness("1")).await.is_err());

    assert_eq!(shop.witnessed().await, None, "in doubt");
    let (tx, home) = shop.begin().await;
    order(tx).await.unwrap();
    let mut second = tokio::spawn(PostgresTx::commit(home, witness("2")));
    // It waits, for as long as it takes.
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waited.is_err());
    proxy.deliver();
    let committed = second.await.unwrap().unwrap();
    assert_eq!(committed, Committed::Before(payload("1")));
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn the_table_is_made_by_many_at_once() {
    for _ in 0..5 {
        let shop = Shop::open().await;
        let pools = join_all((0..8).map(|_| shop.other())).await;
        let operation = operation();
        let looked = pools
            .iter()
            .map(|pool| PostgresTx::witnessed(pool, &operation));
        for found in join_all(looked).await {
            assert_eq!(found.unwrap(), None);
        }
    }
}

/// The pool of a role that may use the orders, and a name for it.
async fn clerk(shop: &Shop) -> (PgPool, String) {
    let database: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    let role = format!("clerk_of_{database}");
    let make_role = format!(
        "create role {role} login password 'x';
         grant insert, select on orders to {role};
         grant usage on sequence orders_id_seq to {role}"
    );
    shop.pool.execute(AssertSqlSafe(make_role)).await.unwrap();
    let options = (*shop.pool.connect_options()).clone();
    let options = options.username(&role).password("x");
    (PgPool::connect_with(options).await.unwrap(), role)
}

async fn orders_once(shop: &Shop, pool: &PgPool) {
    let found = PostgresTx::witnessed(pool, &operation()).await.unwrap();
    assert_eq!(found, None);
    let (tx, home) = PostgresTx::begin(pool, TxOptions::default()).await.unwrap();
    order(tx).await.unwrap();
    let committed = PostgresTx::commit(home, witness("1")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.orders().await, 1);
}

/// The message holds the very statements that an administrator must run.
#[tokio::test]
async fn a_role_that_may_not_make_the_table_is_told_what_to_run() {
    let shop = Shop::open().await;
    let (clerk, _) = clerk(&shop).await;
    let error = PostgresTx::witnessed(&clerk, &operation())
        .await
        .unwrap_err();
    assert!(!error.is_misuse(), "it goes on when the table is there");
    let message = error.to_string();
    let (_, statements) = message.split_once("must run: ").unwrap();
    let statements = AssertSqlSafe(statements.to_owned());
    shop.pool.execute(statements).await.unwrap();
    orders_once(&shop, &clerk).await;
}

#[tokio::test]
async fn a_role_that_may_make_tables_in_the_schema_needs_no_more() {
    let shop = Shop::open().await;
    let (clerk, role) = clerk(&shop).await;
    let schema = format!("create schema stepwell authorization {role}");
    shop.pool.execute(AssertSqlSafe(schema)).await.unwrap();
    orders_once(&shop, &clerk).await;
}
