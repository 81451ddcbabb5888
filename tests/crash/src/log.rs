//! One file for all processes of a test: who entered and left which step, and when.

use std::{fmt, str::FromStr};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds by the clock that all processes of this machine share and nobody sets.
#[must_use]
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

/// Nanoseconds since 1970 by the clock that a Postgres of this machine shares: for lines that are
/// laid beside what its rows say.
#[must_use]
pub fn wall() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

/// Whether something began or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It began.
    Enter,
    /// It ended, or was dropped.
    Leave,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, by [`now`] or [`wall`].
    pub at: u64,
    /// Which process.
    pub pid: u32,
    /// What happened.
    pub mark: Mark,
    /// To what: `<workflow>:<position>`, or `<workflow>:body`.
    pub key: String,
}

impl Line {
    /// The workflow.
    #[must_use]
    pub fn workflow(&self) -> &str {
        self.key
            .rsplit_once(':')
            .map_or("", |(workflow, _)| workflow)
    }

    /// Whether it is about the body of a workflow, not about a step.
    #[must_use]
    pub fn is_body(&self) -> bool {
        self.key.ends_with(":body")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::Enter => "enter",
            Mark::Leave => "leave",
        };
        writeln!(f, "{} {} {mark} {}", self.at, self.pid, self.key)
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("`{line}` is no line of the log");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [at, pid, mark, key] = words[..] else {
            return Err(wrong());
        };
        Ok(Self {
            at: at.parse().map_err(|_| wrong())?,
            pid: pid.parse().map_err(|_| wrong())?,
            mark: match mark {
                "enter" => Mark::Enter,
                "leave" => Mark::Leave,
                _ => return Err(wrong()),
            },
            key: key.to_owned(),
        })
    }
}

/// The operation that an idempotency key is about, `<workflow id>:<position>`, without what tells one
/// workflow of an id from another.
#[must_use]
pub fn operation(idempotency_key: &str) -> String {
    let mut parts: Vec<&str> = idempotency_key.rsplitn(3, ':').collect();
    parts.reverse();
    match parts[..] {
        [workflow, _nonce, position] => format!("{workflow}:{position}"),
        _ => idempotency_key.to_owned(),
    }
}
