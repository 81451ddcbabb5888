//! `stepwell executor`: the processes that run workflows.

use clap::Subcommand;
use serde::Serialize;
use stepwell_core::{Timestamp, store::Executor};

use crate::{
    database::Database,
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::{Cell, Tone},
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the processes that run workflows, or did until lately
    List,
    /// Show one, with the workflows that it registers
    Get {
        /// Its id
        executor: String,
    },
}

/// An executor, and whether it lives by the database's clock.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    executor: &'a Executor,
    /// `live`, `silent` (its lease is over and nobody has taken over yet) or `ended`.
    state: &'static str,
}

impl<'a> Line<'a> {
    fn of(executor: &'a Executor, now: Timestamp) -> Self {
        let state = match executor.ended_at {
            Some(_) => "ended",
            None if executor.lease_expires_at < now => "silent",
            None => "live",
        };
        Self { executor, state }
    }
}

impl Shown for Line<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "STATE",
        "APPLICATION",
        "VERSION",
        "HOST",
        "PID",
        "STARTED",
        "LEASE ENDS",
    ];

    fn id(&self) -> &str {
        self.executor.id.as_str()
    }

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.state {
            "live" => Tone::Good,
            "silent" => Tone::Bad,
            _ => Tone::Faint,
        };
        let it = self.executor;
        vec![
            Cell::new(it.id.as_str()),
            Cell::new(self.state).toned(tone),
            Cell::new(&it.application),
            Cell::new(&it.version),
            Cell::new(&it.host),
            Cell::number(it.pid),
            Cell::at(Some(it.started_at)),
            Cell::at(Some(it.lease_expires_at)),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Cell)> {
        let mut fields: Vec<_> = Self::COLUMNS.iter().copied().zip(self.cells()).collect();
        for name in self.executor.names.iter().flatten() {
            fields.push(("REGISTERS", Cell::new(name)));
        }
        fields
    }
}

/// Runs a command.
pub(crate) async fn run(
    command: Command,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    let client = database.open().await?;
    match command {
        Command::List => {
            let executors = client.executors().await?;
            let now = client.now();
            let lines: Vec<_> = executors.iter().map(|it| Line::of(it, now)).collect();
            output.list(&lines)
        }
        Command::Get { executor } => {
            let executors = client.executors().await?;
            let found = executors.iter().find(|it| it.id.as_str() == executor);
            let found = found.ok_or_else(|| {
                let message = format!("there is no executor `{executor}` that is live or has work");
                Problem::new(Exit::NotFound, message)
                    .hint("`stepwell executor list` shows those that there are")
            })?;
            output.one(&Line::of(found, client.now()))
        }
    }
}
