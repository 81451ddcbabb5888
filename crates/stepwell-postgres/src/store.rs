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

use crate::{
    bell::{Bell, Tidings},
    change, clock,
    connection::Connection,
    enlist,
    error::{Failure, Remedy, corrupt},
    executors::Quiet,
    open,
    params::params,
    pool::Pool,
    rows::instant,
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
pub(crate) const SIDE_CONNECTIONS: usize = 4;

/// How often a job begins anew because others were in its way.
const TRIES_MAX: u32 = 10;

/// A job with its connection is given up after as long as this many statements may take.
const ANSWER_STATEMENTS: u32 = 2;

/// A job on a connection. It may run more than once.
pub(crate) type Job<I, T> = for<'a> fn(&'a Connection, &'a I) -> BoxFuture<'a, Result<T, Failure>>;

/// Keeps workflows in a schema of a Postgres database.
///
/// It has at most eight connections: three that write batches, four for everything else, and one
/// that hears what other processes have written. One that breaks is replaced at its next use; in
/// between, calls fail with [`StoreErrorKind::Unavailable`].
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
    writers: Pool,
    sides: Arc<Pool>,
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
        Ok(Self {
            server: opened.server,
            writers: opened.writers,
            sides: opened.sides,
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
        self.side("move the clock", by, |db, by| {
            Box::pin(clock::advance(db, *by))
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
        Box::pin(async move { self.run(&self.writers, operation, &input, job).await })
    }

    /// Runs any other job.
    pub(crate) fn side<I: Send + Sync + 'static, T: Send + 'static>(
        &self,
        operation: &'static str,
        input: I,
        job: Job<I, T>,
    ) -> StoreFuture<'_, T> {
        Box::pin(async move { self.run(&self.sides, operation, &input, job).await })
    }

    /// Waits for a try no longer than the server would: what takes our bytes and never answers (a
    /// pooler that hangs, a proxy whose server is gone) acknowledges them too, and nothing below
    /// would ever give up. Whether it was committed is not known then, as after every lost answer.
    async fn in_time<T>(
        &self,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let statement = self.server.address.timeouts.statement;
        if statement.is_zero() {
            return attempt.await;
        }
        let limit = statement.saturating_mul(ANSWER_STATEMENTS);
        let in_time = tokio::time::timeout(limit, attempt).await;
        in_time.unwrap_or(Err(Failure::Late("no answer came in time")))
    }

    /// Runs a job, and again while others are in its way.
    async fn run<I: Sync, T>(
        &self,
        pool: &Pool,
        operation: &'static str,
        input: &I,
        job: Job<I, T>,
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let attempt = self.in_time(attempt(pool, input, job));
            let failure = match attempt.await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match failure.remedy() {
                Remedy::Again if tries < TRIES_MAX => {}
                Remedy::AgainUnnamed if tries < TRIES_MAX => self.server.go_unnamed(),
                _ => return Err(failure.explain(operation, &self.shown)),
            }
        }
    }
}

/// One try. Dropped on its way, it closes its connection, and the server undoes what was not
/// committed.
async fn attempt<I: Sync, T>(pool: &Pool, input: &I, job: Job<I, T>) -> Result<T, Failure> {
    let db = pool.take().await?;
    let done = job(&db, input).await;
    db.give_back().await;
    done
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
        let ring = self.bell.wanted(Tidings::of(&batch.changes));
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
                .side("look for changes", (), |db, ()| {
                    Box::pin(crate::bell::count(db))
                })
                .await?;
            Ok(self.bell.compare(count))
        })
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
