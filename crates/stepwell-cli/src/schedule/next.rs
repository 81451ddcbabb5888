//! `stepwell schedule next`: when it will tick.

use clap::Args;
use jiff::SignedDuration;
use serde::Serialize;
use stepwell_core::{Client, Timestamp};

use super::find;
use crate::{
    database::Database,
    exit::{Exit, Problem},
    instant::{self, Instant},
    output::{Output, Shown},
    table::Cell,
};

/// Which ticks to show.
#[derive(Debug, Args)]
pub(crate) struct Next {
    /// The schedule's name
    #[arg(required_unless_present = "spec", conflicts_with = "spec")]
    schedule: Option<String>,
    /// An expression instead of a schedule: `0 3 * * *`, `@every 90s`. Needs no database
    #[arg(long)]
    spec: Option<String>,
    /// The time zone that `--spec` is read in, by its IANA name; UTC without one
    #[arg(long, requires = "spec", value_name = "ZONE")]
    timezone: Option<String>,
    /// The first tick may be then: an instant, a date, or how long ago (`2h`, `7d`); after now without it
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    from: Option<Instant>,
    /// How many ticks
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

/// A tick.
#[derive(Debug, Serialize)]
pub(crate) struct TickLine {
    #[serde(skip)]
    shown: String,
    at: Timestamp,
}

impl TickLine {
    pub(crate) fn of(at: Timestamp) -> Self {
        let shown = at.to_string();
        Self { shown, at }
    }
}

impl Shown for TickLine {
    const COLUMNS: &'static [&'static str] = &["TICK"];

    fn id(&self) -> &str {
        &self.shown
    }

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::new(&self.shown)]
    }
}

/// The instant right before another: ticks after it include the other.
pub(super) fn just_before(instant: Timestamp) -> Timestamp {
    let before = instant.checked_sub(SignedDuration::from_nanos(1));
    before.unwrap_or(instant)
}

/// Runs the command.
pub(crate) async fn run(
    command: &Next,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    let (spec, timezone, now) = match (&command.spec, &command.schedule) {
        (Some(spec), _) => (spec.clone(), command.timezone.clone(), Timestamp::now()),
        (None, name) => {
            let client = database.open().await?;
            let known = find(&client, name.as_deref().unwrap_or_default()).await?;
            (known.spec, known.timezone, client.now())
        }
    };
    let count = usize::from(command.count);
    let after = command.from.map_or(now, |from| just_before(from.by(now)));
    let ticks = Client::next_ticks(&spec, timezone.as_deref(), after, count)?;
    output.list(&ticks.into_iter().map(TickLine::of).collect::<Vec<_>>())
}
