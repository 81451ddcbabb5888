//! Opening a database: checks, set-up, migration, and clear words when it cannot be.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use stepwell_core::store::{Migrations, StoreError, StoreErrorKind};

use crate::{
    connection,
    error::{Failure, is_busy},
    schema::{self, NotMigrated},
    url::{Tenancy, check_place},
    worker::Worker,
};

/// How long to wait before opening is tried again while another process makes the same file.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// Makes a migrated database in memory.
pub(crate) fn memory() -> Result<Worker, StoreError> {
    let shown = "sqlite::memory:";
    let mut db = connection::memory().map_err(|error| failed(shown, error))?;
    schema::migrate(&mut db, Tenancy::Own).map_err(|error| not_migrated(shown, error))?;
    Ok(Worker::Inline(db.into()))
}

/// Opens a file, makes it when it is missing, and migrates it. Blocks: call it on a thread.
///
/// Also returns the file's path without links, so that every process finds the same locks.
pub(crate) fn file(path: &Path, tenancy: Tenancy) -> Result<(Worker, PathBuf), StoreError> {
    check_place(path)?;
    let shown = path.display().to_string();
    let mut writer = connection::writer(path).map_err(|error| failed(&shown, error))?;
    let read_only = writer
        .is_readonly("main")
        .map_err(|error| failed(&shown, error))?;
    if read_only {
        return Err(StoreError::new(
            StoreErrorKind::ReadOnly,
            format!(
                "the database `{shown}` cannot be written by this process; check the owner and \
                 the rights of the file and of its directory"
            ),
        ));
    }
    prepare(&mut writer, &shown, tenancy)?;
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let worker = Worker::threads(writer, path)
        .map_err(|failure| failure.explain("start the threads of the database", &shown))?;
    Ok((worker, real))
}

/// Reads what a file has and lacks, without making or changing it. Blocks: call it on a thread.
pub(crate) fn migrations(path: &Path, tenancy: Tenancy) -> Result<Migrations, StoreError> {
    check_place(path)?;
    if !path.exists() {
        return Ok(schema::of_nothing(tenancy));
    }
    let shown = path.display().to_string();
    let mut db = connection::visitor(path).map_err(|error| failed(&shown, error))?;
    schema::read(&mut db, tenancy).map_err(|error| not_migrated(&shown, error))
}

/// Sets the file up. Making a file and turning on its log want it alone, and SQLite does not
/// always wait by itself there: two processes that start at once would fail one of them.
fn prepare(db: &mut Connection, shown: &str, tenancy: Tenancy) -> Result<(), StoreError> {
    let began = Instant::now();
    loop {
        let error = match set_up(db, tenancy) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let busy = matches!(&error, NotMigrated::Failed(error) if is_busy(error));
        if !busy || began.elapsed() > connection::BUSY_MAX {
            return Err(not_migrated(shown, error));
        }
        thread::sleep(RETRY_AFTER);
    }
}

fn set_up(db: &mut Connection, tenancy: Tenancy) -> Result<(), NotMigrated> {
    schema::check(db, tenancy)?;
    connection::make_durable(db)?;
    schema::migrate(db, tenancy)
}

fn not_migrated(shown: &str, error: NotMigrated) -> StoreError {
    match error {
        NotMigrated::Failed(error) => failed(shown, error),
        NotMigrated::Unusable(reason) => StoreError::new(
            StoreErrorKind::Unusable,
            format!("cannot use the database `{shown}`: {reason}"),
        ),
    }
}

/// What an error means while a database is opened: later the same code can mean another thing.
fn failed(shown: &str, error: rusqlite::Error) -> StoreError {
    let unusable = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!(
            "`{shown}` is not a SQLite database; choose another path, or move the file away"
        ),
        Some(ErrorCode::CannotOpen) => format!(
            "the database `{shown}` cannot be opened or made; check that this process may write \
             the directory"
        ),
        _ => return Failure::Sqlite(error).explain("open the database", shown),
    };
    StoreError::new(StoreErrorKind::Unusable, unusable).with_source(error)
}
