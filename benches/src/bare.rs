//! The floor: the same rows, written to SQLite by hand.
//!
//! A table like the journal's records, of the same key and the same bytes; durable settings. One
//! commit for each row, or as many rows in a commit as there are workflows at once.

use std::{path::Path, time::Instant};

use rusqlite::{Connection, params};

/// What the floor reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare {
    pub(crate) rows_per_second: f64,
    pub(crate) commit_us: f64,
}

/// Writes `rows` rows, `batch` of them in a commit.
pub(crate) fn write(file: &Path, rows: usize, batch: usize) -> rusqlite::Result<Bare> {
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
    let mut insert =
        db.prepare("insert into records values (?1, ?2, 'step', 'nop', '7', 0, 1, ?3, ?3)")?;
    let commits = rows.div_ceil(batch);
    let started = Instant::now();
    for commit in 0..commits {
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
    }
    let seconds = started.elapsed().as_secs_f64();
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a benchmark are far below 2^52"
    )]
    let (rows, commits) = ((commits * batch) as f64, commits as f64);
    Ok(Bare {
        rows_per_second: rows / seconds,
        commit_us: seconds * 1e6 / commits,
    })
}
