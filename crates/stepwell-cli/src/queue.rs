//! `stepwell queue`: how queues stand, and how they are steered while they work.

use std::str::FromStr;

use anstream::eprintln;
use clap::{Args, Subcommand};
use jiff::SignedDuration;
use stepwell_core::{
    Client,
    store::{COUNTED_MAX, QueueInfo, QueueLimits, Rate},
};

use crate::{
    database::Database,
    exit::{Exit, Problem},
    output::{Output, Shown},
    person::Person,
    table::{Cell, Tone},
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the queues
    List,
    /// Show a queue
    Get {
        /// Its name
        queue: String,
    },
    /// Let nothing more of a queue begin until it is resumed; what runs goes on
    Pause {
        /// Its name
        queue: String,
        #[command(flatten)]
        person: Person,
    },
    /// Let a paused queue go on
    Resume {
        /// Its name
        queue: String,
    },
    /// Change how much of a queue may run at once; what is not named stays
    Set {
        /// Its name
        queue: String,
        #[command(flatten)]
        limits: NewLimits,
    },
    /// Let the limits that the code declares hold again, in place of those that were set here
    Unset {
        /// Its name
        queue: String,
    },
}

/// Limits to be set. A lowered one is reached by draining.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct NewLimits {
    /// In all executors together: a number, or `none`
    #[arg(long, value_parser = limit, value_name = "N")]
    concurrency: Option<Limit>,
    /// In each executor: a number, or `none`
    #[arg(long, value_parser = limit, value_name = "N")]
    executor_concurrency: Option<Limit>,
    /// Of each key: a number, or `none`
    #[arg(long, value_parser = limit, value_name = "N")]
    key_concurrency: Option<Limit>,
    /// How many begin in a time: `100/60s`, `5/1h`, or `none`
    #[arg(long, value_parser = rate, value_name = "N/TIME")]
    rate: Option<NewRate>,
    /// How many may wait: a number, or `none`
    #[arg(long, value_parser = limit, value_name = "N")]
    waiting_max: Option<Limit>,
}

/// A limit as it is written: a number, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<u32>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit(None)),
        _ => match text.parse() {
            Ok(number) => Ok(Limit(Some(number))),
            Err(_) => Err(format!("write a number from 0 to {}, or `none`", u32::MAX)),
        },
    }
}

/// A rate as it is written: so many in a time, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewRate(pub(crate) Option<Rate>);

pub(crate) fn rate(text: &str) -> Result<NewRate, String> {
    if text == "none" {
        return Ok(NewRate(None));
    }
    let rate = text.split_once('/').and_then(|(starts, period)| {
        let period = SignedDuration::from_str(period).ok()?;
        Some(Rate {
            starts: starts.parse().ok()?,
            period_ms: u32::try_from(period.as_millis()).ok()?,
        })
    });
    let rate = rate.ok_or("write how many in what time, such as `100/60s` or `5/1h`, or `none`")?;
    Ok(NewRate(Some(rate)))
}

impl NewLimits {
    /// The limits from now on.
    fn over(&self, known: QueueLimits) -> QueueLimits {
        let choose = |new: Option<Limit>, old| new.map_or(old, |Limit(new)| new);
        QueueLimits {
            concurrency: choose(self.concurrency, known.concurrency),
            executor_concurrency: choose(self.executor_concurrency, known.executor_concurrency),
            key_concurrency: choose(self.key_concurrency, known.key_concurrency),
            rate: self.rate.map_or(known.rate, |NewRate(rate)| rate),
            waiting_max: choose(self.waiting_max, known.waiting_max),
        }
    }
}

impl Shown for QueueInfo {
    const COLUMNS: &'static [&'static str] = &[
        "QUEUE",
        "STATE",
        "RUNNING",
        "WAITING",
        "CONCURRENCY",
        "PER EXECUTOR",
        "PER KEY",
        "RATE",
        "MAY WAIT",
        "PAUSED BY",
        "WHY",
    ];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self) -> Vec<Cell> {
        let limit = |limit: Option<u32>| limit.map_or_else(|| Cell::new("none"), Cell::number);
        let state = match self.paused {
            Some(_) => Cell::new("paused").toned(Tone::Bad),
            None => Cell::new("open").toned(Tone::Good),
        };
        vec![
            Cell::new(&self.name),
            state,
            counted(self.running),
            counted(self.waiting),
            limit(self.limits.concurrency),
            limit(self.limits.executor_concurrency),
            limit(self.limits.key_concurrency),
            Cell::new(rate_in_words(self.limits.rate)),
            limit(self.limits.waiting_max),
            Cell::maybe(self.paused.as_ref().map(|it| &it.by)),
            Cell::maybe(self.paused.as_ref().map(|it| &it.why)),
        ]
    }
}

fn rate_in_words(rate: Option<Rate>) -> String {
    let Some(rate) = rate else {
        return "none".to_owned();
    };
    let period = SignedDuration::try_from(rate.period()).unwrap_or(SignedDuration::MAX);
    format!("{}/{period:#}", rate.starts)
}

fn counted(number: u32) -> Cell {
    if number >= COUNTED_MAX {
        Cell::new(format!("{COUNTED_MAX} or more"))
    } else {
        Cell::number(number)
    }
}

/// Runs a command.
pub(crate) async fn run(
    command: Command,
    database: &Database,
    output: Output,
) -> Result<Exit, Problem> {
    let client = database.open().await?;
    let queue = match command {
        Command::List => return output.list(&client.queues().await?),
        Command::Get { queue } => queue,
        Command::Pause { queue, person } => {
            client
                .pause_queue(&queue, &person.name(), &person.reason)
                .await?;
            eprintln!("paused `{queue}`; what runs goes on");
            queue
        }
        Command::Resume { queue } => {
            client.resume_queue(&queue).await?;
            eprintln!("resumed `{queue}`");
            queue
        }
        Command::Set { queue, limits } => {
            set(&client, &queue, &limits).await?;
            eprintln!("set the limits of `{queue}`");
            queue
        }
        Command::Unset { queue } => {
            client.unlimit_queue(&queue).await?;
            eprintln!("the code says the limits of `{queue}` again, within ten seconds");
            queue
        }
    };
    output.one(&client.queue(&queue).await?)
}

/// Read, then written: of two people who set different limits at once, the later one's read may
/// bring the other's old value back. The queue is printed afterwards, so it is seen.
async fn set(client: &Client, queue: &str, limits: &NewLimits) -> Result<(), Problem> {
    let known = client.queue(queue).await?.limits;
    Ok(client.limit_queue(queue, limits.over(known)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let known = QueueLimits {
            concurrency: Some(10),
            executor_concurrency: Some(2),
            waiting_max: Some(100),
            ..QueueLimits::default()
        };
        let new = NewLimits {
            concurrency: Some(Limit(None)),
            executor_concurrency: None,
            key_concurrency: Some(Limit(Some(3))),
            rate: None,
            waiting_max: None,
        };
        let expected = QueueLimits {
            concurrency: None,
            executor_concurrency: Some(2),
            key_concurrency: Some(3),
            rate: None,
            waiting_max: Some(100),
        };
        assert_eq!(new.over(known), expected);
    }

    #[test]
    fn a_rate_is_so_many_in_a_time() {
        let a_minute = Rate {
            starts: 100,
            period_ms: 60_000,
        };
        for text in ["100/60s", "100/1m", "100/PT1M"] {
            assert_eq!(rate(text), Ok(NewRate(Some(a_minute))), "{text}");
        }
        assert_eq!(rate_in_words(Some(a_minute)), "100/1m");
        assert_eq!(rate("none"), Ok(NewRate(None)));
        for text in ["100", "x/1m", "-1/1m", "5/soon", "5/-1m", "5/100d"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(limit("none"), Ok(Limit(None)));
        assert_eq!(limit("0"), Ok(Limit(Some(0))));
        for text in ["-1", "many", "4294967296", ""] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
