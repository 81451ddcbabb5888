//! [`Schedule`]: when a workflow starts by itself.

mod grammar;
mod plan;
mod ticks;

pub(crate) use plan::plan;
pub(crate) use ticks::Ticks;

use serde::{Deserialize, Serialize};

/// When a workflow starts by itself: `#[workflow(schedule = "0 * * * *", timezone = "Europe/Berlin")]`.
///
/// A cron expression of five fields, of six with seconds first, or of seven with years last; `@hourly`,
/// `@daily`, `@weekly`, `@monthly` or `@yearly`; or `@every 90s`, which ticks at the multiples of its
/// length since 1970. Without a time zone it is UTC.
///
/// Each tick starts one workflow, whatever the number of executors: its id is
/// `<schedule>@<instant>`, and the next tick stands in the database.
///
/// # When clocks change
/// The hour's field decides. Hours that are named, alone, in a list or in a range, are times of day:
/// one that does not exist, because the clock is put forward, comes at the moment of the change,
/// together with all that would have come in between; one that comes twice, because the clock is put
/// back, comes once, the first time. With `*` or `*/2` for the hour a schedule goes by the time that
/// passes, like `@every`: what does not exist is left out, and what comes twice ticks twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub(crate) spec: &'static str,
    pub(crate) timezone: Option<&'static str>,
    pub(crate) missed: Missed,
}

impl Schedule {
    /// A schedule by a cron expression or `@every <duration>`. It is checked when the application
    /// launches.
    #[must_use]
    pub const fn cron(spec: &'static str) -> Self {
        Self {
            spec,
            timezone: None,
            missed: Missed::Latest,
        }
    }

    /// The time zone that the expression is read in, by its IANA name.
    #[must_use]
    pub const fn timezone(mut self, timezone: &'static str) -> Self {
        self.timezone = Some(timezone);
        self
    }

    /// What happens to ticks that passed while no executor was there.
    #[must_use]
    pub const fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }
}

/// What happens to ticks that passed while no executor was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are left out. One that is less than a minute late still counts as in time.
    Skip,
    /// Only the latest one starts its workflow.
    #[default]
    Latest,
    /// Each starts its workflow.
    All,
}

impl Missed {
    /// Its word in databases and listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Latest => "latest",
            Self::All => "all",
        }
    }

    /// The policy with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Skip, Self::Latest, Self::All]
            .into_iter()
            .find(|missed| missed.as_str() == word)
    }
}
