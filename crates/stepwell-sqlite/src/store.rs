//! The store: what the engine calls, and how it comes to a connection.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use rusqlite::Connection;
use stepwell_core::{
    BoxFuture,
    clock::{Clock, SystemClock},
    store::{
        Batch, Migrations, News, Store, StoreDriver, StoreError, StoreErrorKind, StoreFuture,
        StoreUrl, Turns, Written,
    },
};

use crate::{
    change, connection,
    error::{Failure, is_busy},
    holder::Holder,
    locks::Locks,
    open,
    presence::Presence,
    schema,
    url::{Address, Tenancy},
    wal::Wal,
    worker::Worker,
};

inventory::submit! {
    StoreDriver {
        schemes: &["sqlite"],
        open: |url: &StoreUrl, clock| Box::pin(async move {
            let store = SqliteStore::open_with_clock(url.expose(), clock).await?;
            Ok(Arc::new(store) as Arc<dyn Store>)
        }),
        migrations: |url| Box::pin(SqliteStore::migrations(url.expose())),
    }
}

/// Keeps workflows in one SQLite file, or in memory.
///
/// One thread writes, two read; nothing waits for the disk in a task of the application. In memory
/// (`sqlite::memory:`) everything runs in the calling task. Dropping the store waits for what was
/// handed in.
///
/// Several processes on one machine may open the same file.
///
/// # Example
/// ```
/// use stepwell_core::store::{Filter, WorkflowStore};
/// use stepwell_sqlite::SqliteStore;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = SqliteStore::open("sqlite::memory:").await?;
/// assert!(store.list(Filter::default()).await?.is_empty());
/// # Ok::<(), stepwell_core::store::StoreError>(())
/// # }).unwrap();
/// ```
pub struct SqliteStore {
    // Before the locks: a lock is free only after the last batch.
    worker: Worker,
    locks: Option<Arc<Locks>>,
    /// The file, without links; none in memory.
    file: Option<PathBuf>,
    wal: Option<Wal>,
    presence: Option<Arc<Presence>>,
    clock: Arc<dyn Clock>,
    shown: String,
    data_version: AtomicI64,
    turns: Arc<Turns>,
}

impl SqliteStore {
    /// Opens the database at `sqlite:path`, `sqlite://path`, `sqlite:///absolute/path` or
    /// `sqlite::memory:`, on the machine's clock. A missing file is made; the schema is migrated.
    ///
    /// `sqlite:path?existing` makes the tables in a file that holds an application's, beside them: see
    /// the crate's documentation.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unusable`] if the address names no database that can be used, with what
    /// to do; [`StoreErrorKind::ReadOnly`] if it cannot be written; [`StoreErrorKind::Unavailable`]
    /// if another process keeps it locked.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with_clock(url, Arc::new(SystemClock)).await
    }

    /// Opens a database on a clock of the caller's. For tests.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_with_clock(url: &str, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let shown = address.describe();
        let (worker, file) = match address {
            Address::Memory => (open::memory()?, None),
            Address::File { path, tenancy } => {
                let (worker, real) = on_thread(&shown, move || open::file(&path, tenancy)).await?;
                (worker, Some(real))
            }
        };
        let store = Self {
            worker,
            locks: file.as_deref().map(|file| Arc::new(Locks::beside(file))),
            wal: file.as_deref().map(Wal::of),
            presence: file.as_deref().map(|file| Arc::new(Presence::of(file))),
            file,
            clock,
            shown,
            data_version: AtomicI64::new(0),
            turns: Arc::default(),
        };
        let version = store
            .write("look at the database", |db| read_data_version(db))
            .await?;
        store.data_version.store(version, Ordering::Relaxed);
        Ok(store)
    }

    /// Reads which migrations the database at a URL has and lacks. Makes no file and changes none.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn migrations(url: &str) -> Result<Migrations, StoreError> {
        let address = Address::parse(url)?;
        let shown = address.describe();
        match address {
            Address::Memory => Ok(schema::of_nothing(Tenancy::Own)),
            Address::File { path, tenancy } => {
                on_thread(&shown, move || open::migrations(&path, tenancy)).await
            }
        }
    }

    /// Runs a job that writes. `operation` completes the sentence "could not …".
    pub(crate) fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        Box::pin(async move {
            let done = self.worker.write(job).await;
            done.map_err(|failure| self.explain(failure, operation))
        })
    }

    /// Says what was tried, and of a lock that was not to be had, who has it.
    fn explain(&self, failure: Failure, operation: &str) -> StoreError {
        match (&failure, &self.file) {
            (Failure::Sqlite(error), Some(file)) if is_busy(error) => {
                failure.explain_busy(operation, &self.shown, Holder::of(file))
            }
            _ => failure.explain(operation, &self.shown),
        }
    }

    /// Runs a job that only reads.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        Box::pin(async move {
            let read = self.worker.read(job).await;
            read.map_err(|failure| self.explain(failure, operation))
        })
    }

    /// Whose turn it is in queues with keys.
    pub(crate) fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.turns)
    }

    /// The file, without links; none in memory.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Sees whether the file is still there; none in memory.
    pub(crate) fn presence(&self) -> Option<Arc<Presence>> {
        self.presence.clone()
    }

    /// The locks beside the file; none in memory.
    pub(crate) fn locks(&self) -> Option<Arc<Locks>> {
        self.locks.clone()
    }
}

/// Runs what blocks while a database is opened.
async fn on_thread<T: Send + 'static>(
    shown: &str,
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(job).await;
    done.map_err(|error| {
        StoreError::new(
            StoreErrorKind::Backend,
            format!("opening the database `{shown}` was broken off"),
        )
        .with_source(error)
    })?
}

impl Store for SqliteStore {
    fn commit(&self, batch: Batch) -> StoreFuture<'_, Written> {
        // Sampled here, not in the thread: a job has one instant, and it is the caller's.
        let now = self.now();
        let presence = self.presence();
        self.write("commit a batch", move |db| {
            let written = connection::transaction(db, |db| change::apply(db, batch, now))?;
            // After the commit: what is acknowledged went into the file that is there.
            presence.map_or(Ok(()), |presence| presence.check())?;
            Ok(written)
        })
    }

    fn writers(&self) -> usize {
        match self.worker {
            Worker::Inline(_) => 1,
            // The second waits in the writer's line, so that the writer need not.
            Worker::Threads { .. } => 2,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn news(&self) -> StoreFuture<'_, News> {
        Box::pin(async move {
            if matches!(self.worker, Worker::Inline(_)) {
                return Ok(News::default());
            }
            // On the writer's connection the number counts what other connections have committed:
            // in this process only those of the user, who may have started something.
            let now = self
                .write("look for changes", |db| read_data_version(db))
                .await?;
            // That is all that it says.
            Ok(match self.data_version.swap(now, Ordering::Relaxed) {
                before if before == now => News::default(),
                _ => News::of_anything(),
            })
        })
    }

    fn told(&self) -> BoxFuture<'_, ()> {
        match &self.wal {
            Some(wal) => Box::pin(wal.written()),
            None => Box::pin(std::future::pending()),
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("database", &self.shown)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

fn read_data_version(db: &Connection) -> Result<i64, Failure> {
    Ok(db.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests;
