//! `stepwell workflow steps`.

use clap::Args;
use jiff::{SpanRound, Unit};
use serde::Serialize;
use stepwell_core::{Client, Outcome, Payload, Place, Record, Timestamp};

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
    /// Where it stands, as `fork --from` takes it: `4.0.2`.
    position: String,
    /// Which attempt failed; null for what an operation came to.
    attempt: Option<u32>,
    /// `step`, `transaction`, `sleep`, …
    kind: &'static str,
    name: &'a str,
    /// `ok` or `error`.
    outcome: &'static str,
    value: &'a Payload,
    attempts: u32,
    started_at: Timestamp,
    recorded_at: Timestamp,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let attempt = match &record.place {
            Place::Attempt(_, number) => Some(*number),
            _ => None,
        };
        Some(Self {
            position: record.place.position()?.to_string(),
            attempt,
            kind: record.kind.as_str(),
            name: &record.name,
            outcome: match &record.outcome {
                Outcome::Ok(_) => "ok",
                Outcome::Err(_) => "error",
            },
            value: record.outcome.payload(),
            attempts: record.attempts,
            started_at: record.started_at,
            recorded_at: record.recorded_at,
        })
    }

    fn took(&self) -> String {
        let took = self.recorded_at - self.started_at;
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
        let tone = if self.outcome == "ok" {
            Tone::Good
        } else {
            Tone::Bad
        };
        vec![
            Cell::new(&self.position),
            Cell::new(self.kind),
            Cell::new(self.name),
            Cell::new(self.outcome).toned(tone),
            Cell::number(self.attempt.unwrap_or(self.attempts)),
            Cell::at(Some(self.started_at)),
            Cell::new(self.took()),
            Cell::new(self.value.as_str()).short(VALUE_CHARACTERS),
        ]
    }
}

/// Runs the command.
pub(crate) async fn run(command: &Steps, client: &Client, output: Output) -> Result<Exit, Problem> {
    let history = client.history(&command.id).await?;
    let lines: Vec<_> = history.operations.iter().filter_map(Line::of).collect();
    output.list(&lines)
}
