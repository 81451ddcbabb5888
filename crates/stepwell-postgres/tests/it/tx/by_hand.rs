//! Nobody but Stepwell ends the transaction.

use sqlx::Connection;
use stepwell_core::{Committed, Tx};
use stepwell_postgres::PostgresTx;

use super::{Shop, payload, witness};

const INSERT: &str = "insert into orders (item) values ('widget')";

#[tokio::test]
async fn a_commit_by_hand_is_refused_and_leaves_nothing() {
    let shop = Shop::open_with_table().await;
    for sql in [
        "commit",
        "end",
        "rollback",
        "abort",
        "prepare transaction 'x'",
    ] {
        let (mut tx, home) = shop.begin().await;
        sqlx::query(INSERT).execute(&mut tx).await.unwrap();
        let error = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        assert!(
            error.to_string().contains("must not commit or roll back"),
            "{error}"
        );
        drop(tx);
        let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
        assert!(error.is_misuse(), "{error}");
        assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
    }
}

/// Postgres has no commit hooks: what is hidden does happen, and is told.
#[tokio::test]
async fn a_hidden_commit_is_found_out() {
    let shop = Shop::open_with_table().await;
    for (hidden, kept) in [
        ("/* now */ commit", 1),
        ("select 1; commit", 2),
        ("/* and on */ commit; begin", 3),
        ("/* and on */ commit and chain", 4),
        ("/* no */ rollback", 4),
        ("/* no */ rollback and chain", 4),
    ] {
        let (mut tx, home) = shop.begin().await;
        sqlx::query(INSERT).execute(&mut tx).await.unwrap();
        sqlx::raw_sql(hidden).execute(&mut tx).await.unwrap();
        drop(tx);
        let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
        assert!(error.is_misuse(), "{error}");
        assert!(
            error.to_string().contains("must not commit or roll back"),
            "{error}"
        );
        assert_eq!((shop.orders().await, shop.witnessed().await), (kept, None));
    }
}

#[tokio::test]
async fn a_commit_on_the_bare_connection_is_found_out() {
    let shop = Shop::open_with_table().await;
    let (mut tx, home) = shop.begin().await;
    sqlx::raw_sql("commit").execute(&mut **tx).await.unwrap();
    // This would commit by itself.
    sqlx::query(INSERT).execute(&mut tx).await.unwrap();
    drop(tx);
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
    assert_eq!(shop.witnessed().await, None);

    let (mut tx, home) = shop.begin().await;
    sqlx::raw_sql("commit").execute(&mut **tx).await.unwrap();
    drop(tx);
    let error = PostgresTx::commit_plain(home).await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
}

/// The connection of a transaction that was ended by hand serves the pool as before.
#[tokio::test]
async fn the_pool_goes_on_after_a_commit_by_hand() {
    let shop = Shop::open_with_table().await;
    for sql in ["commit", "/**/ commit", "/**/ commit; begin", "selec"] {
        for _ in 0..6 {
            let (mut tx, home) = shop.begin().await;
            let _ = sqlx::raw_sql(sql).execute(&mut tx).await;
            drop(tx);
            PostgresTx::rollback(home).await;
        }
    }
    let (tx, home) = shop.begin().await;
    super::order(tx).await.unwrap();
    let committed = PostgresTx::commit(home, witness("1")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.orders().await, 1);
}

#[tokio::test]
async fn savepoints_of_the_code_are_its_own() {
    let shop = Shop::open_with_table().await;
    let (mut tx, home) = shop.begin().await;
    for sql in ["savepoint a", INSERT, "rollback to a"] {
        sqlx::query(sql).execute(&mut tx).await.unwrap();
    }
    let mut kept = tx.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut kept).await.unwrap();
    let mut dropped = kept.begin().await.unwrap();
    sqlx::query(INSERT).execute(&mut dropped).await.unwrap();
    drop(dropped);
    kept.commit().await.unwrap();
    {
        let mut of_sqlx = Connection::begin(&mut **tx).await.unwrap();
        sqlx::query(INSERT).execute(&mut *of_sqlx).await.unwrap();
        of_sqlx.commit().await.unwrap();
    }
    drop(tx);
    let committed = PostgresTx::commit(home, witness("1")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.orders().await, 2);
}

#[tokio::test]
async fn what_fails_in_a_savepoint_can_be_done_without() {
    let shop = Shop::open_with_table().await;
    let (mut tx, home) = shop.begin().await;
    sqlx::query(INSERT).execute(&mut tx).await.unwrap();
    let mut part = tx.begin().await.unwrap();
    assert!(sqlx::query("select 1/0").execute(&mut part).await.is_err());
    part.rollback().await.unwrap();
    drop(tx);
    let committed = PostgresTx::commit(home, witness("1")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.orders().await, 1);
}

/// Postgres answers the commit of a failed transaction with success, and has undone everything.
#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_taken_for_committed() {
    let shop = Shop::open_with_table().await;
    for plain in [false, true] {
        let (mut tx, home) = shop.begin().await;
        sqlx::query(INSERT).execute(&mut tx).await.unwrap();
        sqlx::query("select 1/0").execute(&mut tx).await.ok();
        drop(tx);
        let error = if plain {
            PostgresTx::commit_plain(home).await.unwrap_err()
        } else {
            PostgresTx::commit(home, witness("1")).await.unwrap_err()
        };
        assert!(error.is_misuse(), "{error}");
        assert!(error.to_string().contains("a statement"), "{error}");
        assert_eq!(shop.orders().await, 0);
    }
}

/// sqlx ends the whole transaction when a savepoint cannot be begun in it.
#[tokio::test]
async fn nothing_runs_after_a_savepoint_that_could_not_be_begun() {
    let shop = Shop::open_with_table().await;
    let (mut tx, home) = shop.begin().await;
    sqlx::query("select 1/0").execute(&mut tx).await.ok();
    assert!(tx.begin().await.is_err());
    let error = sqlx::query(INSERT).execute(&mut tx).await.unwrap_err();
    assert!(error.to_string().contains("is over"), "{error}");
    drop(tx);
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
}

#[tokio::test]
async fn a_check_that_fails_at_the_commit_is_not_tried_for_ever() {
    let shop = Shop::open_with_table().await;
    sqlx::raw_sql(
        "alter table orders add parent bigint references orders deferrable initially deferred",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
    let (mut tx, home) = shop.begin().await;
    sqlx::query("insert into orders (parent) values (99)")
        .execute(&mut tx)
        .await
        .unwrap();
    drop(tx);
    let error = PostgresTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
    assert!(error.to_string().contains("orders_parent_fkey"), "{error}");
    assert_eq!((shop.orders().await, shop.witnessed().await), (0, None));
}

/// A tenant's code looks elsewhere for its tables; the witness stays where it is looked for.
#[tokio::test]
async fn a_search_path_of_the_code_does_not_hide_the_witness() {
    let shop = Shop::open_with_table().await;
    sqlx::raw_sql("create schema tenant; create table tenant.orders (like public.orders)")
        .execute(&shop.pool)
        .await
        .unwrap();
    let (mut tx, home) = shop.begin().await;
    for sql in [
        "set local search_path = tenant",
        "insert into orders values (1, 'x')",
    ] {
        sqlx::query(sql).execute(&mut tx).await.unwrap();
    }
    drop(tx);
    let committed = PostgresTx::commit(home, witness("1")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(shop.witnessed().await, Some(payload("1")));
}
