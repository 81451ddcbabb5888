//! What a Postgres server has to do for a workflow, and for a process with nothing to do.
//!
//! On a server of its own: one that counts statements is a little slower. Counts are what all
//! databases of the server add up to, but for the one that asks.

use std::{path::Path, time::Duration};

use sqlx::{Connection as _, PgConnection, Row as _};

use crate::{
    Size,
    driver::{Error, number, rounds::Round},
    field::{Entry, Field, Place},
    idle,
    table::{Goal, Table},
};

/// The database that asks.
const ASKING: &str = "counting";

/// A backend that has become idle tells what it did after ten seconds at the latest.
const TOLD_AFTER: Duration = Duration::from_secs(11);

const COUNT: &str = "
    select
        (
            select coalesce(sum(s.calls), 0)::float8
            from pg_stat_statements as s
            join pg_database as d
              on d.oid = s.dbid
            where d.datname <> 'counting'
        ),
        (select sum(xact_commit)::float8 from pg_stat_database where datname <> 'counting'),
        (pg_current_wal_insert_lsn() - '0/0')::float8,
        (select sum(tup_updated + tup_deleted)::float8 from pg_stat_database)";

/// What the server has done since it began.
#[derive(Debug, Clone, Copy)]
struct Counts {
    statements: f64,
    commits: f64,
    wal_bytes: f64,
    /// Versions of rows that were replaced or deleted: what vacuum has to clean up.
    dead_rows: f64,
}

impl Counts {
    async fn read(db: &mut PgConnection) -> Result<Self, Error> {
        let row = sqlx::query(COUNT).fetch_one(db).await?;
        Ok(Self {
            statements: row.try_get(0)?,
            commits: row.try_get(1)?,
            wal_bytes: row.try_get(2)?,
            dead_rows: row.try_get(3)?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            statements: self.statements - before.statements,
            commits: self.commits - before.commits,
            wal_bytes: self.wal_bytes - before.wal_bytes,
            dead_rows: self.dead_rows - before.dead_rows,
        }
    }
}

pub(crate) async fn measure(table: &mut Table, size: Size, directory: &Path) -> Result<(), Error> {
    let directory = directory.join("counting");
    std::fs::create_dir(&directory)?;
    let field = tokio::task::block_in_place(|| Field::counting(&directory))?;
    let Some(server) = field.postgres() else {
        return Ok(());
    };
    let mut postgres = PgConnection::connect(&server.database("postgres")).await?;
    sqlx::query("create database counting")
        .execute(&mut postgres)
        .await?;
    postgres.close().await?;
    let mut db = PgConnection::connect(&server.database(ASKING)).await?;
    sqlx::query("create extension pg_stat_statements")
        .execute(&mut db)
        .await?;
    for entry in [Entry::Stepwell(Place::Postgres), Entry::Dbos] {
        workflows(table, size, &field, entry, &mut db).await?;
    }
    nothing(table, size, &server.database("postgres"), &mut db).await
}

/// Workflows of ten steps, sixteen at once.
async fn workflows(
    table: &mut Table,
    size: Size,
    field: &Field<'_>,
    entry: Entry,
    db: &mut PgConnection,
) -> Result<(), Error> {
    let total = match (size, entry) {
        (Size::Quick, _) => 50,
        (Size::Full, Entry::Stepwell(_)) => 5_000,
        (Size::Full, _) => 1_000,
    };
    let mut contestant = tokio::task::block_in_place(|| -> Result<_, Error> {
        let mut contestant = field.start(entry)?;
        // Connections, prepared statements, and the first pages of the tables.
        contestant.ask::<Round>("round 10 16 64")?;
        Ok(contestant)
    })?;
    tokio::time::sleep(TOLD_AFTER).await;
    let before = Counts::read(db).await?;
    let round = format!("round 10 16 {total}");
    tokio::task::block_in_place(|| contestant.ask::<Round>(&round))?;
    tokio::time::sleep(TOLD_AFTER).await;
    let counts = Counts::read(db).await?.since(before);
    let total = number(total);
    let name = |what| format!("{}: 10 steps, 16 at once: {what}", entry.name());
    let (commits, wal) = (counts.commits / total, counts.wal_bytes / total);
    table.row(
        name("statements of a workflow"),
        format!("{:.1}", counts.statements / total),
    );
    table.row(
        name("dead rows of a workflow"),
        format!("{:.1}", counts.dead_rows / total),
    );
    let commits_name = name("commits of a workflow");
    let wal_name = name("write-ahead log of a workflow");
    if entry == Entry::Dbos {
        table.row(commits_name, format!("{commits:.1}"));
        table.row(wal_name, format!("{wal:.0} bytes"));
    } else {
        let goal = Goal::AtMost(commits, 1.0);
        table.ratio(commits_name, format!("{commits:.2}"), goal);
        let goal = Goal::AtMost(wal, 6_000.0);
        table.ratio(wal_name, format!("{wal:.0} bytes"), goal);
    }
    Ok(())
}

/// A process with queues and schedules and nothing to do.
async fn nothing(
    table: &mut Table,
    size: Size,
    url: &str,
    db: &mut PgConnection,
) -> Result<(), Error> {
    let app = idle::launch_idle(url).await?;
    let seconds: u32 = if size == Size::Quick { 2 } else { 30 };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = Counts::read(db).await?;
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    let counts = Counts::read(db).await?.since(before);
    app.shutdown().await;
    let each = counts.statements / f64::from(seconds);
    table.ratio(
        "Stepwell on Postgres: idle with 10 queues and 10 schedules: statements",
        format!("{each:.1} a second"),
        Goal::AtMost(each, 2.0),
    );
    Ok(())
}
