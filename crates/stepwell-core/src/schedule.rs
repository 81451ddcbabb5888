//! [`Schedule`]: when a workflow starts by itself.

mod plan;
mod ticks;

pub(crate) use plan::plan;
pub(crate) use ticks::Ticks;

use serde::{Deserialize, Serialize};

/// When a workflow starts by itself: `#[workflow(schedule = "0 * * * *", timezone = "Europe/Berlin")]`.
///
/// A cron expression of five fields, or six with seconds first; or `@every 90s`, which ticks at the
/// multiples of its length since 1970. Without a time zone it is UTC.
///
/// Each tick starts one workflow, whatever the number of executors: its id is
/// `<schedule>@<instant>`, and the next tick stands in the database.
///
/// # When clocks change
/// Where the clock is put forward, a tick at a time of day that does not exist comes at the moment
/// of the change. Where it is put back, a tick at a time of day that comes twice comes once, the
/// first time. Expressions that tick every minute, hour or the like (`*`, `*/15`) and `@every` go by
/// the time that passes, and change nothing.
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
