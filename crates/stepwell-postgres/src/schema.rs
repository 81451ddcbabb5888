//! Migrations: numbered, frozen files, applied in one transaction under one lock.

use stepwell_core::store::{Migration, Migrations};

use crate::{connection::Connection, error::Failure, params::params, rows::get};

/// Binaries of another major version cannot use the schema.
const MAJOR: i32 = 1;

/// The migrations of this major version: the first is number 1. Append only.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];

/// The schema, if there is one: whether the user may use it, and whether it is ours.
///
/// From the catalogue, not by `to_regclass`: that one looks into a cache, which a statement behind
/// the lock finds as it was before the lock was waited for.
const LOOK: &str = "
    select has_schema_privilege(n.oid, 'usage'),
        exists (
            select from pg_catalog.pg_class as c
            where c.relnamespace = n.oid
              and c.relname = 'migrations'
        )
    from pg_catalog.pg_namespace as n
    where n.nspname = $1";

const APPLIED: &str = "
    select coalesce(max(major), 1), coalesce(max(number), 0)
    from {schema}.migrations";

/// Two processes that start at once on an empty database: the second waits here and finds it done.
const LOCK: &str =
    "select pg_advisory_xact_lock(hashtextextended('stepwell migrations of ' || $1, 0))";

const MAKE_SCHEMA: &str = "create schema {schema};\n";

const MAKE_MIGRATIONS: &str = "
    create table {schema}.migrations (
        number integer primary key,
        major integer not null,
        applied_at timestamptz not null default clock_timestamp()
    );
";

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Not even the schema.
    Nothing,
    /// A schema without a table of ours.
    Schema,
    /// Ours, with migrations up to this one.
    Migrated(i32),
}

/// Brings the schema to its newest form. A schema that has it needs no right to make anything.
///
/// # Errors
/// If it was made by a newer major version, or a right is missing.
pub(crate) async fn migrate(db: &Connection) -> Result<(), Failure> {
    if is_newest(look(db).await?) {
        return Ok(());
    }
    let migrated = migrate_alone(db).await;
    migrated.map_err(|failure| explain(db, failure))
}

fn is_newest(found: Found) -> bool {
    matches!(found, Found::Migrated(applied) if usize::try_from(applied).is_ok_and(|it| it >= MIGRATIONS.len()))
}

async fn migrate_alone(db: &Connection) -> Result<(), Failure> {
    db.begin().await?;
    let schema = db.server.address.schema.as_str();
    db.query(LOCK, params![schema]).await?;
    // Looked at again behind the lock.
    for migration in missing(look(db).await?) {
        db.batch(&migration.sql).await?;
    }
    db.commit().await
}

/// Reads what the schema has and lacks.
pub(crate) async fn read(db: &Connection) -> Result<Migrations, Failure> {
    let found = look(db).await?;
    let in_schema = |migration: Migration| Migration {
        sql: db.server.in_schema(&migration.sql),
        ..migration
    };
    Ok(Migrations {
        applied: applied_of(found),
        missing: missing(found).into_iter().map(in_schema).collect(),
    })
}

/// What is to be applied, with `{schema}` where its name comes.
fn missing(found: Found) -> Vec<Migration> {
    let applied = applied_of(found);
    let make = match found {
        Found::Nothing => format!("{MAKE_SCHEMA}{MAKE_MIGRATIONS}"),
        Found::Schema => MAKE_MIGRATIONS.to_owned(),
        Found::Migrated(_) => String::new(),
    };
    let missing = (1..).zip(MIGRATIONS).filter(|(it, _)| *it > applied);
    let missing = missing.map(|(number, sql)| Migration {
        number,
        sql: format!(
            "{}{sql}\ninsert into {{schema}}.migrations (number, major) values ({number}, {MAJOR});\n",
            if number == applied + 1 { make.as_str() } else { "" }
        ),
    });
    missing.collect()
}

fn applied_of(found: Found) -> u32 {
    match found {
        Found::Migrated(applied) => u32::try_from(applied).unwrap_or(0),
        Found::Nothing | Found::Schema => 0,
    }
}

async fn look(db: &Connection) -> Result<Found, Failure> {
    let schema = db.server.address.schema.as_str();
    let Some(row) = db.query_opt(LOOK, params![schema]).await? else {
        return Ok(Found::Nothing);
    };
    match (get(&row, 0)?, get(&row, 1)?) {
        (true, true) => applied(db).await,
        (true, false) => Ok(Found::Schema),
        (false, _) => Err(Failure::Unusable(format!(
            "the user may not use the schema `{schema}`; grant `usage` on it"
        ))),
    }
}

async fn applied(db: &Connection) -> Result<Found, Failure> {
    let Some(row) = db.query_opt(APPLIED, params![]).await? else {
        return Ok(Found::Schema);
    };
    let (major, applied): (i32, i32) = (get(&row, 0)?, get(&row, 1)?);
    if major > MAJOR {
        return Err(Failure::Unusable(format!(
            "its schema `{}` is of version {major} and this program knows version {MAJOR}; update \
             Stepwell in this program, or give it another `schema`",
            db.server.address.schema
        )));
    }
    Ok(Found::Migrated(applied))
}

/// A right that is missing here is another one than later.
fn explain(db: &Connection, failure: Failure) -> Failure {
    let schema = &db.server.address.schema;
    let Failure::Postgres(error) = &failure else {
        return failure;
    };
    match error.code().map(|code| code.code()) {
        Some("42501") => Failure::Unusable(format!(
            "the schema `{schema}` must be made or brought up to date, and the user may not; open \
             it once as a user with `create` on the database, then grant this one `usage` on the \
             schema, `select, insert, update, delete` on its tables and `usage, select` on its \
             sequences"
        )),
        Some("42P07" | "42723") => Failure::Unusable(format!(
            "the schema `{schema}` holds tables of another application; give Stepwell one of its \
             own with `?schema=…`"
        )),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_of_a_newer_binary_of_the_same_major_version_is_used() {
        let newest = i32::try_from(MIGRATIONS.len()).unwrap();
        assert!(is_newest(Found::Migrated(newest)));
        assert!(is_newest(Found::Migrated(newest + 8)));
        assert!(!is_newest(Found::Migrated(newest - 1)));
        assert!(!is_newest(Found::Schema));
        assert!(!is_newest(Found::Nothing));
    }
}
