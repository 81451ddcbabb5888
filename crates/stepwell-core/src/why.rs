//! The answer to why a workflow does not go on, or what it does: as a type, and as a sentence.

mod rule;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

pub(crate) use rule::{Facts, explain, unregistered};

use crate::{
    doing::Doing,
    id::ExecutorId,
    shown::Shown,
    store::{Executor, Paused, Rate},
    workflow::State,
};

/// The bound of names in a sentence.
const NAMES_SHOWN: usize = 10;

/// The reason that a workflow does not go on, or what it does right now. `Display` is one plain sentence about it.
///
/// In JSON the member `kind` names the case, and the other members say the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// It may not run yet.
    Delayed {
        /// The instant from which on it may; none if its row does not say.
        until: Option<Timestamp>,
    },
    /// A person has paused its queue.
    QueuePaused {
        /// The queue.
        queue: String,
        /// Since when, by whom and why.
        paused: Paused,
    },
    /// No executor is live: nothing takes it.
    NoExecutor {
        /// The number of executors that have been silent for longer than their lease, and may be dead.
        silent: usize,
    },
    /// Executors are live, and none of them registers its name.
    Unregistered {
        /// Its name.
        name: String,
        /// The releases that are live.
        live: Vec<Release>,
    },
    /// As many of its queue run as may.
    QueueFull {
        /// The queue.
        queue: String,
        /// The number of workflows that may run at once.
        concurrency: u32,
    },
    /// As many of its key run as may.
    KeyFull {
        /// The queue.
        queue: String,
        /// The key; may be empty.
        key: String,
        /// The number of workflows of one key that may run at once.
        key_concurrency: u32,
    },
    /// As many of its queue have begun in the last while as may.
    RateReached {
        /// The queue.
        queue: String,
        /// The number of workflows that may begin, and in how long.
        rate: Rate,
    },
    /// Nothing is in its way: it waits for its turn, and for room in an executor.
    Waiting {
        /// The number of live executors that register its name, or do not say what they register.
        executors: usize,
    },
    /// It waits for long, and no executor keeps it in memory meanwhile.
    Parked {
        /// The awaited thing, in words.
        reason: String,
        /// The instant at which it goes on at the latest.
        until: Option<Timestamp>,
    },
    /// An executor runs it.
    Running {
        /// The executor.
        on: Home,
        /// The operations that have lasted for longer than a second, as the executor said with the last
        /// renewal of its lease; empty if there are none.
        doing: Vec<Doing>,
    },
    /// The executor that ran it has not renewed its lease: another one takes it over.
    ExecutorSilent {
        /// The executor, and when its lease has ended.
        on: Home,
    },
    /// An executor runs it of which there is no row any more, or it has just changed hands.
    ChangesHands,
    /// It cannot go on with the code that there is.
    Stuck {
        /// The cause, in a sentence.
        reason: String,
    },
    /// It was recovered too often without progress.
    Dead {
        /// The cause, in a sentence.
        reason: String,
    },
    /// It has ended.
    Ended {
        /// Its state.
        state: State,
        /// The cause, if it failed or was cancelled.
        reason: Option<String>,
    },
    /// A newer version of Stepwell has written its state, or its row cannot be read.
    Unknown {
        /// The part that is known.
        reason: String,
    },
}

/// The executor that runs a workflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Home {
    /// Its identity.
    pub executor: ExecutorId,
    /// The version of its code.
    pub version: String,
    /// Its machine.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Until when it may be silent.
    pub lease_expires_at: Timestamp,
}

impl Home {
    fn of(executor: &Executor) -> Self {
        Self {
            executor: executor.id.clone(),
            version: executor.version.clone(),
            host: executor.host.clone(),
            pid: executor.pid,
            lease_expires_at: executor.lease_expires_at,
        }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, pid, version) = (&self.host, self.pid, &self.version);
        write!(f, "`{host}` (process {pid}, version {version})")
    }
}

/// Live executors of one application and version, and what they register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Release {
    /// The application.
    pub application: String,
    /// The version of the code.
    pub version: String,
    /// The number of them that are live.
    pub executors: usize,
    /// The workflows that they register, by name.
    pub names: Vec<String>,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (application, version) = (&self.application, &self.version);
        write!(f, "`{application}` (version {version}) registers ")?;
        if self.names.is_empty() {
            return f.write_str("nothing");
        }
        let shown: Vec<_> = self
            .names
            .iter()
            .take(NAMES_SHOWN)
            .map(|name| format!("`{name}`"))
            .collect();
        f.write_str(&shown.join(", "))?;
        match self.names.len().saturating_sub(NAMES_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names, notes and errors are others' text.
        Shown(&self.sentence()).fmt(f)
    }
}

impl Why {
    fn sentence(&self) -> String {
        match self {
            Self::Delayed { until: None } => "it is delayed".to_owned(),
            Self::Delayed { until: Some(at) } => format!("it is delayed until {at:.0}"),
            Self::Parked { reason, .. } | Self::Unknown { reason } => reason.clone(),
            Self::Stuck { reason } => format!("it is stuck: {reason}"),
            Self::Dead { reason } => format!("it is dead: {reason}"),
            Self::Ended { state, reason } => {
                let how = match state {
                    State::Cancelled => "it was cancelled".to_owned(),
                    state => format!("it has {state}"),
                };
                match reason {
                    None => how,
                    Some(reason) => format!("{how}: {reason}"),
                }
            }
            Self::Running { on, doing } if doing.is_empty() => format!("it runs on {on}"),
            Self::Running { on, doing } => {
                let doing: Vec<_> = doing.iter().map(Doing::to_string).collect();
                format!("it runs on {on}: it {}", doing.join("; it "))
            }
            Self::ExecutorSilent { on } => format!(
                "its executor on {on} has been silent since {:.0}: another one takes it over",
                on.lease_expires_at
            ),
            Self::ChangesHands => "it changes hands: its executor is not there any more".to_owned(),
            Self::QueuePaused { .. }
            | Self::NoExecutor { .. }
            | Self::Unregistered { .. }
            | Self::QueueFull { .. }
            | Self::KeyFull { .. }
            | Self::RateReached { .. }
            | Self::Waiting { .. } => self.sentence_of_waiting(),
        }
    }

    /// The sentence about one that waits for an executor.
    fn sentence_of_waiting(&self) -> String {
        match self {
            Self::QueuePaused { queue, paused } => {
                let (by, at) = (&paused.by, paused.at);
                let why = match paused.why.as_str() {
                    "" => String::new(),
                    why => format!(": {why}"),
                };
                format!("its queue `{queue}` is paused by {by} since {at:.0}{why}")
            }
            Self::NoExecutor { silent: 0 } => "no executor is live that could run it".to_owned(),
            Self::NoExecutor { silent } => format!(
                "no executor is live that could run it ({silent} silent for longer than the lease)"
            ),
            Self::Unregistered { name, live } => {
                let live: Vec<_> = live
                    .iter()
                    .take(NAMES_SHOWN)
                    .map(Release::to_string)
                    .collect();
                format!("no live executor registers `{name}`: {}", live.join("; "))
            }
            Self::QueueFull { queue, concurrency } => {
                format!("its queue `{queue}` is full: {concurrency} of it run, as many as may")
            }
            Self::KeyFull {
                queue,
                key,
                key_concurrency,
            } => format!(
                "its key `{key}` in the queue `{queue}` is full: {key_concurrency} of the key run, as \
                 many as may"
            ),
            Self::RateReached { queue, rate } => format!(
                "its queue `{queue}` has reached its rate: {} have begun within {:?}, as many as may",
                rate.starts,
                rate.period()
            ),
            Self::Waiting { executors } => format!(
                "it waits for its turn: {executors} live executor{} may take it",
                if *executors == 1 { "" } else { "s" }
            ),
            // `sentence` has the others.
            _ => String::new(),
        }
    }
}
