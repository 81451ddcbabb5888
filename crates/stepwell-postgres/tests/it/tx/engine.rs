//! The engine, with its journal in SQLite and the users' rows in Postgres.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use sqlx::{Executor, PgPool};
use stepwell::{
    App, Ctx, Isolation, Topic, WorkflowError, testing::Harness, transaction, workflow,
};
use stepwell_postgres::PostgresTx;
use tokio::sync::Barrier;

use super::{Shop, connect, proxy::Proxy};

#[derive(stepwell::State)]
struct Books {
    #[provide]
    db: PgPool,
    /// Lets the first runs of two workflows meet.
    meet: Barrier,
    runs: AtomicU32,
}

impl Books {
    fn new(db: PgPool) -> Self {
        Self {
            db,
            meet: Barrier::new(2),
            runs: AtomicU32::new(0),
        }
    }

    /// Waits for the other workflow in the first run of each.
    async fn met(&self) {
        if self.runs.fetch_add(1, SeqCst) < 2 {
            self.meet.wait().await;
        }
    }

    fn runs(&self) -> u32 {
        self.runs.load(SeqCst)
    }
}

#[transaction]
async fn enter(tx: &mut PostgresTx, item: &str) -> stepwell::Result<i64> {
    sqlx::query("insert into orders (item) values ($1)")
        .bind(item)
        .execute(&mut *tx)
        .await?;
    Ok(sqlx::query_scalar("select count(*) from orders")
        .fetch_one(tx)
        .await?)
}

#[transaction]
async fn commits_by_hand(tx: &mut PostgresTx) -> stepwell::Result<()> {
    tx.execute("insert into orders (item) values ('x')").await?;
    tx.execute("commit").await.ok();
    Ok(())
}

#[workflow]
async fn bookkeeping(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    ctx.run(enter("first")).await?;
    ctx.run(enter("second")).await
}

#[workflow]
async fn sloppy(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    ctx.run(commits_by_hand()).await
}

#[transaction(read_only)]
async fn look(tx: &mut PostgresTx) -> stepwell::Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from orders")
        .fetch_one(tx)
        .await?)
}

#[transaction(read_only, isolation = "serializable")]
async fn writes_all_the_same(tx: &mut PostgresTx, swallow: bool) -> stepwell::Result<()> {
    let wrote = tx.execute("insert into orders (item) values ('x')").await;
    if !swallow {
        wrote?;
    }
    Ok(())
}

#[workflow]
async fn looking(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    ctx.run(look()).await
}

#[workflow]
async fn two_faced(ctx: &mut Ctx<Books>, swallow: bool) -> stepwell::Result<()> {
    ctx.run(writes_all_the_same(swallow)).await
}

/// Counts and writes what it has counted.
#[workflow]
async fn count(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    let books = ctx.state();
    let counting = ctx.tx("count", async |mut tx: PostgresTx| {
        let orders: i64 = sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&mut tx)
            .await?;
        books.met().await;
        sqlx::query("insert into orders (item) values ($1)")
            .bind(orders.to_string())
            .execute(&mut *tx)
            .await?;
        Ok(())
    });
    counting.isolation(Isolation::Serializable).await
}

/// Takes two rows, each workflow in another order.
#[workflow]
async fn swap(ctx: &mut Ctx<Books>, first: i64, second: i64) -> stepwell::Result<()> {
    let books = ctx.state();
    ctx.tx("swap", async |mut tx: PostgresTx| {
        let take = |id| sqlx::query("update orders set item = item || '+' where id = $1").bind(id);
        take(first).execute(&mut tx).await?;
        books.met().await;
        take(second).execute(&mut tx).await?;
        Ok(())
    })
    .await
}

#[workflow]
async fn dies_once(ctx: &mut Ctx<Books>) -> stepwell::Result<()> {
    let books = ctx.state();
    ctx.tx("dies", async |mut tx: PostgresTx| {
        tx.execute("insert into orders (item) values ('alive')")
            .await?;
        if books.runs.fetch_add(1, SeqCst) == 0 {
            tx.execute("select pg_terminate_backend(pg_backend_pid())")
                .await?;
        }
        Ok(())
    })
    .await
}

const GO: Topic<u32> = Topic::new("go");

#[workflow]
async fn waits(ctx: &mut Ctx<Books>) -> stepwell::Result<i64> {
    let orders = ctx.run(enter("order")).await?;
    ctx.recv(GO).await;
    Ok(orders)
}

async fn items(shop: &Shop) -> Vec<String> {
    sqlx::query_scalar("select item from orders order by item")
        .fetch_all(&shop.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn workflows_in_sqlite_write_to_postgres_once() {
    let shop = Shop::open().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    for _ in 0..2 {
        assert_eq!(test.app.run(bookkeeping().id("b")).await.unwrap(), 2);
    }
    assert_eq!(shop.orders().await, 2);
}

#[tokio::test]
async fn a_lost_answer_is_not_a_second_order() {
    let shop = Shop::open().await;
    let proxy = Proxy::before(&shop.url).await;
    let test = Harness::new(Books::new(connect(&proxy.url).await)).await;
    proxy.lose_the_next_answer();
    assert_eq!(test.app.run(bookkeeping()).await.unwrap(), 2);
    assert_eq!(items(&shop).await, ["first", "second"]);
}

#[tokio::test]
async fn code_that_commits_by_hand_is_told_so_and_leaves_nothing() {
    let shop = Shop::open().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    let Err(WorkflowError::Stuck(reason)) = test.app.run(sloppy()).await else {
        panic!("the workflow is not stuck");
    };
    assert!(reason.contains("must not commit or roll back"), "{reason}");
    assert_eq!(shop.orders().await, 0);
}

#[tokio::test]
async fn serialisation_failures_are_run_again() {
    let shop = Shop::open_with_table().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    let (one, two) = tokio::join!(test.app.run(count()), test.app.run(count()));
    one.and(two).unwrap();
    assert_eq!(items(&shop).await, ["0", "1"]);
    assert!(test.app.state().runs() > 2);
}

#[tokio::test]
async fn what_only_reads_leaves_nothing_in_the_database() {
    let shop = Shop::open().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    assert_eq!(test.app.run(looking()).await.unwrap(), 0);
    let missing: bool = sqlx::query_scalar("select to_regclass('stepwell.witness') is null")
        .fetch_one(&shop.pool)
        .await
        .unwrap();
    assert!(missing, "there is a table of witnesses");
}

#[tokio::test]
async fn what_only_reads_is_refused_what_writes() {
    let shop = Shop::open().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    let error = test.app.run(two_faced(false)).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    let Err(WorkflowError::Stuck(reason)) = test.app.run(two_faced(true)).await else {
        panic!("the workflow is not stuck");
    };
    assert!(reason.contains("failed and its code went on"), "{reason}");
    assert_eq!(shop.orders().await, 0);
}

#[tokio::test]
async fn a_deadlock_is_run_again() {
    let shop = Shop::open_with_table().await;
    shop.pool
        .execute("insert into orders (item) values ('a'), ('b')")
        .await
        .unwrap();
    let test = Harness::new(Books::new(shop.other().await)).await;
    let (one, two) = tokio::join!(test.app.run(swap(1, 2)), test.app.run(swap(2, 1)));
    one.and(two).unwrap();
    assert_eq!(items(&shop).await, ["a++", "b++"]);
    // More often if the one that gave way was in the way once more.
    assert!(test.app.state().runs() >= 3);
}

#[tokio::test]
async fn a_killed_connection_is_run_again() {
    let shop = Shop::open_with_table().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    test.app.run(dies_once()).await.unwrap();
    assert_eq!(items(&shop).await, ["alive"]);
    assert_eq!(test.app.state().runs(), 2);
}

/// The record of a transaction rides with a later batch, and is lost here; its witness is not.
#[tokio::test]
async fn a_crash_after_the_commit_is_not_a_second_order() {
    let shop = Shop::open_with_table().await;
    let test = Harness::new(Books::new(shop.other().await)).await;
    let handle = test.app.start(waits().id("w")).await.unwrap();
    while shop.orders().await == 0 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    handle.send(GO, 0).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    assert_eq!(items(&shop).await, ["order"]);
}

/// The users' database holds the witnesses, and nothing else of the workflows.
#[tokio::test]
async fn workflows_in_a_file_leave_only_witnesses_in_postgres() {
    let shop = Shop::open_with_table().await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("app.db").display());
    let books = Books::new(shop.other().await);
    let app = App::builder("books").state(books).database(url);
    let app = app.launch().await.unwrap();
    assert_eq!(app.run(bookkeeping().id("b")).await.unwrap(), 2);
    app.shutdown().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'stepwell'",
    )
    .fetch_all(&shop.pool)
    .await
    .unwrap();
    assert_eq!(tables, ["witness"]);
    let of = "select split_part(workflow_id, ':', 1) from stepwell.witness";
    let workflows: Vec<String> = sqlx::query_scalar(of).fetch_all(&shop.pool).await.unwrap();
    assert_eq!(workflows, ["b", "b"]);
}
