//! Starts and sends in the transactions of workflows.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use sqlx::{Executor, PgPool};
use stepwell::{App, Ctx, Handle, Topic, transaction, workflow};
use stepwell_postgres::PostgresTx;

use super::{connect, ids};
use crate::tx::Shop;

const PARCEL: Topic<u32> = Topic::new("parcel");

#[derive(stepwell::State)]
struct Depot {
    #[provide]
    db: PgPool,
    #[provide]
    desk: Desk,
}

/// What transactions need of the application that runs them.
struct Desk {
    app: OnceLock<App<Depot>>,
    runs: AtomicU32,
}

#[workflow]
async fn deliver(ctx: &mut Ctx<Depot>) -> stepwell::Result<Vec<u32>> {
    Ok(ctx.recv_batch(PARCEL, 10).await)
}

/// Its first run starts and sends, and is undone because its connection is lost.
#[transaction]
async fn dispatch(tx: &mut PostgresTx, #[state] desk: &Desk) -> stepwell::Result<String> {
    let app = desk.app.get().unwrap();
    tx.execute("insert into orders (item) values ('widget')")
        .await?;
    // Without an id of ours: each run starts another one.
    let delivery = app.start_in(&mut *tx, deliver()).await?;
    app.send_in(&mut *tx, delivery.id(), PARCEL, 7).await?;
    if desk.runs.fetch_add(1, SeqCst) == 0 {
        tx.execute("select pg_terminate_backend(pg_backend_pid())")
            .await?;
    }
    Ok(delivery.id().to_owned())
}

/// Two that start one id, each of which has looked before the other was committed.
#[transaction(isolation = "serializable")]
async fn dispatch_once(tx: &mut PostgresTx, #[state] desk: &Desk) -> stepwell::Result<()> {
    let app = desk.app.get().unwrap();
    tx.execute("select count(*) from orders").await?;
    if desk.runs.fetch_add(1, SeqCst) == 0 {
        app.start(deliver().id("once")).await?;
    }
    // Fails in the first run, which cannot see the one that is there.
    app.start_in(&mut *tx, deliver().id("once")).await?;
    Ok(())
}

#[workflow]
async fn dispatching(ctx: &mut Ctx<Depot>) -> stepwell::Result<String> {
    ctx.run(dispatch()).await
}

#[workflow]
async fn dispatching_once(ctx: &mut Ctx<Depot>) -> stepwell::Result<()> {
    ctx.run(dispatch_once()).await
}

async fn depot(shop: &Shop) -> App<Depot> {
    let desk = Desk {
        app: OnceLock::new(),
        runs: AtomicU32::new(0),
    };
    let db = connect(&shop.url).await;
    let app = App::builder("depot").state(Depot { db, desk });
    let app = app.database(&shop.url).build().await.unwrap();
    assert!(app.state().desk.app.set(app.clone()).is_ok());
    app.launch().await.unwrap();
    app
}

#[tokio::test]
async fn a_transaction_that_is_run_again_starts_one_and_sends_one() {
    let shop = Shop::open_with_table().await;
    let app = depot(&shop).await;
    let delivery = app.run(dispatching().id("d")).await.unwrap();
    let handle: Handle<deliver> = app.handle(delivery.as_str());
    assert_eq!(handle.result().await.unwrap(), [7]);
    assert_eq!(ids(&app).await, [delivery.as_str(), "d"]);
    assert_eq!(app.state().desk.runs.load(SeqCst), 2);
    assert_eq!(shop.orders().await, 1);
    app.shutdown().await;
}

/// A failed start is noticed as the conflict that it is, and does not become the code's error.
#[tokio::test]
async fn a_start_that_is_in_the_way_of_another_is_run_again() {
    let shop = Shop::open_with_table().await;
    let app = depot(&shop).await;
    app.run(dispatching_once().id("d")).await.unwrap();
    assert_eq!(app.state().desk.runs.load(SeqCst), 2);
    assert_eq!(ids(&app).await, ["once", "d"]);
    app.shutdown().await;
}
