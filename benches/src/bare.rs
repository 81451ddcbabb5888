//! The floor: the same rows, written to SQLite by hand.
//!
//! A table like the journal's records, of the same key and the same bytes; durable settings. One
//! commit for each row, or as many rows in a commit as there are workflows at once.

use std::{path::Path, time::Instant};

use rusqlite::{Connection, params};

use crate::driver::{number, percentile};

/// What the floor reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare {
    pub(crate) rows_per_second: f64,
    pub(crate) commit_p50_us: f64,
}

/// Writes `rows` rows, `batch` of them in a commit.
pub(crate) fn write(file: &Path, rows: usize, batch: usize) -> rusqlite::Result<Bare> {
    let db = open(file)?;
    let mut insert =
        db.prepare("insert into records values (?1, ?2, 'step', 'nop', '7', 0, 1, ?3, ?3)")?;
    let commits = rows.div_ceil(batch);
    let mut latencies = Vec::with_capacity(commits);
    let started = Instant::now();
    for commit in 0..commits {
        let begun = Instant::now();
        db.execute_batch("begin immediate")?;
        for workflow in 0..batch {
            // As the engine does: a step of each of the workflows that run at once.
            let key = i64::try_from(commit / 10 * batch + workflow).unwrap_or(i64::MAX);
            insert.execute(params![
                key,
                (commit % 10).to_string(),
                1_700_000_000_000_000_i64
            ])?;
        }
        db.execute_batch("commit")?;
        latencies.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = started.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    Ok(Bare {
        rows_per_second: number(commits * batch) / seconds,
        commit_p50_us: percentile(&latencies, 50),
    })
}

/// An empty table in a durable database.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(file)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.execute_batch(
        "create table if not exists records (
             workflow_key integer not null,
             place text not null,
             kind text not null,
             name text not null,
             payload text not null,
             failed integer not null,
             attempts integer not null,
             started_at integer not null,
             recorded_at integer not null,
             primary key (workflow_key, place)
         ) without rowid;
         delete from records;",
    )?;
    Ok(db)
}
