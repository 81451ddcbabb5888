//! What only Postgres does.

use stepwell::{AnyTx, Committed, Tx};

use crate::database::{Database, witness};

const INSERT: &str = "insert into orders (item) values ('widget')";

/// A hidden commit does happen; it is found out, and nothing more is kept.
#[tokio::test]
async fn a_hidden_commit_is_found_out() {
    let Some(db) = Database::postgres().await else {
        return;
    };
    for (hidden, kept) in [
        ("/* now */ commit", 1),
        ("select 1; commit", 2),
        ("/* and on */ commit; begin", 3),
        ("/* no */ rollback", 3),
    ] {
        let (mut tx, home) = db.begin().await;
        sqlx::query(INSERT).execute(&mut tx).await.unwrap();
        sqlx::raw_sql(hidden).execute(&mut tx).await.unwrap();
        drop(tx);
        let error = AnyTx::commit(home, witness("1")).await.unwrap_err();
        assert!(error.is_misuse(), "{error}");
        assert_eq!((db.orders().await, db.witnessed().await), (kept, None));
    }
}

/// What was undone by a failed statement is not taken for committed.
#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_refused() {
    let Some(db) = Database::postgres().await else {
        return;
    };
    let (mut tx, home) = db.begin().await;
    sqlx::query(INSERT).execute(&mut tx).await.unwrap();
    sqlx::query("select 1/0").execute(&mut tx).await.ok();
    drop(tx);
    let error = AnyTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.to_string().contains("a statement"), "{error}");
    assert_eq!(db.orders().await, 0);
}

#[tokio::test]
async fn a_killed_connection_is_a_conflict() {
    let Some(db) = Database::postgres().await else {
        return;
    };
    let (mut tx, home) = db.begin().await;
    let killed = sqlx::query("select pg_terminate_backend(pg_backend_pid())")
        .execute(&mut tx)
        .await;
    assert!(killed.is_err());
    assert!(AnyTx::conflict(&home));
    drop(tx);
    AnyTx::rollback(home).await;
}

#[tokio::test]
async fn savepoints_are_at_hand() {
    let Some(db) = Database::postgres().await else {
        return;
    };
    let (mut tx, home) = db.begin().await;
    if let AnyTx::Postgres(tx) = &mut tx {
        let mut part = tx.begin().await.unwrap();
        sqlx::query(INSERT).execute(&mut part).await.unwrap();
        part.rollback().await.unwrap();
    }
    sqlx::query(INSERT).execute(&mut tx).await.unwrap();
    drop(tx);
    let committed = AnyTx::commit(home, witness("1")).await.unwrap();
    assert_eq!((committed, db.orders().await), (Committed::Now, 1));
}

/// The table is not there yet: the database may be used by a role that cannot make it.
#[tokio::test]
async fn whoever_may_not_make_the_table_is_told_what_to_do() {
    let Some(db) = Database::postgres().await else {
        return;
    };
    let role = "clerk_without_rights";
    db.pool
        .execute_script(
            "drop schema stepwell cascade;
             do $$ begin create role clerk_without_rights login;
             exception when duplicate_object or unique_violation then null; end $$;",
        )
        .await
        .unwrap();
    let clerk = db.url.replace("postgres@", &format!("{role}@"));
    assert_ne!(clerk, db.url, "the tests connect as `postgres`");
    let clerk = stepwell::AnyPool::connect(&clerk).await.unwrap();
    let error = AnyTx::make_witness_table(&clerk).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("an administrator") && said.contains(role),
        "{said}"
    );
    clerk.close().await;
}
