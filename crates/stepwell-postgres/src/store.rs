//! The store: what the engine calls, and how it comes to a connection.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use stepwell_core::{
    Error,
    store::{
        Batch, Migrations, News, Store, StoreDriver, StoreError, StoreFuture, StoreUrl, Written,
    },
};
use tokio::sync::watch;

use crate::{
    apart::Apart,
    bell::{Bell, Tidings},
    change, clock,
    connection::Connection,
    enlist,
    error::{Failure, corrupt},
    executors::Quiet,
    jobs::{Job, Jobs},
    open,
    params::params,
    rows::{instant, micros},
    server::Server,
    url::Address,
};

inventory::submit! {
    StoreDriver {
        schemes: &["postgres", "postgresql"],
        // The server has a clock of its own.
        open: |url: &StoreUrl, _| Box::pin(async move {
            let store = PostgresStore::open(url.expose()).await?;
            Ok(Arc::new(store) as Arc<dyn Store>)
        }),
        migrations: |url| Box::pin(PostgresStore::migrations(url.expose())),
    }
}

/// How many batches are written at once, each on a connection of its own.
pub(crate) const WRITERS: usize = 3;

/// How many connections there are for everything else.
pub(crate) const SIDE_CONNECTIONS: usize = 3;

/// One for what a lease stands on, which must not wait for a place among the others.
pub(crate) const LEASE_CONNECTIONS: usize = 1;

/// Keeps workflows in a schema of a Postgres database.
///
/// It has at most eight connections: three that write batches, one that keeps the lease and looks for
/// dead executors, three for everything else, and one that hears what other processes have written.
/// What keeps the lease has a thread of its own, which steps cannot block. A connection that breaks
/// is replaced at its next use; in between, calls fail with [`StoreErrorKind::Unavailable`].
///
/// A call that is dropped while it waits closes its connection, and what it had not committed is
/// undone.
///
/// # Example
/// ```no_run
/// use stepwell_core::store::{Filter, WorkflowStore};
/// use stepwell_postgres::PostgresStore;
///
/// # async fn example() -> Result<(), stepwell_core::store::StoreError> {
/// let store = PostgresStore::open("postgres://shop:secret@localhost/shop").await?;
/// assert!(store.list(Filter::default()).await?.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// [`StoreErrorKind::Unavailable`]: stepwell_core::store::StoreErrorKind::Unavailable
pub struct PostgresStore {
    pub(crate) server: Arc<Server>,
    jobs: Arc<Jobs>,
    apart: Apart,
    pub(crate) bell: Bell,
    pub(crate) quiet: Quiet,
    shown: String,
    /// Which schema it is; asked when somebody wants to know.
    identity: tokio::sync::OnceCell<String>,
}

impl PostgresStore {
    /// Opens the database at `postgres://user:password@host:port/database` and migrates its schema.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unusable`] if the address names no database that can be used, with what
    /// to do; [`StoreErrorKind::Unavailable`] if the server is not there.
    ///
    /// [`StoreErrorKind::Unusable`]: stepwell_core::store::StoreErrorKind::Unusable
    /// [`StoreErrorKind::Unavailable`]: stepwell_core::store::StoreErrorKind::Unavailable
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let shown = address.describe();
        let opened = open::open(address).await;
        let opened = opened.map_err(|failure| failure.explain("open the database", &shown))?;
        let apart = Apart::start();
        let jobs = Jobs {
            server: Arc::clone(&opened.server),
            writers: opened.writers,
            sides: opened.sides,
            lease: opened.lease,
            shown: shown.clone(),
            silences: watch::Sender::new(0),
        };
        Ok(Self {
            server: opened.server,
            jobs: Arc::new(jobs),
            apart: apart.map_err(|failure| failure.explain("open the database", &shown))?,
            bell: opened.bell,
            quiet: Quiet::default(),
            shown,
            identity: tokio::sync::OnceCell::new(),
        })
    }

    /// Reads which migrations the schema at a URL has and lacks. Changes nothing.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn migrations(url: &str) -> Result<Migrations, StoreError> {
        let address = Address::parse(url)?;
        let shown = address.describe();
        let read = open::migrations(address).await;
        read.map_err(|failure| failure.explain("look at the schema", &shown))
    }

    /// Which schema this is, among all of all databases. `what` completes the sentence "could
    /// not …".
    pub(crate) async fn identity(&self, what: &str) -> Result<&str, Error> {
        let ask = || {
            self.side("ask which schema it is", (), |db, ()| {
                Box::pin(enlist::ask_identity(db))
            })
        };
        let identity = self.identity.get_or_try_init(ask).await;
        identity
            .map(String::as_str)
            .map_err(|error| Error::of_store(what, error))
    }

    /// Moves the schema's clock by a while, for everybody who uses the schema. For tests.
    ///
    /// # Errors
    /// Those of any statement.
    #[doc(hidden)]
    pub async fn advance_clock(&self, by: Duration) -> Result<(), StoreError> {
        self.move_clock(micros(by)).await
    }

    /// Sets the schema's clock back, for everybody who uses the schema. For tests.
    ///
    /// # Errors
    /// Those of any statement.
    #[doc(hidden)]
    pub async fn set_clock_back(&self, by: Duration) -> Result<(), StoreError> {
        self.move_clock(-micros(by)).await
    }

    async fn move_clock(&self, by_micros: i64) -> Result<(), StoreError> {
        self.side("move the clock", by_micros, |db, by_micros| {
            Box::pin(clock::advance(db, *by_micros))
        })
        .await?;
        self.read_clock().await
    }

    /// Learns that the schema's clock was moved, as the next renewal would. For tests.
    ///
    /// # Errors
    /// Those of any statement.
    #[doc(hidden)]
    pub async fn read_clock(&self) -> Result<(), StoreError> {
        self.quiet.forget();
        self.side("read the clock", (), |db, ()| Box::pin(learn_time(db)))
            .await
    }

    /// Runs a job that writes a batch. `operation` completes the sentence "could not …".
    fn write<I: Send + Sync + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        input: I,
        job: Job<I, T>,
    ) -> StoreFuture<'_, T> {
        let jobs = &self.jobs;
        Box::pin(async move { jobs.run(&jobs.writers, operation, &input, job).await })
    }

    /// Runs any other job.
    pub(crate) fn side<I: Send + Sync + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        input: I,
        job: Job<I, T>,
    ) -> StoreFuture<'_, T> {
        let jobs = &self.jobs;
        Box::pin(async move { jobs.run(&jobs.sides, operation, &input, job).await })
    }

    /// Runs a job that a lease stands on. It may be done twice.
    pub(crate) fn prompt<I: Send + Sync + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        input: I,
        job: Job<I, T>,
    ) -> StoreFuture<'_, T> {
        let jobs = Arc::clone(&self.jobs);
        self.apart
            .run(async move { jobs.prompt(operation, &input, job).await })
    }

    /// The same for a job that must not be done twice: it fails instead.
    pub(crate) fn prompt_once<I: Send + Sync + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        input: I,
        job: Job<I, T>,
    ) -> StoreFuture<'_, T> {
        let jobs = Arc::clone(&self.jobs);
        self.apart
            .run(async move { jobs.prompt_once(operation, &input, job).await })
    }

    /// The same for a job that may take long.
    pub(crate) fn apart<I: Send + Sync + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        input: I,
        job: Job<I, T>,
    ) -> StoreFuture<'_, T> {
        let jobs = Arc::clone(&self.jobs);
        self.apart
            .run(async move { jobs.run(&jobs.lease, operation, &input, job).await })
    }
}

/// Asks the server's clock.
pub(crate) async fn learn_time(db: &Connection) -> Result<(), Failure> {
    let asked = Instant::now();
    let row = db.query_opt(clock::ASK, params![]).await?;
    let row = row.ok_or_else(|| corrupt("answer of the clock", "nothing"))?;
    db.server.clock.learn(instant(&row, 0)?, asked);
    Ok(())
}

impl Store for PostgresStore {
    fn commit(&self, batch: Batch) -> StoreFuture<'_, Written> {
        let ring = self.bell.wanted(Tidings::of(&batch));
        self.write("commit a batch", (batch, ring), |db, (batch, ring)| {
            Box::pin(change::commit(db, batch, ring.as_ref()))
        })
    }

    fn writers(&self) -> usize {
        WRITERS
    }

    fn now(&self) -> Timestamp {
        self.server.clock.now()
    }

    fn news(&self) -> StoreFuture<'_, News> {
        Box::pin(async move {
            if let Some(heard) = self.bell.heard() {
                return Ok(heard);
            }
            let count = self
                .prompt("look for changes", (), |db, ()| {
                    Box::pin(crate::bell::count(db))
                })
                .await?;
            Ok(self.bell.compare(count))
        })
    }

    fn told(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.bell.told())
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("database", &self.shown)
            .finish_non_exhaustive()
    }
}
