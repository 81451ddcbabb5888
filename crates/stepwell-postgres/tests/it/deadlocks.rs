//! What everyday programs do to each other's rows ends in no deadlock: Postgres counts them.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use scratch::Database;
use stepwell::{App, Ctx, Topic, Unique, workflow};

use crate::server::connect;

const BALL: Topic<u32> = Topic::new("ball");
const BEGIN: Topic<()> = Topic::new("begin");

/// How many are sent and received by each of two partners.
const BALLS: u32 = 8;

#[workflow]
async fn receives(ctx: &mut Ctx, count: u32) -> stepwell::Result<u32> {
    let mut sum = 0;
    for _ in 0..count {
        sum += ctx.recv(BALL).await;
    }
    Ok(sum)
}

/// Sends to a partner what that one receives, and receives what it sends.
#[workflow]
async fn plays(ctx: &mut Ctx, partner: String) -> stepwell::Result<u32> {
    // The partner is there by then.
    ctx.recv(BEGIN).await;
    let mut sum = 0;
    for ball in 0..BALLS {
        ctx.send(&partner, BALL, ball).await;
        sum += ctx.recv(BALL).await;
    }
    Ok(sum)
}

#[workflow]
async fn syncs(_ctx: &mut Ctx, _account: u32) -> stepwell::Result<()> {
    Ok(())
}

/// A database of its own, where nothing else is counted.
struct Counted(Database);

impl Counted {
    fn new(what: &str) -> Self {
        Self(Database::new(what).expect("there is a server"))
    }

    async fn launch(&self) -> App {
        App::builder("deadlocks")
            .database(self.0.url())
            .launch()
            .await
            .unwrap()
    }

    /// How many deadlocks there were. A server process counts them when it ends, at the latest: so all
    /// who have worked here are waited for.
    async fn deadlocks(&self) -> i64 {
        let db = connect(self.0.url()).await;
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let others: i64 = db
                .query_one(
                    "select count(*) from pg_stat_activity
                     where datname = current_database() and pid <> pg_backend_pid()
                       and backend_type = 'client backend'",
                    &[],
                )
                .await
                .unwrap()
                .get(0);
            if others == 0 {
                break;
            }
            assert!(Instant::now() < until, "{others} connections are left");
            tokio::task::yield_now().await;
        }
        db.query_one(
            "select deadlocks from pg_stat_database where datname = current_database()",
            &[],
        )
        .await
        .unwrap()
        .get(0)
    }
}

/// Waits for work that takes seconds when nothing stands in its way.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(120), work).await;
    done.expect("it is still not done")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_send_to_many_who_receive_do_not_wait_for_each_other() {
    let database = Counted::new("receives");
    let app = database.launch().await;
    let one = async |number: u32| {
        let handle = app.start(receives(BALLS).id(format!("r-{number}"))).await?;
        for ball in 0..BALLS {
            handle.send(BALL, ball).await?;
        }
        handle.result().await.map_err(stepwell::Failure::from)
    };
    let sums = soon(try_join_all((0..100).map(one))).await.unwrap();
    assert_eq!(sums, vec![BALLS * (BALLS - 1) / 2; 100]);
    app.shutdown().await;
    drop(app);
    assert_eq!(database.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partners_on_two_executors_that_send_to_each_other_do_not_wait_for_each_other() {
    let database = Counted::new("plays");
    let apps = [database.launch().await, database.launch().await];
    let starts = (0..60_usize).map(|number| {
        let call = plays(format!("p-{}", number ^ 1)).id(format!("p-{number}"));
        apps[number % 2].start(call)
    });
    let handles = soon(try_join_all(starts)).await.unwrap();
    soon(try_join_all(
        handles.iter().map(async |it| it.send(BEGIN, ()).await),
    ))
    .await
    .unwrap();
    let results = soon(join_all(handles.iter().map(|it| it.result()))).await;
    for result in results {
        assert_eq!(result.unwrap(), BALLS * (BALLS - 1) / 2);
    }
    drop(handles);
    for app in apps {
        app.shutdown().await;
    }
    assert_eq!(database.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_of_many_kinds_from_two_executors_do_not_wait_for_each_other() {
    let database = Counted::new("syncs");
    let apps = [database.launch().await, database.launch().await];
    // As many as are answered well within a client's patience on a busy machine.
    let starts = (0..300_usize).map(|number| {
        // In another order each.
        let account = match number % 2 {
            0 => number / 2 % 50,
            _ => 49 - number / 2 % 50,
        };
        let account = u32::try_from(account).unwrap();
        let call = syncs(account).unique(Unique::new(account.to_string()));
        apps[number % 2].start(call)
    });
    for started in soon(join_all(starts)).await {
        started.unwrap();
    }
    for app in apps {
        app.shutdown().await;
    }
    assert_eq!(database.deadlocks().await, 0);
}
