//! Real processes on one file.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use stepwell_core::{
    ExecutorId, Payload, State, Timestamp, WorkflowId,
    store::{
        Batch, Change, Claim, ExecutorStore, Launch, NewExecutor, NewWorkflow, RecoveryRules,
        Renewal, Store, StoreErrorKind, TakeOver, WorkflowStore,
    },
};
use stepwell_sqlite::SqliteStore;

const FILE: &str = "STEPWELL_TEST_FILE";
const READY: &str = "the child runs its workflow";

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(&format!("sqlite:{}", path.display()))
        .await
        .unwrap()
}

async fn register(store: &SqliteStore) -> ExecutorId {
    let executor = NewExecutor {
        id: ExecutorId::generate(),
        application: "shop".into(),
        version: "v1".into(),
        host: "host-1".into(),
        pid: std::process::id(),
        lease: Duration::from_secs(3_600),
        declares: Vec::new(),
        names: Vec::new(),
    };
    let id = executor.id.clone();
    store.register(executor).await.unwrap();
    id
}

/// Not a test by itself: what the child of the test below does.
#[tokio::test]
#[ignore = "run by `work_of_a_killed_process_is_taken_over_before_its_lease_ends`"]
async fn child() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let store = open(Path::new(&path)).await;
    let executor = register(&store).await;
    let start = NewWorkflow {
        launch: Launch::Here,
        ..NewWorkflow::new(
            WorkflowId::new("order-1").unwrap(),
            "checkout",
            Payload::from_stored("[]".into()),
        )
    };
    let batch = Batch {
        executor: Some(executor),
        changes: vec![Change::Start(start)],
    };
    store.commit(batch).await.unwrap();
    println!("\n{READY}");
    std::future::pending::<()>().await;
}

/// A process with a running workflow.
struct Running(Child);

impl Running {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--ignored", "--nocapture"])
            .env(FILE, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line == READY);
        let running = Self(child);
        assert!(ready, "the child has ended");
        running
    }

    /// `kill -9`, and waits until the process is gone.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn work_of_a_killed_process_is_taken_over_before_its_lease_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let child = Running::start(&path);
    let store = open(&path).await;
    let me = register(&store).await;

    let taken = store.take_over(look(&me)).await.unwrap();
    assert_eq!((taken.executors.len(), taken.workflows), (0, 0), "it lives");

    child.kill();
    let taken = store.take_over(look(&me)).await.unwrap();
    assert_eq!(
        (taken.executors.len(), taken.workflows, taken.more),
        (1, 1, false)
    );
    let claimed = store.claim(claim(&me)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let takeovers = store.takeovers(claimed[0].key).await.unwrap();
    assert_eq!(takeovers[0].why, "process gone");
    let id = WorkflowId::new("order-1").unwrap();
    assert_eq!(
        store.find(&id).await.unwrap().unwrap().state,
        State::Running
    );

    let locks = directory.path().join("shop.db.locks");
    let left = std::fs::read_dir(locks).unwrap().count();
    assert_eq!(left, 1, "the lock of the dead is removed, mine stays");
}

fn look(executor: &ExecutorId) -> TakeOver {
    TakeOver {
        executor: executor.clone(),
        workflows_max: 100,
        at: Timestamp::MAX,
        answered_for: Duration::MAX,
    }
}

fn claim(executor: &ExecutorId) -> Claim {
    Claim {
        executor: executor.clone(),
        names: vec!["checkout".into()],
        version: "v1".into(),
        limit: 10,
        rules: RecoveryRules {
            recoveries_max: 100,
        },
    }
}

#[tokio::test]
async fn what_another_process_writes_is_noticed_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let store = open(&path).await;
    register(&store).await;
    assert!(
        store.news().await.unwrap().is_nothing(),
        "my own writes are no news"
    );
    let other = open(&path).await;
    register(&other).await;
    assert!(!store.news().await.unwrap().is_nothing());
    assert!(store.news().await.unwrap().is_nothing());
}

/// What is written into a file without a name is gone with its last process.
#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_takes_nothing_more() {
    for (replaced, says) in [(false, "was deleted"), (true, "was replaced")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.db");
        let store = open(&path).await;
        let me = register(&store).await;
        std::fs::remove_file(&path).unwrap();
        if replaced {
            // Not at once in the place of the other one.
            let other = directory.path().join("other.db");
            drop(open(&other).await);
            std::fs::rename(other, &path).unwrap();
        }
        let batch = Batch {
            executor: Some(me.clone()),
            changes: Vec::new(),
        };
        let refused = [
            store.commit(batch).await.map(drop).unwrap_err(),
            store
                .renew(Renewal::of(me.clone()))
                .await
                .map(drop)
                .unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[tokio::test]
async fn a_retired_executor_leaves_no_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let store = open(&path).await;
    let me = register(&store).await;
    store.retire(&me).await.unwrap();
    let left = std::fs::read_dir(directory.path().join("shop.db.locks"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
}

/// What others commit is told, each time: nobody has to ask ten times a second.
#[tokio::test]
async fn a_commit_of_another_store_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let (store, other) = (open(&path).await, open(&path).await);
    for _ in 0..3 {
        while !store.news().await.unwrap().is_nothing() {}
        register(&other).await;
        while store.news().await.unwrap().is_nothing() {
            store.told().await;
        }
    }
}
