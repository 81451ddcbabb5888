//! Transactions that cannot run twice, and those that a time limit or another one races: what the
//! workflow is told is what has happened.

use std::time::Duration;

use futures_util::future::join_all;
use stepwell::{AnyPool, AnyTx, Ctx, Failure, Topic, testing::Harness, transaction, workflow};
use stepwell_conformance::{Losing, LosingSource};

use crate::{database::Database, on_both};

on_both!(
    a_crash_after_the_commit_is_no_failure_of_what_cannot_run_twice,
    a_lost_answer_is_no_failure_of_what_cannot_run_twice,
    a_failure_in_doubt_leaves_its_witness,
    of_two_transactions_that_race_one_is_committed,
    a_time_limit_says_what_has_happened,
);

#[derive(stepwell::State)]
struct Books {
    #[provide]
    db: AnyPool,
    #[provide]
    losing: LosingSource<AnyTx>,
}

const GO: Topic<u32> = Topic::new("go");

/// Fails where it has been.
#[transaction]
async fn place(tx: &mut AnyTx, id: &str) -> stepwell::Result<i64> {
    let placed = sqlx::query("insert into placed (id) values ($1)").bind(id);
    placed.execute(tx).await?;
    Ok(1)
}

#[workflow]
async fn places_and_waits(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    let placed = ctx.run(place("order")).await?;
    ctx.recv(GO).await;
    Ok(placed)
}

#[workflow(name = "loses_an_answer_in_doubt")]
async fn loses_an_answer(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    ctx.tx("place", async |mut tx: Losing<AnyTx>| {
        place::plain(&mut tx.0, "order").await
    })
    .await
}

#[workflow]
async fn declines(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    ctx.recv(GO).await;
    ctx.tx("decline", async |mut tx: AnyTx| {
        place::plain(&mut tx, "order").await?;
        Err(Failure::msg("declined"))
    })
    .await
}

#[workflow]
async fn either(ctx: &mut Ctx<Books>) -> stepwell::Result<String> {
    let placed: stepwell::Result<&str> = stepwell::select!(ctx,
        placed = place("one") => placed.map(|_| "one"),
        placed = place("other") => placed.map(|_| "other"));
    Ok(placed?.to_owned())
}

#[workflow]
async fn limited(ctx: &mut Ctx<Books>, id: String, micros: u64) -> stepwell::Result<Option<i64>> {
    let limit = Duration::from_micros(micros);
    ctx.run(place(&id)).timeout(limit).await.transpose()
}

async fn open(db: &Database) -> Harness<Books> {
    let table = "create table placed (id text primary key)";
    db.pool.execute_script(table).await.unwrap();
    Harness::new(Books {
        db: db.pool.clone(),
        losing: LosingSource::new(db.pool.clone(), 1),
    })
    .await
}

async fn placed(db: &Database) -> Vec<String> {
    sqlx::query_scalar("select id from placed order by id")
        .fetch_all(&db.pool)
        .await
        .unwrap()
}

async fn a_crash_after_the_commit_is_no_failure_of_what_cannot_run_twice(db: &Database) {
    let test = open(db).await;
    let handle = test.app.start(places_and_waits()).await.unwrap();
    while placed(db).await.is_empty() {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
}

async fn a_lost_answer_is_no_failure_of_what_cannot_run_twice(db: &Database) {
    let test = open(db).await;
    assert_eq!(test.app.run(loses_an_answer()).await.unwrap(), 1);
    assert_eq!(test.app.state().losing.left(), 0, "it was lost");
    assert_eq!(placed(db).await, ["order"]);
}

/// It was taken over, so another run of it may still be on its way to its commit.
async fn a_failure_in_doubt_leaves_its_witness(db: &Database) {
    let test = open(db).await;
    let handle = test.app.start(declines().id("d")).await.unwrap();
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    let error = handle.result().await.unwrap_err();
    assert_eq!(error.to_string(), "declined");
    let table = match db.pool {
        AnyPool::Sqlite(_) => "select output from stepwell_witness",
        AnyPool::Postgres(_) => "select output from stepwell.witness",
    };
    let left: Vec<String> = sqlx::query_scalar(table).fetch_all(&db.pool).await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains(r#""came_to":"error""#), "{left:?}");
    assert!(placed(db).await.is_empty());
}

async fn of_two_transactions_that_race_one_is_committed(db: &Database) {
    let test = open(db).await;
    let winner = test.app.run(either()).await.unwrap();
    assert_eq!(placed(db).await, [winner]);
}

async fn a_time_limit_says_what_has_happened(db: &Database) {
    let test = open(db).await;
    let runs = (0..120_u64).map(|number| {
        let id = format!("order-{number:03}");
        let app = &test.app;
        async move {
            let limit = limited(id.clone(), number * 150);
            (app.run(limit).await.unwrap().is_some(), id)
        }
    });
    let told = join_all(runs).await;
    let told = told
        .into_iter()
        .filter_map(|(placed, id)| placed.then_some(id));
    assert_eq!(placed(db).await, told.collect::<Vec<_>>());
}
