//! What a batch costs beside bare inserts of the same rows: `cargo run --release -p stepwell-sqlite
//! --example sqlite_batches`.
//!
//! Workflows of ten steps go through the store as the engine hands them in, a batch for each step
//! of all of them; the same records go into a bare table in transactions of the same size. Both
//! are durable (write-ahead log, synchronous=FULL). Prints rows per second and the process's CPU
//! time per row, the median of five runs of each, run in turn.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for developers"
)]

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use stepwell_core::{
    End, ExecutorId, Outcome, Payload, Place, Position, RecordKind, WorkflowId, WorkflowKey,
    store::{
        Applied, Batch, Change, ExecutorStore, Finish, Launch, NewExecutor, NewRecord, NewWorkflow,
        Progress, Progressed, Started, Store,
    },
};
use stepwell_sqlite::SqliteStore;

const STEPS: u32 = 10;
const RUNS: usize = 5;

/// How long a run took, and what it cost.
#[derive(Clone, Copy)]
struct Cost {
    rows_per_second: f64,
    cpu_us_per_row: f64,
}

fn measured(rows: u32, work: impl FnOnce()) -> Cost {
    let (cpu, began) = (cpu_time(), Instant::now());
    work();
    Cost {
        rows_per_second: f64::from(rows) / began.elapsed().as_secs_f64(),
        cpu_us_per_row: (cpu_time() - cpu).as_secs_f64() * 1e6 / f64::from(rows),
    }
}

/// User and system time of this process; hundredths of a second are good enough for a whole run.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn output() -> Payload {
    Payload::from_stored(r#"{"order":4711,"status":"charged"}"#.into())
}

/// Bare inserts of the records, `size` in a transaction.
fn bare(size: u32, rounds: u32) -> Cost {
    let directory = tempfile::tempdir().unwrap();
    let mut db = Connection::open(directory.path().join("bare.db")).unwrap();
    db.execute_batch(
        "pragma journal_mode = wal;
        pragma synchronous = full;
        create table records (
            workflow_key integer not null, place text not null, kind text not null,
            name text not null, failed integer not null, payload text not null,
            attempts integer not null, started_at integer not null, recorded_at integer not null,
            primary key (workflow_key, place)
        ) strict, without rowid",
    )
    .unwrap();
    let places: Vec<String> = (0..STEPS)
        .map(|step| Position::top(step).encode())
        .collect();
    measured(size * rounds * (STEPS + 2), || {
        for round in 0..rounds {
            let first = i64::from(round * size);
            for (place, kind) in std::iter::once(("", "input"))
                .chain(places.iter().map(|place| (place.as_str(), "step")))
                .chain([("~", "result")])
            {
                let transaction = db.transaction().unwrap();
                let mut insert = transaction
                    .prepare_cached("insert into records values (?1, ?2, ?3, ?4, 0, ?5, 1, ?6, ?6)")
                    .unwrap();
                let payload = output();
                for key in first..first + i64::from(size) {
                    let at = 1_800_000_000_000_000i64;
                    insert
                        .execute(params![key, place, kind, "charge", payload.as_str(), at])
                        .unwrap();
                }
                drop(insert);
                transaction.commit().unwrap();
            }
        }
    })
}

struct Runner {
    store: SqliteStore,
    executor: ExecutorId,
    /// How long each batch took.
    batches: Mutex<Vec<Duration>>,
    _directory: tempfile::TempDir,
}

impl Runner {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("shop.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        let executor = ExecutorId::generate();
        let new = NewExecutor {
            id: executor.clone(),
            application: "shop".into(),
            version: "v1".into(),
            host: "host-1".into(),
            pid: 1,
            lease: Duration::from_secs(3_600),
            declares: Vec::new(),
            names: Vec::new(),
        };
        store.register(new).await.unwrap();
        Self {
            store,
            executor,
            batches: Mutex::default(),
            _directory: directory,
        }
    }

    async fn commit(&self, changes: Vec<Change>) -> Vec<Applied> {
        let executor = Some(self.executor.clone());
        let began = Instant::now();
        let written = self.store.commit(Batch { executor, changes }).await;
        self.batches.lock().unwrap().push(began.elapsed());
        written.unwrap().applied
    }

    async fn start(&self, size: u32, round: u32) -> Vec<WorkflowKey> {
        let start = |number| {
            Change::Start(NewWorkflow {
                launch: Launch::Here,
                ..NewWorkflow::new(
                    WorkflowId::new(format!("order-{round}-{number}")).unwrap(),
                    "checkout",
                    output(),
                )
            })
        };
        let applied = self.commit((0..size).map(start).collect()).await;
        let key = |applied| match applied {
            Applied::Start(Started::New { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        applied.into_iter().map(key).collect()
    }

    async fn round(&self, size: u32, round: u32) {
        let keys = self.start(size, round).await;
        for step in 0..STEPS {
            let record = |key: &WorkflowKey| {
                Change::Progress(Progress {
                    key: *key,
                    records: vec![NewRecord {
                        place: Place::At(Position::top(step)),
                        kind: RecordKind::Step,
                        name: "charge".into(),
                        outcome: Outcome::Ok(output()),
                        attempts: 1,
                        elapsed: Duration::ZERO,
                    }],
                    effects: vec![],
                })
            };
            let applied = self.commit(keys.iter().map(record).collect()).await;
            let new = |it: &Applied| matches!(it, Applied::Progress(Progressed::Recorded(_)));
            assert!(applied.iter().all(new));
        }
        let end = |key| {
            let end = End::Succeeded(output());
            Change::Finish(Finish {
                key,
                end,
                version: "v1".into(),
                alerts: Vec::new(),
            })
        };
        self.commit(keys.into_iter().map(end).collect()).await;
    }
}

fn store(runtime: &tokio::runtime::Runtime, size: u32, rounds: u32) -> (Cost, [Duration; 2]) {
    let runner = runtime.block_on(Runner::new());
    let cost = measured(size * rounds * (STEPS + 2), || {
        runtime.block_on(async {
            for round in 0..rounds {
                runner.round(size, round).await;
            }
        });
    });
    let mut batches = runner.batches.into_inner().unwrap();
    batches.sort();
    let slowest = batches.last().copied().unwrap_or_default();
    (cost, [batches[batches.len() / 2], slowest])
}

fn median(costs: &mut [Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    costs.sort_by(|a, b| of(a).total_cmp(&of(b)));
    of(&costs[costs.len() / 2])
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!(
        "batch   bare rows/s  store rows/s  ratio   bare µs CPU  store µs CPU   median, slowest batch"
    );
    for (size, rounds) in [(1, 300), (16, 200), (128, 100), (1_024, 20)] {
        let (mut bares, mut stores) = (Vec::new(), Vec::new());
        let (mut median_batch, mut slowest) = (Duration::MAX, Duration::ZERO);
        for _ in 0..RUNS {
            bares.push(bare(size, rounds));
            let (cost, [usual, most]) = store(&runtime, size, rounds);
            stores.push(cost);
            (median_batch, slowest) = (usual.min(median_batch), most.max(slowest));
        }
        let bare_rows = median(&mut bares, |cost| cost.rows_per_second);
        let store_rows = median(&mut stores, |cost| cost.rows_per_second);
        println!(
            "{size:>5}  {bare_rows:>12.0}  {store_rows:>12.0}  {:>5.2}  {:>12.2}  {:>12.2}   {median_batch:?}, {slowest:?}",
            store_rows / bare_rows,
            median(&mut bares, |cost| cost.cpu_us_per_row),
            median(&mut stores, |cost| cost.cpu_us_per_row),
        );
    }
}
