//! Starts and sends in a transaction of the user's own.

mod inside;
mod refused;
mod rights;

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection, PgPool};
use stepwell::{App, Ctx, ErrorKind, Queue, Topic, store::Filter, workflow};
use tokio_postgres::{AsyncMessage, NoTls};

use super::{Shop, connect};

static SHIPPING: Queue = Queue::new("shipping").concurrency(2);
const PARCEL: Topic<String> = Topic::new("parcel");

/// The application keeps its workflows where the shop keeps its orders.
type Shipping = App<PgPool>;

#[workflow]
async fn ship(_ctx: &mut Ctx<PgPool>, item: String) -> stepwell::Result<String> {
    Ok(format!("shipped {item}"))
}

#[workflow]
async fn unpack(ctx: &mut Ctx<PgPool>) -> stepwell::Result<Vec<String>> {
    let first = ctx.recv(PARCEL).await;
    let more = ctx.recv(PARCEL).timeout(Duration::ZERO).await;
    Ok([Some(first), more].into_iter().flatten().collect())
}

async fn shipping(shop: &Shop) -> Shipping {
    let state = connect(&shop.url).await;
    let app = App::builder("shipping").state(state).database(&shop.url);
    app.build().await.unwrap()
}

async fn order(connection: &mut PgConnection) {
    let order = "insert into orders (item) values ('widget')";
    connection.execute(order).await.unwrap();
}

/// The ids of all workflows.
async fn ids<S: Send + Sync + 'static>(app: &App<S>) -> Vec<String> {
    let all = app.client().list(Filter::default()).await.unwrap();
    all.into_iter().map(|found| found.id.to_string()).collect()
}

#[tokio::test]
async fn what_is_started_in_a_transaction_runs_when_that_commits() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    app.launch().await.unwrap();
    let mut tx = shop.pool.begin().await.unwrap();
    order(&mut tx).await;
    let call = ship("widget".to_owned()).id("s").queue(&SHIPPING);
    let handle = app.start_in(&mut tx, call).await.unwrap();
    assert_eq!(handle.id(), "s");
    assert!(ids(&app).await.is_empty(), "not yet");
    tx.commit().await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "shipped widget");
    assert_eq!(shop.orders().await, 1);
    app.shutdown().await;
}

#[tokio::test]
async fn what_is_started_in_a_transaction_leaves_nothing_when_that_is_undone() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let mut tx = shop.pool.begin().await.unwrap();
    let call = ship("widget".to_owned()).id("s").queue(&SHIPPING);
    app.start_in(&mut tx, call.attribute("customer", "ann"))
        .await
        .unwrap();
    app.send_in(&mut tx, "s", PARCEL, "first".to_owned())
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    for table in ["workflows", "records", "attributes", "queues", "messages"] {
        let count = format!("select count(*) from stepwell.{table}");
        let count = sqlx::query_scalar(sqlx::AssertSqlSafe(count));
        let rows: i64 = count.fetch_one(&shop.pool).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

/// What a process leaves that is killed before its commit.
#[tokio::test]
async fn a_connection_that_dies_before_the_commit_leaves_nothing() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let mut tx = shop.pool.begin().await.unwrap();
    app.start_in(&mut tx, ship("widget".to_owned()).id("s"))
        .await
        .unwrap();
    let dying: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    sqlx::query("select pg_terminate_backend($1, 5000)")
        .bind(dying)
        .execute(&shop.pool)
        .await
        .unwrap();
    assert!(tx.commit().await.is_err());
    assert!(ids(&app).await.is_empty());
    // The id is free again.
    app.start(ship("widget".to_owned()).id("s")).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_connection_can_take_a_start_with_it() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let mut bare = shop.pool.acquire().await.unwrap();
    app.start_in(&mut *bare, ship("a".to_owned()).id("bare"))
        .await
        .unwrap();
    assert_eq!(ids(&app).await, ["bare"], "a statement commits by itself");

    let mut tx = bare.begin().await.unwrap();
    app.start_in(&mut *tx, ship("b".to_owned()).id("connection"))
        .await
        .unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    app.start_in(&mut savepoint, ship("c".to_owned()).id("undone"))
        .await
        .unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ids(&app).await, ["connection", "bare"]);
}

#[tokio::test]
async fn the_same_id_is_one_workflow() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    for _ in 0..2 {
        let mut tx = shop.pool.begin().await.unwrap();
        for _ in 0..2 {
            app.start_in(&mut tx, ship("widget".to_owned()).id("s"))
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
    }
    app.start(ship("widget".to_owned()).id("s")).await.unwrap();
    assert_eq!(ids(&app).await, ["s"]);
}

/// Whoever starts the same id waits for the transaction, and finds what became of it.
#[tokio::test]
async fn of_two_transactions_that_start_one_id_one_does() {
    for commits in [true, false] {
        let shop = Shop::open().await;
        let app = shipping(&shop).await;
        let mut first = shop.pool.begin().await.unwrap();
        app.start_in(&mut first, ship("widget".to_owned()).id("s"))
            .await
            .unwrap();
        let mut second = shop.pool.begin().await.unwrap();
        let call = ship("widget".to_owned()).id("s");
        let starting = app.start_in(&mut second, call);
        let ending = async {
            waiting(&shop).await;
            match commits {
                true => first.commit().await.unwrap(),
                false => first.rollback().await.unwrap(),
            }
        };
        let (started, ()) = tokio::join!(starting, ending);
        started.unwrap();
        second.commit().await.unwrap();
        assert_eq!(ids(&app).await, ["s"]);
    }
}

/// Waits until some statement waits for another transaction.
async fn waiting(shop: &Shop) {
    let blocked = "select exists (
        select from pg_stat_activity
        where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0)";
    while !sqlx::query_scalar::<_, bool>(blocked)
        .fetch_one(&shop.pool)
        .await
        .unwrap()
    {
        tokio::task::yield_now().await;
    }
}

/// A row that was made on the user's connection is like any other.
#[tokio::test]
async fn what_is_started_in_a_transaction_is_what_start_would_have_made() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let call = |id: &str| {
        ship("widget".to_owned())
            .id(id)
            .queue(&SHIPPING)
            .queue_key("ann")
            .priority(3)
            .deadline(Duration::from_secs(3600))
            .origin("a test")
            .attribute("customer", "bob")
            .attribute("customer", "ann")
    };
    let delayed = |id: &str| {
        ship("widget".to_owned())
            .id(id)
            .delay(Duration::from_secs(60))
    };
    app.start(call("plain")).await.unwrap();
    app.start(delayed("plain-delayed")).await.unwrap();
    let mut tx = shop.pool.begin().await.unwrap();
    app.start_in(&mut tx, call("enlisted")).await.unwrap();
    app.start_in(&mut tx, delayed("enlisted-delayed"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for suffix in ["", "-delayed"] {
        let plain = row(&shop, &format!("plain{suffix}")).await;
        assert_eq!(plain, row(&shop, &format!("enlisted{suffix}")).await);
        assert!(plain.contains(if suffix.is_empty() {
            "shipping"
        } else {
            "delayed"
        }));
    }
    assert_eq!(app.client().queues().await.unwrap().len(), 1);
}

/// All that a workflow's rows say, but for its id, its key and the instant of its start.
async fn row(shop: &Shop, id: &str) -> String {
    sqlx::query_scalar(
        "select jsonb_build_array(
            to_jsonb(w) - array['workflow_id', 'workflow_key', 'created_at', 'deadline_at', 'wake_at',
                'queue_rank', 'nonce'],
            w.nonce is not null,
            w.deadline_at - w.created_at, w.wake_at - w.created_at,
            w.queue_rank - (extract(epoch from w.created_at) * 1000000)::bigint,
            (select jsonb_agg(to_jsonb(a) - 'workflow_key') from stepwell.attributes as a
                where a.workflow_key = w.workflow_key),
            (select jsonb_agg(to_jsonb(r) - array['workflow_key', 'started_at', 'recorded_at'])
                from stepwell.records as r where r.workflow_key = w.workflow_key)
        )::text
        from stepwell.workflows as w
        where workflow_id = $1",
    )
    .bind(id)
    .fetch_one(&shop.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_message_is_there_when_the_transaction_commits() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    app.launch().await.unwrap();
    let handle = app.start(unpack().id("u")).await.unwrap();
    let mut undone = shop.pool.begin().await.unwrap();
    app.send_in(&mut undone, "u", PARCEL, "lost".to_owned())
        .await
        .unwrap();
    undone.rollback().await.unwrap();
    let mut tx = shop.pool.begin().await.unwrap();
    app.send_in(&mut tx, "u", PARCEL, "kept".to_owned())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(handle.result().await.unwrap(), ["kept"]);
    app.shutdown().await;
}

/// Everybody hears of what was committed when it was, and nobody of what was not.
#[tokio::test]
async fn the_notification_goes_out_with_the_commit() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let (listener, mut wire) = tokio_postgres::connect(&shop.url, NoTls).await.unwrap();
    let mut heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| wire.poll_message(cx)).await;
            match next.unwrap().unwrap() {
                AsyncMessage::Notification(it) if it.payload() == "end" => return heard,
                AsyncMessage::Notification(it) => heard.push(it.payload().to_owned()),
                _ => {}
            }
        }
    });
    listener.batch_execute("listen stepwell").await.unwrap();
    for commits in [false, true] {
        let mut tx = shop.pool.begin().await.unwrap();
        app.start_in(&mut tx, ship("widget".to_owned()).id("s"))
            .await
            .unwrap();
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
    }
    shop.pool.execute("notify stepwell, 'sent'").await.unwrap();
    let mut tx = shop.pool.begin().await.unwrap();
    app.send_in(&mut tx, "s", PARCEL, "parcel".to_owned())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    shop.pool.execute("notify stepwell, 'end'").await.unwrap();
    let mut heard = (&mut heard).await.unwrap();
    // The application rings, too, when the workflow goes on.
    heard.retain(|payload| payload.starts_with('-') || payload == "sent");
    let key = app.client().get("s").await.unwrap().unwrap().key;
    assert_eq!(heard, ["- w ", "sent", &format!("-  {key}")]);
    app.shutdown().await;
}

#[tokio::test]
async fn a_transaction_that_cannot_see_who_was_first_is_to_be_run_again() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let mut tx = shop
        .pool
        .begin_with("begin isolation level repeatable read")
        .await
        .unwrap();
    tx.execute("select count(*) from orders").await.unwrap();
    app.start(ship("widget".to_owned()).id("s")).await.unwrap();
    let late = app.start_in(&mut tx, ship("widget".to_owned()).id("s"));
    let error = late.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("run it again"), "{error}");
}
