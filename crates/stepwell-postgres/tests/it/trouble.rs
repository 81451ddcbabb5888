//! A server that refuses for a while, or for good: nothing is lost, nothing is stranded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Ctx, ErrorKind, Event, Queue, State, WorkflowError, step, store::Filter, workflow,
};
use stepwell_core::store::StoreErrorKind;
use stepwell_postgres::PostgresStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};
use tokio_postgres::Client;

use crate::server::{self, new_executor, unique, url_with};

const READY: Event<u32> = Event::new("ready");
static LINE: Queue = Queue::new("line");

#[derive(stepwell::State)]
struct Shop {
    #[provide]
    steps: AtomicU32,
    /// Lets steps end.
    #[provide]
    gate: Semaphore,
}

#[step]
async fn pass(#[state] steps: &AtomicU32, #[state] gate: &Semaphore) -> stepwell::Result<u32> {
    let begun = steps.fetch_add(1, SeqCst);
    gate.acquire().await?.forget();
    Ok(begun)
}

#[workflow]
async fn passes(ctx: &mut Ctx<Shop>) -> stepwell::Result<u32> {
    ctx.run(pass()).await?;
    ctx.set_event(READY, 7).await;
    Ok(8)
}

#[workflow]
async fn starts_a_child(ctx: &mut Ctx<Shop>, key: String) -> stepwell::Result<u32> {
    ctx.start(passes().queue(&LINE).queue_key(key)).await;
    Ok(8)
}

async fn launch(url: &str) -> App<Shop> {
    let shop = Shop {
        steps: AtomicU32::new(0),
        gate: Semaphore::new(0),
    };
    let builder = App::builder("trouble").database(url).state(shop);
    let builder = builder.lease(Duration::from_secs(1));
    builder.launch().await.unwrap()
}

/// A schema whose tables raise an error when they are told to.
struct Raising {
    schema: String,
    url: String,
    db: Client,
}

impl Raising {
    fn schema() -> (String, String) {
        let schema = unique("trouble");
        let url = url_with(&format!("schema={schema}"));
        (schema, url)
    }

    /// From now on the first `times` rows of a table for which a condition holds raise an error.
    async fn new(
        (schema, url): (String, String),
        table: &str,
        when: &str,
        raise: (&str, u32),
    ) -> Self {
        let db = server::connect(&url).await;
        let (code, times) = raise;
        db.batch_execute(&format!(
            "create sequence {schema}.raised;
            create function {schema}.raise() returns trigger language plpgsql as $$
            begin
                if {when} and nextval('{schema}.raised') <= {times} then
                    raise exception 'on purpose' using errcode = '{code}';
                end if;
                return new;
            end $$;
            create trigger raising before insert or update on {schema}.{table}
            for each row execute function {schema}.raise()"
        ))
        .await
        .unwrap();
        Self { schema, url, db }
    }

    /// Waits until so many errors were raised.
    async fn raised(&self, times: i64) {
        let look = format!("select last_value from {}.raised", self.schema);
        while self
            .db
            .query_one(&look, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            < times
        {
            tokio::task::yield_now().await;
        }
    }
}

/// Deadlocks and crossings of others are the store's own matter.
#[tokio::test]
async fn what_others_caused_is_repeated_inside_the_store() {
    for code in ["40P01", "40001"] {
        let place = Raising::schema();
        let store = PostgresStore::open(&place.1).await.unwrap();
        let raising = Raising::new(place, "workflows", "true", (code, 3)).await;
        let executor = new_executor();
        stepwell_core::store::ExecutorStore::register(&store, executor.clone())
            .await
            .unwrap();
        server::start(&store, &executor.id, "order-1").await;
        raising.raised(4).await;
    }
}

/// Rights, tables, errors of the server's own, limits of time: each may pass, at whatever statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_that_passes_strands_no_workflow_and_repeats_no_step() {
    let codes = [
        "42501", "42P01", "XX000", "P0001", "57014", "55P03", "53200", "53100", "25006",
    ];
    for code in codes {
        for (table, when) in [
            ("records", "new.kind = 'step'"),
            ("records", "new.kind = 'result'"),
            ("events", "true"),
            ("workflows", "new.state = 'succeeded'"),
        ] {
            let place = Raising::schema();
            let app = launch(&place.1).await;
            let started = app.start_all((0..10).map(|_| passes())).await;
            let raising = Raising::new(place, table, when, (code, 7)).await;
            app.state().gate.add_permits(10);
            raising.raised(7).await;
            for started in started {
                let handle = started.unwrap().0;
                assert_eq!(handle.result().await.unwrap(), 8, "{code} at {table}");
            }
            assert_eq!(app.state().steps.load(SeqCst), 10, "{code} at {table}");
            app.shutdown().await;
            drop(raising.url);
        }
    }
}

/// Data, constraints, limits: a verdict on one change. Nothing more of its run is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_for_good_leaves_a_stuck_workflow_without_an_end() {
    for code in ["22021", "22P05", "54000", "23514"] {
        let place = Raising::schema();
        let app = launch(&place.1).await;
        let refused = app.start(passes().id("order-1")).await.unwrap();
        let when = "new.workflow_key = (select min(workflow_key) from {schema}.workflows)";
        let when = when.replace("{schema}", &place.0);
        let raising = Raising::new(place, "events", &when, (code, 1_000_000)).await;
        let other = app.start(passes()).await.unwrap();
        app.state().gate.add_permits(2);
        let ended = refused.result().await;
        assert!(
            matches!(ended, Err(WorkflowError::Stuck(_))),
            "{code}: {ended:?}"
        );
        assert_eq!(other.result().await.unwrap(), 8);
        let history = app.client().history("order-1").await.unwrap();
        assert_eq!(history.result, None, "{code}");
        assert_eq!(
            history.operations.len(),
            1,
            "{code}: {:?}",
            history.operations
        );
        assert!(app.client().events("order-1").await.unwrap().is_empty());
        app.shutdown().await;
        drop(raising.url);
    }
}

/// An entry of an index holds 2,704 bytes: whatever is refused, no workflow succeeds without its child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_cannot_be_kept_lets_no_parent_succeed() {
    let (_, url) = Raising::schema();
    let app = launch(&url).await;
    // Not repetitive: Postgres would compress it.
    let long: String = (0..3_000_u32)
        .map(|it| {
            char::from(b'a' + u8::try_from(it.wrapping_mul(2_654_435_761) >> 27).unwrap() % 26)
        })
        .collect();
    for (id, key) in [("long", long), ("nul", "a\0b".to_owned())] {
        let parent = app.start(starts_a_child(key).id(id)).await.unwrap();
        let ended = parent.result().await;
        let children = app.client().children(id).await.unwrap();
        match ended {
            Err(WorkflowError::Stuck(_)) => assert!(children.is_empty(), "{id}"),
            Ok(8) => assert_eq!(children.len(), 1, "{id}: succeeded, and no child is there"),
            other => panic!("{id}: {other:?}"),
        }
    }
    app.state().gate.add_permits(10);
}

/// A password that is being changed, a role that may not log in for a while: longer than the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_for_a_while_repeats_no_step() {
    let (schema, url) = Raising::schema();
    let (role, db) = (unique("visitor"), server::connect(&url).await);
    let config: tokio_postgres::Config = server::url().parse().unwrap();
    let database = config.get_dbname().unwrap();
    db.batch_execute(&format!(
        "create role {role} login; grant create on database {database} to {role}"
    ))
    .await
    .unwrap();
    let user = format!("{}@", config.get_user().unwrap());
    let app = launch(&url.replacen(&user, &format!("{role}@"), 1)).await;
    let started = app.start_all((0..10).map(|_| passes())).await;
    let handles: Vec<_> = started.into_iter().map(|it| it.unwrap().0).collect();
    while app.state().steps.load(SeqCst) < 10 {
        tokio::task::yield_now().await;
    }
    db.batch_execute(&format!("alter role {role} nologin"))
        .await
        .unwrap();
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = $1";
    db.query(end, &[&role]).await.unwrap();
    app.state().gate.add_permits(10);
    let is_over = format!("select bool_or(lease_expires_at < now()) from {schema}.executors");
    while !db.query_one(&is_over, &[]).await.unwrap().get::<_, bool>(0) {
        // Whoever asks meanwhile is told that the database is away, not that it is set up wrongly.
        let listed = app.client().list(Filter::default()).await;
        assert_eq!(listed.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    db.batch_execute(&format!("alter role {role} login"))
        .await
        .unwrap();
    for handle in handles {
        assert_eq!(handle.result().await.unwrap(), 8);
    }
    assert_eq!(app.state().steps.load(SeqCst), 10, "a step was repeated");
    app.shutdown().await;
}

/// A balancer whose server is on the way up ends connections in the middle of the handshake: that is no
/// reason to change the address.
#[tokio::test]
async fn a_connection_that_ends_in_a_handshake_is_no_wrong_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = Arc::new(AtomicU32::new(u32::from(b'S')));
    let answer = Arc::clone(&answering);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = [0; 8];
            drop(client.read_exact(&mut request).await);
            let byte = u8::try_from(answer.load(SeqCst)).unwrap();
            drop(client.write_all(&[byte]).await);
        }
    });
    let url = format!("postgres://somebody@{address}/shop?sslmode=require");
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    answering.store(u32::from(b'N'), SeqCst);
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable, "{error:?}");
}

/// What is running belongs to a run: also when the answer of a start has been lost for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_owned_and_run_by_nobody_is_taken_up() {
    let (schema, url) = Raising::schema();
    let app = launch(&url).await;
    let first = app.start(passes().queue(&LINE)).await.unwrap();
    app.state().gate.add_permits(2);
    first.result().await.unwrap();
    let delayed = passes().id("order-1").delay(Duration::from_secs(60 * 60));
    let handle = app.start(delayed).await.unwrap();
    let db = server::connect(&url).await;
    db.batch_execute(&format!(
        "update {schema}.workflows set state = 'running', wake_at = null,
            executor_id = (select executor_id from {schema}.executors where ended_at is null)
        where workflow_id = 'order-1'"
    ))
    .await
    .unwrap();
    assert_eq!(handle.result().await.unwrap(), 8);
    let workflow = app.client().get("order-1").await.unwrap().unwrap();
    assert_eq!(workflow.state, State::Succeeded);
}
