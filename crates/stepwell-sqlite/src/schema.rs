//! Migrations: numbered, frozen files, applied under the file's write lock.
//!
//! A file of our own is marked in its header. In a file of an application's the header is the
//! application's, and a table says what was applied.

use rusqlite::{Connection, OptionalExtension, Transaction};
use stepwell_core::store::{Migration, Migrations};

use crate::{connection, error::Failure, url::Tenancy};

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

/// Says what was applied in a file of an application's.
const MAKE_MIGRATIONS: &str = "\
create table stepwell_migrations (
    number integer primary key,
    major integer not null,
    applied_at integer not null
) strict;
";

const IS_BESIDE: &str = "
    select 1
    from sqlite_schema
    where type = 'table'
      and name = 'stepwell_migrations'";

const APPLIED_BESIDE: &str = "
    select coalesce(max(major), 1) as major, coalesce(max(number), 0) as number
    from stepwell_migrations";

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

/// What a file is, as its header and its tables say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// It is new.
    Empty,
    /// It is our own.
    Own { major: u32, applied: u32 },
    /// It is an application's, and our tables are beside its.
    Beside { major: u32, applied: u32 },
    /// It is an application's; the first of its tables, if it has any.
    Others(Option<String>),
}

/// Where our tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Own,
    Beside,
}

/// Refuses a file that is none of ours, before anything about it is changed.
pub(crate) fn check(db: &mut Connection, tenancy: Tenancy) -> Result<(), NotMigrated> {
    let transaction = db.transaction()?;
    let found = look(&transaction)?;
    layout(&transaction, &found, tenancy).map(|_| ())
}

/// Brings the file to the newest schema.
///
/// Two processes may do it at once: the second one waits for the lock, and finds it done.
pub(crate) fn migrate(db: &mut Connection, tenancy: Tenancy) -> Result<(), NotMigrated> {
    let mut refused = None;
    let migrated = connection::transaction(db, |transaction| {
        let found = look(transaction)?;
        match layout(transaction, &found, tenancy) {
            Ok(layout) => apply(transaction, &found, layout)?,
            Err(NotMigrated::Failed(error)) => return Err(error.into()),
            Err(unusable) => refused = Some(unusable),
        }
        Ok(())
    });
    match (migrated, refused) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(unusable)) => Err(unusable),
        (Err(Failure::Sqlite(error)), _) => Err(NotMigrated::Failed(error)),
        (Err(other), _) => Err(NotMigrated::Unusable(format!("{other:?}"))),
    }
}

/// Reads what a file has and lacks.
pub(crate) fn read(db: &mut Connection, tenancy: Tenancy) -> Result<Migrations, NotMigrated> {
    let transaction = db.transaction()?;
    let found = look(&transaction)?;
    let layout = layout(&transaction, &found, tenancy)?;
    Ok(pending(&found, layout))
}

/// What a file lacks that is not there yet.
pub(crate) fn of_nothing(tenancy: Tenancy) -> Migrations {
    let layout = match tenancy {
        Tenancy::Own => Layout::Own,
        Tenancy::Existing => Layout::Beside,
    };
    pending(&Found::Empty, layout)
}

fn look(db: &Transaction<'_>) -> rusqlite::Result<Found> {
    let application = number(db, "application_id")?;
    let version = number(db, "user_version")?;
    if application == i64::from(APPLICATION_ID) {
        // A negative one was not written by us.
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        return Ok(Found::Own {
            major: version / MAJOR_UNIT,
            applied: version % MAJOR_UNIT,
        });
    }
    if db.prepare(IS_BESIDE)?.exists([])? {
        return db.query_row(APPLIED_BESIDE, [], |row| {
            Ok(Found::Beside {
                major: row.get("major")?,
                applied: row.get("number")?,
            })
        });
    }
    let table: Option<String> =
        db.query_row("select min(name) from sqlite_schema", [], |row| row.get(0))?;
    Ok(match table {
        None if version == 0 && application == 0 => Found::Empty,
        table => Found::Others(table),
    })
}

/// Where our tables are or are to be, or why the file is not to be touched.
fn layout(db: &Transaction<'_>, found: &Found, tenancy: Tenancy) -> Result<Layout, NotMigrated> {
    let refused = |reason: String| Err(NotMigrated::Unusable(reason));
    let layout = match (found, tenancy) {
        (Found::Own { .. }, _) | (Found::Empty, Tenancy::Own) => Layout::Own,
        (Found::Beside { .. }, _) | (Found::Empty | Found::Others(_), Tenancy::Existing) => {
            Layout::Beside
        }
        (Found::Others(table), Tenancy::Own) => {
            let what = match table {
                Some(table) => format!("a database of another application (it holds `{table}`)"),
                None => "marked by another application".to_owned(),
            };
            return refused(format!(
                "it is {what}; give Stepwell a file of its own, or, to keep workflows beside its \
                 tables, open it as `sqlite:…?existing`"
            ));
        }
    };
    match found {
        Found::Own { major, .. } | Found::Beside { major, .. } if *major > MAJOR => {
            refused(format!(
                "its schema is of version {major} and this program knows version {MAJOR}; update \
             Stepwell in this program, or go back to the file from before the update"
            ))
        }
        Found::Others(_) => match in_the_way(db)? {
            Some(reason) => refused(reason),
            None => Ok(layout),
        },
        _ => Ok(layout),
    }
}

/// Why our tables cannot be beside those that are there, if they cannot.
fn in_the_way(db: &Transaction<'_>) -> rusqlite::Result<Option<String>> {
    let encoding: String = db.pragma_query_value(None, "encoding", |row| row.get(0))?;
    if encoding != "UTF-8" {
        return Ok(Some(format!(
            "its texts are in {encoding}, and histories sort by the bytes of UTF-8; give Stepwell a \
             file of its own"
        )));
    }
    let mut find = db.prepare("select name from sqlite_schema where lower(name) = ?1")?;
    for name in names()? {
        let there: Option<String> = find.query_row([&name], |row| row.get(0)).optional()?;
        if let Some(there) = there {
            return Ok(Some(format!(
                "it holds `{there}`, and Stepwell has one of this name; rename it, or give Stepwell a \
                 file of its own"
            )));
        }
    }
    Ok(None)
}

/// The names of our tables and indexes, in lower case.
fn names() -> rusqlite::Result<Vec<String>> {
    let ours = Connection::open_in_memory()?;
    MIGRATIONS
        .iter()
        .try_for_each(|migration| ours.execute_batch(migration))?;
    let mut names =
        ours.prepare("select lower(name) from sqlite_schema where name not like 'sqlite%'")?;
    names.query_map([], |row| row.get(0))?.collect()
}

/// What is missing. A newer binary of this major version may have applied more than this one knows.
fn pending(found: &Found, layout: Layout) -> Migrations {
    let applied = match found {
        Found::Own { applied, .. } | Found::Beside { applied, .. } => *applied,
        Found::Empty | Found::Others(_) => 0,
    };
    let missing = (1..).zip(MIGRATIONS).filter(|(it, _)| *it > applied);
    let missing = missing.map(|(number, sql)| Migration {
        number,
        sql: match layout {
            Layout::Own => format!(
                "{sql}\npragma user_version = {};\npragma application_id = {APPLICATION_ID};\n",
                MAJOR * MAJOR_UNIT + number
            ),
            Layout::Beside => format!(
                "{}{sql}\ninsert into stepwell_migrations values ({number}, {MAJOR}, unixepoch() * 1000000);\n",
                if number == 1 { MAKE_MIGRATIONS } else { "" }
            ),
        },
    });
    Migrations {
        applied,
        missing: missing.collect(),
    }
}

/// Applies what is missing.
fn apply(db: &Transaction<'_>, found: &Found, layout: Layout) -> rusqlite::Result<()> {
    let Migrations { missing, .. } = pending(found, layout);
    (missing.iter()).try_for_each(|migration| db.execute_batch(&migration.sql))
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}
