//! A database with an outbox, and one for workflows, for one test.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use scratch::Database;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use stepwell::{
    App, Ctx, Queue, State,
    events::{Consumers, Delivery, Sources},
    outbox::Outbox,
    store::Filter,
    workflow,
};
use tempfile::TempDir;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) static SHUT: Queue = Queue::new("outbox-shut").waiting_max(1);
pub(crate) static LINE: Queue = Queue::new("outbox-line").concurrency(1).waiting_max(3);

#[workflow]
pub(crate) async fn ship(_ctx: &mut Ctx, order: u32) -> stepwell::Result<u32> {
    Ok(order)
}

/// A user's database.
pub(crate) enum Users {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

pub(crate) struct Place {
    pub(crate) users: Users,
    pub(crate) directory: TempDir,
    /// Dropped last.
    _database: Option<Database>,
}

impl Place {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!(
            "sqlite:{}?mode=rwc",
            directory.path().join("users.db").display()
        );
        let place = Self {
            users: Users::Sqlite(SqlitePool::connect(&url).await.unwrap()),
            directory,
            _database: None,
        };
        place.run(place.outbox().schema()).await;
        place
    }

    /// None, and a line that says so, without a server.
    pub(crate) async fn postgres() -> Option<Self> {
        let database = Database::new("outbox")?;
        let place = Self {
            users: Users::Postgres(PgPool::connect(database.url()).await.unwrap()),
            directory: tempfile::tempdir().unwrap(),
            _database: Some(database),
        };
        place.run(place.outbox().schema()).await;
        Some(place)
    }

    pub(crate) fn outbox(&self) -> Outbox {
        match &self.users {
            Users::Sqlite(pool) => Outbox::sqlite(pool.clone()),
            Users::Postgres(pool) => Outbox::postgres(pool.clone()),
        }
    }

    /// Runs statements in the user's database.
    pub(crate) async fn run(&self, sql: String) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &self.users {
            Users::Sqlite(pool) => drop(sql.execute(pool).await.unwrap()),
            Users::Postgres(pool) => drop(sql.execute(pool).await.unwrap()),
        }
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        match &self.users {
            Users::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Users::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        }
    }

    pub(crate) async fn insert(&self, payload: &str) {
        let sql =
            format!("insert into outbox (kind, key, payload) values ('order', 'ann', '{payload}')");
        self.run(sql).await;
    }

    pub(crate) async fn app(&self) -> App {
        let url = format!(
            "sqlite:{}",
            self.directory.path().join("workflows.db").display()
        );
        App::builder("outbox").database(url).launch().await.unwrap()
    }

    /// Waits until so many rows are accepted and none waits.
    pub(crate) async fn accepted(&self, rows: i64) {
        let until = Instant::now() + PATIENCE;
        loop {
            let accepted = "select count(*) from outbox where accepted_at is not null";
            let waiting = "select count(*) from outbox where accepted_at is null";
            let now = (self.number(accepted).await, self.number(waiting).await);
            if now == (rows, 0) {
                return;
            }
            assert!(Instant::now() < until, "{now:?} are accepted and waiting");
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn consuming(app: &App, outbox: Outbox) -> Consumers {
    let sources = Sources::new(app).add(outbox, |event| event.json().map(ship));
    sources.unwrap().start()
}

/// Notes what comes, too.
pub(crate) fn noting(app: &App, outbox: Outbox) -> (Consumers, Arc<Mutex<Vec<Delivery>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let sources = Sources::new(app).add(outbox, move |event| {
        note.lock().unwrap().push(event.clone());
        event.json().map(ship)
    });
    (sources.unwrap().start(), seen)
}

/// The ids of the workflows in a state, once there are so many, the oldest first.
pub(crate) async fn wait_for(app: &App, state: State, count: usize) -> Vec<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let filter = Filter {
            states: vec![state],
            limit: 1_000,
            ..Filter::default()
        };
        let found = app.client().list(filter).await.unwrap();
        if found.len() >= count {
            return found.iter().rev().map(|it| it.id.to_string()).collect();
        }
        assert!(
            Instant::now() < until,
            "{} of {count} are {state}",
            found.len()
        );
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn stop(app: App, consumers: Consumers) {
    app.shutdown().await;
    consumers.ended().await;
}
