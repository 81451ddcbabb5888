//! `stepwell migrate`: the schema, from what it is to what it should be.

use anstream::eprintln;
use clap::Args;
use serde::Serialize;
use stepwell_core::store::Migration;

use crate::{
    database::Database,
    exit::{Exit, Problem},
    output::{Output, Shown, print},
    table::Cell,
};

/// What to do about what is missing.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// List what would be applied, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the SQL that would be applied, and change nothing. Whoever runs it in one transaction
    /// has migrated the database
    #[arg(long, conflicts_with = "dry_run")]
    print: bool,
}

/// A migration as it is listed: its SQL is for `--print`.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(skip)]
    number: String,
    #[serde(rename = "number")]
    migration: u32,
    /// `missing` or `applied`.
    state: &'static str,
}

impl Shown for Line {
    const COLUMNS: &'static [&'static str] = &["MIGRATION", "STATE"];

    fn id(&self) -> &str {
        &self.number
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::new(&self.number), Cell::new(self.state)]
    }
}

/// Runs the command.
pub(crate) async fn run(
    command: &Migrate,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    let migrations = database.migrations().await?;
    let missing = &migrations.missing;
    if missing.is_empty() {
        eprintln!(
            "nothing is missing; migration {} is the newest",
            migrations.applied
        );
        return if command.print {
            Ok(Exit::Ok)
        } else {
            list(missing, "applied", output)
        };
    }
    if command.print {
        return print(&script(missing));
    }
    if command.dry_run {
        list(missing, "missing", output)?;
        eprintln!("would apply {}; nothing was changed", missing.len());
        return Ok(Exit::Ok);
    }
    database.migrate().await?;
    list(missing, "applied", output)
}

fn list(migrations: &[Migration], state: &'static str, output: Output) -> Result<Exit, Problem> {
    let line = |migration: &Migration| Line {
        number: migration.number.to_string(),
        migration: migration.number,
        state,
    };
    output.list(&migrations.iter().map(line).collect::<Vec<_>>())
}

/// One script for `psql` or `sqlite3`.
fn script(missing: &[Migration]) -> String {
    let mut script = String::from("begin;\n");
    for Migration { number, sql } in missing {
        script.push_str(&format!("\n-- Migration {number}\n{}\n", sql.trim_end()));
    }
    script + "\ncommit;\n"
}
