//! Orders are written once, whatever is lost on the way.

#![allow(
    clippy::unwrap_used,
    reason = "what a test expects and does not get ends the test"
)]

mod database;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use diesel::sql_query;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use diesel_orders::{
    orders::{self, Shop, enter, sell},
    tx::{DieselTx, Pool, pool},
};
use stepwell::{Ctx, Failure, Topic, WorkflowError, testing::Harness, workflow};
use stepwell_conformance::{Losing, LosingSource};

use database::Database;

#[derive(stepwell::State)]
struct Books {
    #[provide]
    db: Pool,
    #[provide]
    losing: LosingSource<DieselTx>,
    runs: AtomicU32,
}

/// The application on a database of its own.
async fn open(database: &Database) -> Harness<Books> {
    let db = pool(&database.url).unwrap();
    orders::make_table(&db).await.unwrap();
    let placed = "create table placed (id text primary key)";
    let mut connection = db.get().await.unwrap();
    connection.batch_execute(placed).await.unwrap();
    drop(connection);
    Harness::new(Books {
        losing: LosingSource::new(db.clone(), 1),
        db,
        runs: AtomicU32::new(0),
    })
    .await
}

const GO: Topic<u32> = Topic::new("go");

#[workflow]
async fn loses_an_answer(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    ctx.tx("enter", async |mut tx: Losing<DieselTx>| {
        enter::plain(&mut tx.0, "once").await
    })
    .await
}

#[workflow]
async fn waits(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    let orders = ctx.run(enter("order")).await?;
    ctx.recv(GO).await;
    Ok(orders)
}

/// Fails where it has been.
const PLACE: &str = "insert into placed values ('order')";

#[workflow]
async fn places_and_waits(ctx: &mut Ctx<Books>) -> stepwell::Result<u32> {
    let placed = ctx.tx("place", async |mut tx: Losing<DieselTx>| {
        sql_query(PLACE).execute(&mut *tx.0).await?;
        Ok(1)
    });
    let placed = placed.await?;
    ctx.recv(GO).await;
    Ok(placed)
}

#[workflow]
async fn declines(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    ctx.recv(GO).await;
    ctx.tx("decline", async |mut tx: DieselTx| {
        sql_query(PLACE).execute(&mut *tx).await?;
        Err(Failure::msg("declined"))
    })
    .await
}

/// Runs one statement more, and hides what came of it.
#[workflow]
async fn goes_on(ctx: &mut Ctx<Books>, sql: String) -> stepwell::Result<()> {
    let books = ctx.state();
    ctx.tx("goes on", async |mut tx: DieselTx| {
        enter::plain(&mut tx, "one").await?;
        if books.runs.fetch_add(1, SeqCst) == 0 {
            sql_query(&sql).execute(&mut *tx).await.ok();
        }
        Ok(())
    })
    .await
}

#[workflow]
async fn commits_by_hand(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    ctx.tx("commits", async |mut tx: DieselTx| {
        tx.batch_execute("commit; begin").await?;
        enter::plain(&mut tx, "too late").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_workflow_sells_once() {
    let Some(database) = Database::make() else {
        return;
    };
    let db = pool(&database.url).unwrap();
    orders::make_table(&db).await.unwrap();
    let test = Harness::new(Shop { db }).await;
    for _ in 0..2 {
        let sold = test.app.run(sell("widget".to_owned()).id("s")).await;
        assert_eq!(sold.unwrap(), 1);
    }
    assert_eq!(database.orders().await, 1);
}

#[tokio::test]
async fn a_lost_answer_is_not_a_second_order() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    assert_eq!(test.app.run(loses_an_answer()).await.unwrap(), 1);
    assert_eq!(test.app.state().losing.left(), 0, "it was lost");
    assert_eq!(database.orders().await, 1);
}

/// The record of a transaction rides with a later batch, and is lost here; its witness is not.
#[tokio::test]
async fn a_crash_after_the_commit_is_not_a_second_order() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    let handle = test.app.start(waits().id("w")).await.unwrap();
    while database.orders().await == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    assert_eq!(database.orders().await, 1);
}

/// The answer to its commit is lost, then its process, and it cannot run twice.
#[tokio::test]
async fn what_cannot_run_twice_is_placed_once() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    let handle = test.app.start(places_and_waits()).await.unwrap();
    while database.placed().await == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
}

/// It was taken over, so another run of it may still be on its way: its failure leaves a witness.
#[tokio::test]
async fn a_failure_in_doubt_is_the_result() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    let handle = test.app.start(declines().id("d")).await.unwrap();
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    let error = handle.result().await.unwrap_err();
    assert_eq!(error.to_string(), "declined");
    assert_eq!(database.witnesses().await, 1);
}

#[tokio::test]
async fn a_killed_connection_is_run_again() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    let kill = "select pg_terminate_backend(pg_backend_pid())".to_owned();
    test.app.run(goes_on(kill)).await.unwrap();
    // Once more if it was the first transaction: it found no table for its witness.
    assert!(test.app.state().runs.fetch_add(0, SeqCst) >= 2);
    assert_eq!(database.orders().await, 1);
}

#[tokio::test]
async fn a_mistake_that_is_hidden_is_told() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    let run = test.app.run(goes_on("select 1/0".to_owned())).await;
    let Err(WorkflowError::Stuck(reason)) = run else {
        panic!("the workflow is not stuck: {run:?}");
    };
    assert!(
        reason.contains("a statement of the transaction failed"),
        "{reason}"
    );
    assert_eq!(database.orders().await, 0);
}

#[tokio::test]
async fn a_commit_by_hand_is_found_out() {
    let Some(database) = Database::make() else {
        return;
    };
    let test = open(&database).await;
    let run = test.app.run(commits_by_hand()).await;
    let Err(WorkflowError::Stuck(reason)) = run else {
        panic!("the workflow is not stuck: {run:?}");
    };
    assert!(reason.contains("must not commit or roll back"), "{reason}");
    assert_eq!(database.orders().await, 0);
}
