//! Connections: how each is set up, and the transactions on them.

use std::{fs::File, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::Failure;

/// How long a statement waits for another process before the store is `Unavailable`.
///
/// SQLite waits inside, in a thread of the store: no task of the application is held up.
pub(crate) const BUSY_MAX: Duration = Duration::from_secs(5);

/// After how many pages of the log the writer copies them into the file: about 16 MiB.
///
/// The writer does it itself, right after a commit, when nobody else in the process writes: so it
/// gets through to the end and the log begins anew, however many batches follow each other. A
/// checkpoint beside the writer would never catch up with it. It costs one batch in thousands a
/// few milliseconds.
const CHECKPOINT_PAGES: i64 = 4_000;

/// What is left of the log's file after a reader had held up a checkpoint: 64 MiB.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// What a writer keeps of the file in memory: 32 MiB.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// What a reader keeps of the file in memory: 8 MiB.
const READER_CACHE_KIB: i64 = 8 * 1024;

/// More than there are statements: each is prepared once for a connection.
const STATEMENTS_KEPT: usize = 256;

/// Opens the file's one connection that writes.
pub(crate) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    make_private(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    set_up(&db, WRITER_CACHE_KIB)?;
    Ok(db)
}

/// Makes a missing file so that its owner alone reads it: it will hold the inputs and results of all
/// workflows. SQLite gives its log and its shared memory the same rights. What is there keeps the
/// rights that it was given.
fn make_private(path: &Path) {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Why it cannot be made, SQLite finds out and says.
    drop(options.write(true).create_new(true).open(path));
}

/// Makes a committed batch survive a power cut. Converts a new file to write-ahead logging, which
/// wants it alone: the caller tries again while another process does the same.
pub(crate) fn make_durable(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)
}

/// Opens a file as it is found, to look at it: changes nothing, and makes no file.
pub(crate) fn visitor(path: &Path) -> rusqlite::Result<Connection> {
    // Not `READ_ONLY`: where the log's shared memory is gone, such a connection cannot read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_MAX)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Opens a connection that only reads.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    // A connection that may not write could not make the shared memory of the log either.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    set_up(&db, READER_CACHE_KIB)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Makes a database in memory.
pub(crate) fn memory() -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    set_up(&db, WRITER_CACHE_KIB)?;
    Ok(db)
}

fn set_up(db: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_MAX)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "temp_store", "memory")?;
    // Negative: KiB instead of pages.
    db.pragma_update(None, "cache_size", -cache_kib)
}

/// Applies what a job writes, all of it or nothing.
///
/// `immediate` takes the file's write lock first. A transaction that read first and wrote later
/// could find that another process has written in between, and would have to begin again.
pub(crate) fn transaction<T>(
    db: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // An error drops the transaction, which undoes it.
    let done = job(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Reads with several statements what belongs together: all see the same instant.
pub(crate) fn snapshot<T>(
    db: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let read = job(&transaction)?;
    transaction.commit()?;
    Ok(read)
}
