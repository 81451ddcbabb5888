//! `stepwell workflow steps`.

use clap::Args;
use jiff::{SpanRound, Unit};
use serde::Serialize;
use stepwell_core::{Client, Outcome, Record};

use crate::{
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::{Cell, Tone},
};

/// How much of a value a list shows.
const VALUE_CHARACTERS: usize = 80;

/// Which workflow.
#[derive(Debug, Args)]
pub(crate) struct Steps {
    /// The workflow's id
    id: String,
}

/// A record: an operation, or a failed attempt of a step.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(skip)]
    position: String,
    #[serde(flatten)]
    record: &'a Record,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        Some(Self {
            position: record.place.position()?.to_string(),
            record,
        })
    }

    fn took(&self) -> String {
        let took = self.record.recorded_at - self.record.started_at;
        let round = SpanRound::new()
            .largest(Unit::Hour)
            .smallest(Unit::Millisecond);
        took.round(round)
            .map_or_else(|_| took.to_string(), |it| format!("{it:#}"))
    }
}

impl Shown for Line<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "POSITION", "KIND", "NAME", "OUTCOME", "ATTEMPT", "STARTED", "TOOK", "VALUE",
    ];

    fn id(&self) -> &str {
        &self.position
    }

    fn cells(&self) -> Vec<Cell> {
        let record = self.record;
        let tone = match record.outcome {
            Outcome::Ok(_) => Tone::Good,
            Outcome::Err(_) => Tone::Bad,
        };
        vec![
            Cell::new(&self.position),
            Cell::new(record.kind.as_str()),
            Cell::new(&record.name),
            Cell::new(record.outcome.as_str()).toned(tone),
            Cell::number(record.place.attempt().unwrap_or(record.attempts)),
            Cell::at(Some(record.started_at)),
            Cell::new(self.took()),
            Cell::new(record.outcome.payload().as_str()).short(VALUE_CHARACTERS),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(command: &Steps, client: &Client, output: Output) -> Result<Exit, Problem> {
    let history = client.history(&command.id).await?;
    let lines: Vec<_> = history.operations.iter().filter_map(Line::of).collect();
    output.list(&lines)
}
