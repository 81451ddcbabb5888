//! `stepwell workflow fork`.

use anstream::eprintln;
use clap::Args;
use serde::Serialize;
use stepwell_core::{Client, Position, WorkflowId};

use crate::{
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::Cell,
};

/// Which workflow, and from where.
#[derive(Debug, Args)]
pub(crate) struct Fork {
    /// The workflow's id
    id: String,
    /// What comes at this position and after it runs anew; `stepwell workflow steps` shows them
    #[arg(long, value_parser = position, value_name = "POSITION")]
    from: Position,
    /// The new workflow's id; made up unless it is said. The same fork again forks nothing
    #[arg(long = "as", value_name = "ID")]
    new_id: Option<String>,
}

fn position(text: &str) -> Result<Position, String> {
    Position::parse(text).ok_or_else(|| {
        "a position is a path of numbers, `4` or `4.0.2`, as `stepwell workflow steps` shows it"
            .to_owned()
    })
}

/// What was forked.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'a str,
    source: &'a str,
    from: String,
}

impl Shown for Line<'_> {
    const COLUMNS: &'static [&'static str] = &["ID", "SOURCE", "FROM"];

    fn id(&self) -> &str {
        self.id
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.id),
            Cell::new(self.source),
            Cell::new(&self.from),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(command: &Fork, client: &Client, output: Output) -> Result<Exit, Problem> {
    let source = command.id.as_str();
    let made_up = || WorkflowId::generate().to_string();
    let id = command.new_id.clone().unwrap_or_else(made_up);
    client.fork(source, &id, command.from.clone()).await?;
    eprintln!("forked `{source}` as `{id}`");
    output.one(&Line {
        id: &id,
        source,
        from: command.from.to_string(),
    })
}
