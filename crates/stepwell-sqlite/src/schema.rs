//! Migrations: numbered, frozen files, applied under the file's write lock.

use rusqlite::{Connection, Transaction};
use stepwell_core::store::{Migration, Migrations};

use crate::{connection, error::Failure};

/// Marks a file as ours: `stwl`, in the place that SQLite keeps for it.
const APPLICATION_ID: u32 = 0x7374_776c;

/// Binaries of another major version cannot use the file.
const MAJOR: u32 = 1;

/// `user_version` is the major version times this, and the number of the last migration.
const MAJOR_UNIT: u32 = 10_000;

/// The migrations of this major version: the first is number 1. Append only.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
];

/// Why a file was not migrated.
#[derive(Debug)]
pub(crate) enum NotMigrated {
    /// SQLite said no.
    Failed(rusqlite::Error),
    /// The file is none of ours, or too new. Says what to do.
    Unusable(String),
}

impl From<rusqlite::Error> for NotMigrated {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// Refuses a file that is none of ours, before anything about it is changed.
pub(crate) fn check(db: &mut Connection) -> Result<(), NotMigrated> {
    let transaction = db.transaction()?;
    match refuse(&transaction)? {
        None => Ok(()),
        Some(reason) => Err(NotMigrated::Unusable(reason)),
    }
}

/// Brings the file to the newest schema.
///
/// Two processes may do it at once: the second one waits for the lock, and finds it done.
pub(crate) fn migrate(db: &mut Connection) -> Result<(), NotMigrated> {
    let mut refused = None;
    let migrated = connection::transaction(db, |transaction| {
        refused = refuse(transaction)?;
        if refused.is_none() {
            apply(transaction)?;
        }
        Ok(())
    });
    match (migrated, refused) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(reason)) => Err(NotMigrated::Unusable(reason)),
        (Err(Failure::Sqlite(error)), _) => Err(NotMigrated::Failed(error)),
        (Err(other), _) => Err(NotMigrated::Unusable(format!("{other:?}"))),
    }
}

/// Why the file is not to be touched, if there is a reason.
fn refuse(db: &Transaction<'_>) -> rusqlite::Result<Option<String>> {
    let application = number(db, "application_id")?;
    let version = number(db, "user_version")?;
    let major = version / MAJOR_UNIT;
    if application != APPLICATION_ID {
        let table: Option<String> =
            db.query_row("select min(name) from sqlite_schema", [], |row| row.get(0))?;
        return Ok(match table {
            None if version == 0 => None,
            Some(table) => Some(format!(
                "it is a database of another application (it holds `{table}`); give Stepwell a \
                 file of its own"
            )),
            None => {
                Some("it is marked by another application; give Stepwell a file of its own".into())
            }
        });
    }
    Ok((major > MAJOR).then(|| {
        format!(
            "its schema is of version {major} and this program knows version {MAJOR}; update \
             Stepwell in this program, or go back to the file from before the update"
        )
    }))
}

/// Reads what a file has and lacks.
pub(crate) fn read(db: &mut Connection) -> Result<Migrations, NotMigrated> {
    let transaction = db.transaction()?;
    match refuse(&transaction)? {
        None => Ok(pending(number(&transaction, "user_version")?)),
        Some(reason) => Err(NotMigrated::Unusable(reason)),
    }
}

/// What a file lacks that is not there yet.
pub(crate) fn of_nothing() -> Migrations {
    pending(0)
}

/// What is missing at a `user_version` of this major version. A newer binary of it may have applied
/// more than this one knows.
fn pending(user_version: u32) -> Migrations {
    let applied = user_version % MAJOR_UNIT;
    let missing = (1..).zip(MIGRATIONS).filter(|(it, _)| *it > applied);
    let missing = missing.map(|(number, sql)| Migration {
        number,
        sql: format!(
            "{sql}\npragma user_version = {};\npragma application_id = {APPLICATION_ID};\n",
            MAJOR * MAJOR_UNIT + number
        ),
    });
    Migrations {
        applied,
        missing: missing.collect(),
    }
}

/// Applies what is missing.
fn apply(db: &Transaction<'_>) -> rusqlite::Result<()> {
    let Migrations { missing, .. } = pending(number(db, "user_version")?);
    (missing.iter()).try_for_each(|migration| db.execute_batch(&migration.sql))
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<u32> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}
