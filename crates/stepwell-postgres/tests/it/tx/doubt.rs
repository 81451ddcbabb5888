//! A commit that is on its way while the same operation runs again, and fails on what it has done; or
//! while its time limit passes.

use std::time::Duration;

use sqlx::{Executor, PgPool};
use stepwell::{Ctx, bail, testing::Harness, transaction, workflow};
use stepwell_postgres::PostgresTx;

use super::{Shop, connect, proxy::Proxy};

const LIMIT: Duration = Duration::from_secs(60);

#[derive(stepwell::State)]
struct Books {
    #[provide]
    db: PgPool,
}

/// Fails with 23505 where it has been.
#[transaction]
async fn place(tx: &mut PostgresTx) -> stepwell::Result<u32> {
    tx.execute("insert into placed values ('order')").await?;
    Ok(1)
}

/// Fails where it has been, by a check of its own.
#[transaction]
async fn revise(tx: &mut PostgresTx) -> stepwell::Result<u32> {
    let revise = "update documents set version = version + 1 where version = 1";
    if tx.execute(revise).await?.rows_affected() == 0 {
        bail!("the version has moved on");
    }
    Ok(2)
}

/// Panics where it has been.
#[transaction]
async fn insist(tx: &mut PostgresTx) -> stepwell::Result<u32> {
    let placed = tx.execute("insert into placed values ('order')").await;
    placed.expect("there is no order");
    Ok(3)
}

#[workflow]
async fn does(ctx: &mut Ctx<Books>, what: u32) -> stepwell::Result<u32> {
    match what {
        1 => ctx.run(place()).await,
        2 => ctx.run(revise()).await,
        _ => ctx.run(insist()).await,
    }
}

#[workflow]
async fn limited(ctx: &mut Ctx<Books>) -> stepwell::Result<Option<u32>> {
    ctx.run(place()).timeout(LIMIT).await.transpose()
}

async fn shop() -> Shop {
    let shop = Shop::open_with_table().await;
    let tables = "
        create table placed (id text primary key);
        create table documents (version integer not null);
        insert into documents values (1)";
    sqlx::raw_sql(tables).execute(&shop.pool).await.unwrap();
    shop
}

/// Returns when a transaction waits for another one.
async fn somebody_waits(shop: &Shop) {
    const WAITS: &str = "
        select exists (
            select from pg_stat_activity
            where datname = current_database()
              and wait_event_type = 'Lock'
        )";
    let waits = async {
        while !sqlx::query_scalar::<_, bool>(WAITS)
            .fetch_one(&shop.pool)
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits)
        .await
        .expect("nobody waits");
}

#[tokio::test]
async fn a_commit_that_comes_late_counts_and_not_the_failure_behind_it() {
    for what in 1..=3 {
        let shop = shop().await;
        let proxy = Proxy::before(&shop.url).await;
        let db = connect(&proxy.url).await;
        let test = Harness::new(Books { db }).await;
        proxy.delay_the_next_commit();
        let handle = test.app.start(does(what)).await.unwrap();
        somebody_waits(&shop).await;
        proxy.deliver();
        assert_eq!(handle.result().await.unwrap(), what);
    }
}

/// The commit is on its way when the limit passes, and takes as long as the test wants.
#[tokio::test]
async fn a_commit_that_was_sent_wins_over_its_time_limit() {
    let shop = shop().await;
    let slow = "
        create function wait_for_the_test() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
        create constraint trigger slow after insert on placed deferrable initially deferred
            for each row execute function wait_for_the_test()";
    sqlx::raw_sql(slow).execute(&shop.pool).await.unwrap();
    let mut holder = shop.pool.acquire().await.unwrap();
    holder.execute("select pg_advisory_lock(7)").await.unwrap();
    let test = Harness::new(Books {
        db: shop.other().await,
    })
    .await;
    let handle = test.app.start(limited().id("l")).await.unwrap();
    somebody_waits(&shop).await;
    // Long past the limit nothing is decided.
    tokio::time::pause();
    tokio::time::advance(LIMIT * 2).await;
    tokio::time::resume();
    let early = tokio::time::timeout(Duration::from_millis(400), handle.result()).await;
    assert!(early.is_err(), "{early:?}");
    holder
        .execute("select pg_advisory_unlock(7)")
        .await
        .unwrap();
    let handle = test.app.handle::<limited>("l");
    assert_eq!(handle.result().await.unwrap(), Some(1));
}
