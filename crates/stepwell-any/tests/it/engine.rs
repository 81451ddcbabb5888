//! Workflows whose transactions are in the one or the other database, one program for both.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use stepwell::{
    AnyPool, AnyTx, Ctx, Topic, WorkflowError, testing::Harness, transaction, workflow,
};
use stepwell_conformance::{Losing, LosingSource};

use crate::{database::Database, on_both};

on_both!(
    workflows_write_once,
    a_lost_answer_is_not_a_second_order,
    a_crash_after_the_commit_is_not_a_second_order,
    an_id_that_is_used_again_is_another_order,
    two_databases_of_workflows_write_to_one_database,
    an_error_undoes_the_transaction,
    a_conflict_is_run_again,
    code_that_commits_by_hand_is_told_so_and_leaves_nothing,
);

#[derive(stepwell::State)]
struct Books {
    #[provide]
    db: AnyPool,
    #[provide]
    losing: LosingSource<AnyTx>,
    runs: AtomicU32,
}

impl Books {
    fn new(db: &Database) -> Self {
        Self {
            db: db.pool.clone(),
            losing: LosingSource::new(db.pool.clone(), 1),
            runs: AtomicU32::new(0),
        }
    }
}

#[transaction]
async fn enter(tx: &mut AnyTx, item: &str) -> stepwell::Result<i64> {
    sqlx::query("insert into orders (item) values ($1)")
        .bind(item)
        .execute(&mut *tx)
        .await?;
    Ok(sqlx::query_scalar("select count(*) from orders")
        .fetch_one(tx)
        .await?)
}

#[transaction]
async fn enter_and_fail(tx: &mut AnyTx) -> stepwell::Result<()> {
    enter::plain(tx, "nothing").await?;
    stepwell::bail!("the books are closed");
}

#[transaction]
async fn commits_by_hand(tx: &mut AnyTx) -> stepwell::Result<()> {
    enter::plain(tx, "nothing").await?;
    sqlx::query("commit").execute(tx).await.ok();
    Ok(())
}

const GO: Topic<u32> = Topic::new("go");

#[workflow]
async fn bookkeeping(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    ctx.run(enter("first")).await?;
    ctx.run(enter("second")).await
}

#[workflow]
async fn waits(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    let orders = ctx.run(enter("order")).await?;
    ctx.recv(GO).await;
    Ok(orders)
}

#[workflow]
async fn fails(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    ctx.run(enter_and_fail()).await
}

#[workflow]
async fn sloppy(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    ctx.run(commits_by_hand()).await
}

/// Meets trouble with the database in its first run, and hides it.
#[workflow]
async fn meets_trouble(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    let books = ctx.state();
    ctx.tx("meets trouble", async |mut tx: AnyTx| {
        enter::plain(&mut tx, "one").await?;
        if books.runs.fetch_add(1, SeqCst) == 0 {
            let trouble = match &tx {
                AnyTx::Sqlite(_) => "pragma wal_checkpoint",
                AnyTx::Postgres(_) => "select pg_terminate_backend(pg_backend_pid())",
            };
            let met = sqlx::query(trouble).execute(&mut tx).await;
            met.map_err(|_| stepwell::Failure::msg("the shop is closed"))?;
        }
        Ok(())
    })
    .await
}

#[workflow]
async fn loses_an_answer(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    ctx.tx("enter", async |mut tx: Losing<AnyTx>| {
        enter::plain(&mut tx.0, "once").await
    })
    .await
}

async fn workflows_write_once(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    for _ in 0..2 {
        assert_eq!(test.app.run(bookkeeping().id("b")).await.unwrap(), 2);
    }
    assert_eq!(db.orders().await, 2);
}

async fn a_lost_answer_is_not_a_second_order(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    assert_eq!(test.app.run(loses_an_answer()).await.unwrap(), 1);
    let books = test.app.state();
    assert_eq!(books.losing.left(), 0, "it was lost");
    assert_eq!(db.orders().await, 1);
}

/// The record of a transaction rides with a later batch, and is lost here; its witness is not.
async fn a_crash_after_the_commit_is_not_a_second_order(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    let handle = test.app.start(waits().id("w")).await.unwrap();
    while db.orders().await == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    assert_eq!(db.orders().await, 1);
}

/// Somebody deletes a workflow to have its work done again.
async fn an_id_that_is_used_again_is_another_order(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    for orders in [2, 4] {
        assert_eq!(test.app.run(bookkeeping().id("b")).await.unwrap(), orders);
        test.app.client().delete("b").await.unwrap();
    }
    assert_eq!(db.orders().await, 4);
}

/// Two applications, or staging and production: each has a workflow of this id.
async fn two_databases_of_workflows_write_to_one_database(db: &Database) {
    let (one, other) = (
        Harness::new(Books::new(db)).await,
        Harness::new(Books::new(db)).await,
    );
    for (test, orders) in [(&one, 2), (&other, 4)] {
        assert_eq!(test.app.run(bookkeeping().id("b")).await.unwrap(), orders);
    }
    assert_eq!(db.orders().await, 4);
}

async fn an_error_undoes_the_transaction(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    let Err(WorkflowError::Failed(error)) = test.app.run(fails()).await else {
        panic!("the workflow has not failed");
    };
    assert_eq!(error.to_string(), "the books are closed");
    assert_eq!(db.orders().await, 0);
}

async fn a_conflict_is_run_again(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    test.app.run(meets_trouble()).await.unwrap();
    assert_eq!(db.orders().await, 1);
    assert_eq!(test.app.state().runs.load(SeqCst), 2);
}

async fn code_that_commits_by_hand_is_told_so_and_leaves_nothing(db: &Database) {
    let test = Harness::new(Books::new(db)).await;
    let Err(WorkflowError::Stuck(reason)) = test.app.run(sloppy()).await else {
        panic!("the workflow is not stuck");
    };
    assert!(reason.contains("must not commit or roll back"), "{reason}");
    assert_eq!(db.orders().await, 0);
}
