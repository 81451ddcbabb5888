//! What a batch costs beside a bare insert of one row: `STEPWELL_TEST_POSTGRES=postgres://… cargo run
//! --release -p stepwell-postgres --example postgres_batches`.
//!
//! Workflows of ten steps go through the store as the engine hands them in: so many at once, a
//! record of each in a batch, three batches in flight where there are enough of them. Prints the
//! median time of a batch, steps per second, and the same for each fifth of the run: it must not
//! grow. The bare insert is a prepared one-row transaction on one connection.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use stepwell_core::{
    End, ExecutorId, Outcome, Payload, Place, Position, RecordKind, WorkflowId, WorkflowKey,
    store::{
        Applied, Batch, Change, ExecutorStore, Finish, Launch, NewExecutor, NewRecord, NewWorkflow,
        Progress, Started, Store,
    },
};
use stepwell_postgres::PostgresStore;

const STEPS: u32 = 10;
const RUN: Duration = Duration::from_secs(5);

fn start(id: String) -> Change {
    Change::Start(NewWorkflow {
        launch: Launch::Here,
        ..NewWorkflow::new(
            WorkflowId::new(id).unwrap(),
            "checkout",
            Payload::from_stored("[1]".into()),
        )
    })
}

fn step(key: WorkflowKey, number: u32) -> Change {
    Change::Progress(Progress {
        key,
        records: vec![NewRecord {
            place: Place::At(Position::top(number)),
            kind: RecordKind::Step,
            name: "charge".into(),
            outcome: Outcome::Ok(Payload::from_stored(format!("{{\"paid\":{number}}}"))),
            attempts: 1,
            elapsed: Duration::from_micros(100),
        }],
        effects: Vec::new(),
    })
}

fn end(key: WorkflowKey) -> Change {
    Change::Finish(Finish {
        key,
        end: End::Succeeded(Payload::from_stored("1".into())),
        version: "v1".into(),
        alerts: Vec::new(),
    })
}

/// Ten steps of `at_once` workflows, from start to end. How long each batch took.
async fn workflows(
    store: &PostgresStore,
    executor: &ExecutorId,
    (at_once, name): (u32, String),
) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut commit = async |changes| {
        let began = Instant::now();
        let batch = Batch {
            executor: Some(executor.clone()),
            changes,
        };
        let applied = store.commit(batch).await.unwrap().applied;
        times.push(began.elapsed());
        applied
    };
    let started = commit((0..at_once).map(|i| start(format!("{name}-{i}"))).collect()).await;
    let keys: Vec<_> = (started.iter())
        .map(|it| match it {
            Applied::Start(Started::New { key, .. }) => *key,
            other => panic!("a start came to {other:?}"),
        })
        .collect();
    for number in 0..STEPS {
        let mut changes: Vec<_> = keys.iter().map(|key| step(*key, number)).collect();
        if number + 1 == STEPS {
            changes.extend(keys.iter().map(|key| end(*key)));
        }
        commit(changes).await;
    }
    times
}

/// Runs for a while, and prints what it came to.
async fn measure(store: &Arc<PostgresStore>, executor: &ExecutorId, (at_once, lanes): (u32, u32)) {
    let began = Instant::now();
    let lane = |lane: u32| {
        let (store, executor) = (Arc::clone(store), executor.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            for round in 0u32.. {
                if began.elapsed() > RUN {
                    break;
                }
                let name = format!("{}-{lane}-{round}", uuid::Uuid::new_v4());
                times.extend(workflows(&store, &executor, (at_once / lanes, name)).await);
            }
            times
        })
    };
    let lanes_running: Vec<_> = (0..lanes).map(lane).collect();
    let mut all = Vec::new();
    for lane in lanes_running {
        all.push(lane.await.unwrap());
    }
    let batches: usize = all.iter().map(Vec::len).sum();
    let steps = u32::try_from(batches).unwrap() * (at_once / lanes) * STEPS / (STEPS + 1);
    let fifths = (0..5).map(|fifth| {
        let part = all.iter().flat_map(|times| {
            let size = times.len() / 5;
            times[fifth * size..(fifth + 1) * size].iter().copied()
        });
        format!("{:.0}", median(part.collect()).as_secs_f64() * 1e6)
    });
    println!(
        "{at_once:4} at once, {lanes} writers: {:7.0} steps/s, a batch {:6.0} µs; by fifths {} µs",
        f64::from(steps) / began.elapsed().as_secs_f64(),
        median(all.concat()).as_secs_f64() * 1e6,
        fifths.collect::<Vec<_>>().join(" "),
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// One-row transactions on one connection.
async fn bare(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let table = "drop table if exists bare_rows; \
                 create table bare_rows (id bigint, payload text)";
    client.batch_execute(table).await.unwrap();
    let insert = client
        .prepare("insert into bare_rows values ($1, $2)")
        .await
        .unwrap();
    let (mut times, began) = (Vec::new(), Instant::now());
    while began.elapsed() < RUN {
        let now = Instant::now();
        client
            .execute(&insert, &[&1i64, &"{\"paid\":1}"])
            .await
            .unwrap();
        times.push(now.elapsed());
    }
    println!(
        "bare insert:             {:7} rows/s, median   {:6.0} µs",
        times.len() as u64 / RUN.as_secs(),
        median(times).as_secs_f64() * 1e6
    );
}

#[tokio::main]
async fn main() {
    let url = std::env::var("STEPWELL_TEST_POSTGRES").expect("STEPWELL_TEST_POSTGRES is a URL");
    let schema = format!("batches_{}", std::process::id());
    let store = PostgresStore::open(&format!("{url}?schema={schema}"))
        .await
        .unwrap();
    let store = Arc::new(store);
    let executor = ExecutorId::generate();
    let registered = store.register(NewExecutor {
        id: executor.clone(),
        application: "shop".into(),
        version: "v1".into(),
        host: "host".into(),
        pid: std::process::id(),
        lease: Duration::from_secs(3600),
        declares: Vec::new(),
        names: Vec::new(),
    });
    registered.await.unwrap();
    bare(&url).await;
    for scale in [(1, 1), (16, 1), (128, 1), (128, 2), (1, 1)] {
        measure(&store, &executor, scale).await;
    }
}
