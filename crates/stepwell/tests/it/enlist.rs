//! Starts and sends in a transaction of the user's own, in one SQLite file with the workflows.

use std::{path::Path, sync::OnceLock};

use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use stepwell::{
    App, Ctx, Error, ErrorKind, Queue, SqliteTx, Topic, Unique, store::Filter, testing::Harness,
    transaction, workflow,
};

static SHIPPING: Queue = Queue::new("shipping").concurrency(2);
static SMALL: Queue = Queue::new("small").waiting_max(1);
const PARCEL: Topic<String> = Topic::new("parcel");

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    db: SqlitePool,
    #[provide]
    app: OnceLock<App<Shop>>,
}

impl Shop {
    fn new(db: SqlitePool) -> Self {
        let app = OnceLock::new();
        Self { db, app }
    }
}

#[workflow]
async fn ship(_ctx: &mut Ctx<Shop>, item: String) -> stepwell::Result<String> {
    Ok(format!("shipped {item}"))
}

#[workflow]
async fn unpack(ctx: &mut Ctx<Shop>) -> stepwell::Result<Vec<String>> {
    Ok(ctx.recv_batch(PARCEL, 10).await)
}

#[transaction]
async fn dispatch(
    tx: &mut SqliteTx,
    #[state] app: &OnceLock<App<Shop>>,
    fails: bool,
) -> stepwell::Result<String> {
    let app = app.get().unwrap();
    let delivery = app.start_in(&mut *tx, unpack()).await?;
    app.send_in(&mut *tx, delivery.id(), PARCEL, "widget".to_owned())
        .await?;
    if fails {
        stepwell::bail!("out of stock");
    }
    Ok(delivery.id().to_owned())
}

#[transaction(read_only)]
async fn dispatch_while_reading(
    tx: &mut SqliteTx,
    #[state] app: &OnceLock<App<Shop>>,
) -> stepwell::Result<()> {
    app.get().unwrap().start_in(&mut *tx, unpack()).await?;
    Ok(())
}

#[workflow]
async fn dispatching(ctx: &mut Ctx<Shop>, fails: bool) -> stepwell::Result<String> {
    ctx.run(dispatch(fails)).await
}

#[workflow]
async fn dispatching_while_reading(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    ctx.run(dispatch_while_reading()).await
}

async fn connect(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file);
    SqlitePool::connect_with(options.create_if_missing(true))
        .await
        .unwrap()
}

/// An application whose workflows and orders are in one file.
async fn shop(directory: &Path) -> App<Shop> {
    let file = directory.join("shop.db");
    let options = SqliteConnectOptions::new().filename(&file);
    let db = SqlitePool::connect_lazy_with(options);
    let app = App::builder("shop").state(Shop::new(db));
    let app = app.database(format!("sqlite:{}", file.display()));
    // Stepwell is the first in the file: it takes none that is another application's.
    let app = app.build().await.unwrap();
    sqlx::query("create table orders (item text)")
        .execute(&app.state().db)
        .await
        .unwrap();
    assert!(app.state().app.set(app.clone()).is_ok());
    app
}

async fn order(connection: &mut SqliteConnection) {
    let order = sqlx::query("insert into orders values ('widget')");
    order.execute(connection).await.unwrap();
}

async fn count(app: &App<Shop>, table: &str) -> i64 {
    let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    let count = sqlx::query_scalar(count).fetch_one(&app.state().db);
    count.await.unwrap()
}

async fn ids(app: &App<Shop>) -> Vec<String> {
    let all = app.client().list(Filter::default()).await.unwrap();
    all.into_iter().map(|found| found.id.to_string()).collect()
}

#[tokio::test]
async fn what_is_started_in_a_transaction_runs_when_that_commits() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    app.launch().await.unwrap();
    let mut tx = app.state().db.begin().await.unwrap();
    order(&mut tx).await;
    let call = ship("widget".to_owned()).id("s").queue(&SHIPPING);
    let handle = app.start_in(&mut tx, call).await.unwrap();
    assert!(ids(&app).await.is_empty(), "not yet");
    tx.commit().await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "shipped widget");
    assert_eq!(count(&app, "orders").await, 1);
    app.shutdown().await;
}

#[tokio::test]
async fn what_is_started_in_a_transaction_leaves_nothing_when_that_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let mut tx = app.state().db.begin().await.unwrap();
    let call = ship("widget".to_owned()).id("s").queue(&SHIPPING);
    app.start_in(&mut tx, call.attribute("customer", "ann"))
        .await
        .unwrap();
    app.send_in(&mut tx, "s", PARCEL, "first".to_owned())
        .await
        .unwrap();
    // As when its process is killed: nobody ends it.
    drop(tx);
    for table in ["workflows", "records", "attributes", "queues", "messages"] {
        assert_eq!(count(&app, table).await, 0, "{table}");
    }
}

/// Wherever the caller gives up, a commit keeps all of the workflow or nothing of it.
#[tokio::test]
async fn a_start_that_is_given_up_half_way_leaves_no_half() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let (mut left_nothing, mut started) = (0, 0);
    for polls in 0.. {
        let before = count(&app, "workflows").await;
        let mut tx = app.state().db.begin().await.unwrap();
        let call = ship("widget".to_owned()).queue(&SHIPPING);
        let mut starting = Box::pin(app.start_in(&mut tx, call.attribute("customer", "ann")));
        let done = poll_at_most(&mut starting, polls).await;
        drop(starting);
        tx.commit().await.unwrap();
        let workflows = count(&app, "workflows").await;
        for table in ["records", "attributes"] {
            assert_eq!(
                count(&app, table).await,
                workflows,
                "{table}, {polls} polls"
            );
        }
        match done {
            Some(done) => {
                done.unwrap();
                assert_eq!(workflows, before + 1);
                started += 1;
            }
            None => left_nothing += i64::from(workflows == before),
        }
        if started == 3 {
            break;
        }
    }
    assert!(left_nothing > 3, "{left_nothing}");
}

/// Each poll comes when there is something new.
async fn poll_at_most<T>(future: &mut (impl Future<Output = T> + Unpin), polls: u32) -> Option<T> {
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        std::pin::Pin::new(&mut *future).poll(cx).map(Some)
    })
    .await
}

/// The application was there first, with its tables and the number of its own migrations.
#[tokio::test]
async fn an_application_that_has_a_file_starts_workflows_in_its_transactions() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.db");
    let db = connect(&file).await;
    let before = "create table orders (item text); pragma user_version = 12";
    sqlx::raw_sql(before).execute(&db).await.unwrap();
    let app = App::builder("shop").state(Shop::new(db));
    let app = app.database(format!("sqlite:{}?existing", file.display()));
    let app = app.launch().await.unwrap();
    let mut tx = app.state().db.begin().await.unwrap();
    order(&mut tx).await;
    let call = ship("widget".to_owned()).id("s");
    let handle = app.start_in(&mut tx, call).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(handle.result().await.unwrap(), "shipped widget");
    assert_eq!(count(&app, "orders").await, 1);
    let version = sqlx::query_scalar("pragma user_version");
    let version: i64 = version.fetch_one(&app.state().db).await.unwrap();
    assert_eq!(version, 12);
    app.shutdown().await;
}

#[tokio::test]
async fn the_same_id_is_one_workflow_and_another_input_a_conflict() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let call = |item: &str| ship(item.to_owned()).id("s");
    for _ in 0..2 {
        let mut tx = app.state().db.begin().await.unwrap();
        for _ in 0..2 {
            app.start_in(&mut tx, call("widget")).await.unwrap();
        }
        let error = app.start_in(&mut tx, call("gadget")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        order(&mut tx).await;
        tx.commit().await.unwrap();
    }
    app.start(call("widget")).await.unwrap();
    assert_eq!(ids(&app).await, ["s"]);
    assert_eq!(count(&app, "orders").await, 2);
}

#[tokio::test]
async fn what_is_started_in_a_transaction_is_what_start_would_have_made() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let hour = std::time::Duration::from_secs(3600);
    let call = |id: &str| {
        let call = ship("widget".to_owned()).id(id).deadline(hour);
        let call = call.queue(&SHIPPING).queue_key("ann").priority(3);
        call.origin("a test").attribute("customer", "ann")
    };
    let delayed = |id: &str| ship("widget".to_owned()).id(id).delay(hour);
    app.start(call("plain")).await.unwrap();
    app.start(delayed("plain-delayed")).await.unwrap();
    let mut tx = app.state().db.begin().await.unwrap();
    app.start_in(&mut tx, call("enlisted")).await.unwrap();
    app.start_in(&mut tx, delayed("enlisted-delayed"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for suffix in ["", "-delayed"] {
        let plain = row(&app, &format!("plain{suffix}")).await;
        assert_eq!(plain, row(&app, &format!("enlisted{suffix}")).await);
    }
    assert_eq!(app.client().queues().await.unwrap().len(), 1);
}

/// What a workflow's rows say, but for its id, its key and the instant of its start.
async fn row(app: &App<Shop>, id: &str) -> String {
    sqlx::query_scalar(
        "select json_array(name, state, executor_id, queue_name, queue_key,
            queue_rank - created_at, parent_key, detached, origin, recoveries, records_at_claim,
            started_at, ended_at, deadline_at - created_at, wake_at - created_at, unique_key,
            nonce is not null,
            (select json_group_array(json_array(name, value)) from attributes as a
                where a.workflow_key = w.workflow_key),
            (select json_group_array(json_array(place, kind, name, failed, payload, attempts))
                from records as r where r.workflow_key = w.workflow_key))
        from workflows as w
        where workflow_id = ?",
    )
    .bind(id)
    .fetch_one(&app.state().db)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_transaction_of_a_workflow_starts_and_sends() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    app.launch().await.unwrap();
    let error = app.run(dispatching(true).id("fails")).await.unwrap_err();
    assert!(error.to_string().contains("out of stock"), "{error}");
    assert_eq!(ids(&app).await, ["fails"]);

    let delivery = app.run(dispatching(false).id("d")).await.unwrap();
    let handle = app.handle::<unpack>(delivery.as_str());
    assert_eq!(handle.result().await.unwrap(), ["widget"]);
    assert_eq!(ids(&app).await.len(), 3);

    let error = app.run(dispatching_while_reading()).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(count(&app, "workflows where name = 'unpack'").await, 1);
    app.shutdown().await;
}

/// The error says what is wrong, nothing is written, and the connection goes on.
#[track_caller]
fn refused<T: std::fmt::Debug>(done: Result<T, Error>, kind: ErrorKind, says: &str) {
    let error = done.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn what_cannot_be_done_in_a_transaction_leaves_it_usable() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let call = || ship("widget".to_owned()).id("s");
    let mut tx = app.state().db.begin().await.unwrap();
    let bounded = app.start_in(&mut tx, call().queue(&SMALL)).await;
    refused(
        bounded,
        ErrorKind::Invalid,
        "the queue `small` has `waiting_max`",
    );
    let unique = app.start_in(&mut tx, call().unique(Unique::new("ann")));
    refused(unique.await, ErrorKind::Invalid, "a unique key");
    let lost = app.send_in(&mut tx, "nobody", PARCEL, "x".to_owned());
    refused(lost.await, ErrorKind::NotFound, "`nobody`");
    order(&mut tx).await;
    tx.commit().await.unwrap();
    assert_eq!(count(&app, "orders").await, 1);
    assert_eq!(count(&app, "queues").await, 0);
    assert!(ids(&app).await.is_empty());
}

/// sqlx would take it for none, and its savepoint for a transaction.
#[tokio::test]
async fn a_transaction_that_was_begun_by_a_statement_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let mut connection = app.state().db.acquire().await.unwrap();
    for sql in ["begin", "insert into orders values ('widget')"] {
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
    }
    let started = app.start_in(&mut *connection, ship("widget".to_owned()));
    refused(started.await, ErrorKind::Invalid, "let sqlx begin it");
    let commit = sqlx::query("commit").execute(&mut *connection);
    commit.await.unwrap();
    drop(connection);
    assert_eq!(count(&app, "orders").await, 1);
    assert!(ids(&app).await.is_empty());
}

#[tokio::test]
async fn a_connection_to_another_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    // A copy holds the same tables, and still is another file.
    let copy = directory.path().join("copy.db");
    let copied = sqlx::query("vacuum into ?").bind(copy.display().to_string());
    copied.execute(&app.state().db).await.unwrap();
    let memory = SqlitePool::connect("sqlite::memory:").await.unwrap();
    for pool in [connect(&copy).await, memory] {
        let mut tx = pool.begin().await.unwrap();
        let started = app.start_in(&mut tx, ship("widget".to_owned())).await;
        refused(started, ErrorKind::Setup, "is not known to be that file");
    }
    // Workflows in memory are in no file at all.
    let test = Harness::new(Shop::new(connect(&copy).await)).await;
    let mut tx = test.app.state().db.begin().await.unwrap();
    let started = test.app.start_in(&mut tx, ship("widget".to_owned())).await;
    refused(started, ErrorKind::Setup, "`sqlite::memory:`");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_leads_to_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let app = shop(directory.path()).await;
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(directory.path().join("shop.db"), &link).unwrap();
    let options = SqliteConnectOptions::new().filename(link);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let started = app.start_in(&mut connection, ship("widget".to_owned()).id("s"));
    started.await.unwrap();
    assert_eq!(ids(&app).await, ["s"]);
}
