//! The transaction by itself: what is kept, and what is refused.

use stepwell::{AnyTx, Committed, Tx};

use crate::{
    database::{Database, order, payload, witness},
    on_both,
};

on_both!(
    a_change_and_its_witness_are_committed_together,
    a_second_run_of_the_operation_changes_nothing,
    a_rollback_undoes_everything,
    a_transaction_that_nobody_ends_is_undone,
    a_transaction_without_a_workflow_leaves_no_witness,
    an_error_of_the_code_is_no_conflict,
    a_commit_by_hand_is_refused_and_leaves_nothing,
    a_transaction_that_is_still_in_use_is_not_committed,
);

async fn a_change_and_its_witness_are_committed_together(db: &Database) {
    assert_eq!(db.witnessed().await, None);
    let (tx, home) = db.begin().await;
    order(tx).await.unwrap();
    assert_eq!(db.orders().await, 0, "not yet");
    let committed = AnyTx::commit(home, witness("7")).await.unwrap();
    assert_eq!(committed, Committed::Now);
    assert_eq!(db.orders().await, 1);
    assert_eq!(db.witnessed().await, Some(payload("7")));
}

/// Exactly once: the second run's changes are undone, and the first one's output counts.
async fn a_second_run_of_the_operation_changes_nothing(db: &Database) {
    for (output, expected) in [
        ("1", Committed::Now),
        ("2", Committed::Before(payload("1"))),
    ] {
        let (tx, home) = db.begin().await;
        order(tx).await.unwrap();
        let committed = AnyTx::commit(home, witness(output)).await.unwrap();
        assert_eq!(committed, expected);
    }
    assert_eq!(db.orders().await, 1);
}

async fn a_rollback_undoes_everything(db: &Database) {
    let (tx, home) = db.begin().await;
    order(tx).await.unwrap();
    AnyTx::rollback(home).await;
    assert_eq!((db.orders().await, db.witnessed().await), (0, None));
}

async fn a_transaction_that_nobody_ends_is_undone(db: &Database) {
    let (tx, home) = db.begin().await;
    order(tx).await.unwrap();
    drop(home);
    // The same connections serve again, and commit what they are told.
    for _ in 0..12 {
        sqlx::query("insert into orders (item) values ('by hand')")
            .execute(&db.pool)
            .await
            .unwrap();
    }
    assert_eq!(db.orders().await, 12);
}

async fn a_transaction_without_a_workflow_leaves_no_witness(db: &Database) {
    let (tx, home) = db.begin().await;
    order(tx).await.unwrap();
    AnyTx::commit_plain(home).await.unwrap();
    assert_eq!((db.orders().await, db.witnessed().await), (1, None));
}

async fn an_error_of_the_code_is_no_conflict(db: &Database) {
    let (mut tx, home) = db.begin().await;
    let wrong = sqlx::query("insert into nowhere values (1)")
        .execute(&mut tx)
        .await;
    assert!(wrong.is_err());
    assert!(!AnyTx::conflict(&home));
    drop(tx);
    AnyTx::rollback(home).await;
}

async fn a_commit_by_hand_is_refused_and_leaves_nothing(db: &Database) {
    for sql in ["commit", "end", "rollback"] {
        let (mut tx, home) = db.begin().await;
        sqlx::query("insert into orders (item) values ('widget')")
            .execute(&mut tx)
            .await
            .unwrap();
        // SQLite lets a rollback happen, and refuses what comes after it.
        let ended = sqlx::query(sql).execute(&mut tx).await;
        let after = sqlx::query("insert into orders (item) values ('after')")
            .execute(&mut tx)
            .await;
        let refused = if sql == "rollback" {
            ended.and(after)
        } else {
            ended
        };
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("must not commit or roll back"),
            "{refused}"
        );
        drop(tx);
        let error = AnyTx::commit(home, witness("1")).await.unwrap_err();
        assert!(error.is_misuse(), "{error}");
        assert_eq!((db.orders().await, db.witnessed().await), (0, None));
    }
}

async fn a_transaction_that_is_still_in_use_is_not_committed(db: &Database) {
    let (tx, home) = db.begin().await;
    let error = AnyTx::commit(home, witness("1")).await.unwrap_err();
    assert!(error.is_misuse());
    assert!(error.to_string().contains("still in use"), "{error}");
    drop(tx);
}
