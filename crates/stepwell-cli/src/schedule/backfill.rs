//! `stepwell schedule backfill`: ticks that passed.

use anstream::eprintln;
use clap::Args;
use stepwell_core::{Client, Timestamp};

use super::{
    StartedLine, find,
    next::{TickLine, just_before},
};
use crate::{
    bulk::counted,
    confirm::{Answer, Care, confirm},
    exit::{Exit, Problem},
    instant::{self, Instant},
    output::Output,
};

/// More ticks than one backfill starts.
const TICKS_MAX: usize = 10_000;

/// Which ticks.
#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// The schedule's name
    schedule: String,
    /// The first tick may be then: an instant, a date, or how long ago (`2h`, `7d`)
    #[arg(long, value_parser = instant::parse, value_name = "INSTANT")]
    from: Instant,
    /// The last tick must be before then
    #[arg(long, value_parser = instant::parse, default_value = "now", value_name = "INSTANT")]
    to: Instant,
    /// Show the ticks, and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(
    command: &Backfill,
    client: &Client,
    output: Output,
) -> Result<Exit, Problem> {
    let now = client.now();
    let (from, to) = (command.from.by(now), command.to.by(now));
    let name = command.schedule.as_str();
    let ticks = ticks(client, name, from, to).await?;
    if command.dry_run {
        output.list(&ticks.iter().copied().map(TickLine::of).collect::<Vec<_>>())?;
        let count = counted(ticks.len());
        eprintln!("would start {count} at most: one for each tick that was not started");
        return Ok(Exit::Ok);
    }
    let care = if command.yes || ticks.is_empty() {
        Care::None
    } else {
        Care::AskOrRefuse
    };
    let question = format!("start {} of `{name}` at most", counted(ticks.len()));
    if confirm(care, &question)? == Answer::No {
        eprintln!("nothing was started");
        return Ok(Exit::Failure);
    }
    let ids = client.backfill_schedule(name, from, to).await?;
    let lines: Vec<_> = ids
        .iter()
        .map(|id| StartedLine { id: id.to_string() })
        .collect();
    output.list(&lines)?;
    eprintln!(
        "{} of `{name}` from {from} to {to} are started",
        counted(lines.len())
    );
    Ok(Exit::Ok)
}

/// The ticks from `from` to before `to`.
async fn ticks(
    client: &Client,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Timestamp>, Problem> {
    if from >= to {
        return Err(
            Problem::usage(format!("`--from` is {from} and `--to` is {to}"))
                .hint("`--from` must be the earlier one"),
        );
    }
    let known = find(client, name).await?;
    let zone = known.timezone.as_deref();
    let ticks = Client::next_ticks(&known.spec, zone, just_before(from), TICKS_MAX + 1)?;
    let ticks: Vec<_> = ticks.into_iter().take_while(|tick| *tick < to).collect();
    if ticks.len() > TICKS_MAX {
        return Err(Problem::usage(format!(
            "`{name}` ticks more than {TICKS_MAX} times from {from} to {to}"
        ))
        .hint("backfill it in parts"));
    }
    Ok(ticks)
}
