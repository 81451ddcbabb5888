//! Queues: how they stand, how they are steered, and how much of one may run.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Declaring, Paused, StoreFuture};
use crate::id::{ExecutorId, WorkflowKey};

/// How far workflows of a queue are counted for a listing, so that it stays quick beside a million.
pub const COUNTED_MAX: u32 = 10_000;

/// How much waiting one point of priority is worth. Whatever waits long enough comes first.
pub const PRIORITY_STEP: Duration = Duration::from_secs(60);

/// How much of a queue may run at once, begin in a time, and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueLimits {
    /// How many run at once, in all executors together.
    pub concurrency: Option<u32>,
    /// How many run at once in one executor.
    pub executor_concurrency: Option<u32>,
    /// How many run at once of one key.
    pub key_concurrency: Option<u32>,
    /// How many begin in a time.
    pub rate: Option<Rate>,
    /// How many may wait. More are refused.
    pub waiting_max: Option<u32>,
}

/// So many in any period of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many workflows.
    pub starts: u32,
    /// In how long.
    pub period_ms: u32,
}

impl Rate {
    /// The length of the period.
    #[must_use]
    pub fn period(self) -> Duration {
        Duration::from_millis(u64::from(self.period_ms))
    }
}

/// Reads queues. Their writes are [`Change::Queue`](super::Change::Queue), and the first start that
/// names a queue makes it.
pub trait QueueStore {
    /// Every queue, by name.
    fn queues(&self) -> StoreFuture<'_, Vec<QueueInfo>>;

    /// The limits of every queue, without a count.
    fn limits(&self) -> StoreFuture<'_, Vec<QueueLimited>>;

    /// Reads the queue of a workflow as it stands for that one; none if it goes through no queue.
    fn queue_of(&self, workflow: WorkflowKey) -> StoreFuture<'_, Option<QueueSeen>>;
}

/// A queue, as it stands for one of its workflows. Nothing is counted further than [`COUNTED_MAX`].
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSeen {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: QueueLimits,
    /// Since when it is paused, by whom and why.
    pub paused: Option<Paused>,
    /// The key under which the workflow goes through it; may be empty.
    pub key: String,
    /// The number of its workflows that run.
    pub running: u32,
    /// The number of those that have the workflow's key.
    pub running_of_key: u32,
    /// The number of workflows that began in the last [`Rate::period`]; 0 without a rate.
    pub started: u32,
}

/// The limits of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLimited {
    /// The queue.
    pub name: String,
    /// Its limits.
    pub limits: QueueLimits,
    /// Whether a person has set them.
    pub by_hand: bool,
}

/// A queue, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: QueueLimits,
    /// Since when a person's limits hold in place of those that the code declares.
    pub limited_at: Option<Timestamp>,
    /// Since when it is paused, by whom and why.
    pub paused: Option<Paused>,
    /// How many of its workflows wait, counted no further than [`COUNTED_MAX`].
    pub waiting: u32,
    /// How many run, counted no further.
    pub running: u32,
}

/// A transition of a queue. Each says what is to be, so that it can be told again.
#[derive(Debug, Clone)]
pub enum QueueChange {
    /// Makes it known with the limits that the code of an executor declares, or sets these in place of
    /// what another release has declared, if this one counts before it: see
    /// [`Standing`](super::Standing). A person's limits stay.
    Declare {
        /// The queue.
        name: String,
        /// Its limits, as the code says them.
        limits: QueueLimits,
        /// Whose code it is.
        executor: ExecutorId,
        /// How it comes to say so.
        declaring: Declaring,
    },
    /// Sets its limits, in place of those that the code declares, until they are unset. More than
    /// that may run for a moment: a lowered limit is reached by draining.
    Limit {
        /// The queue.
        name: String,
        /// Its limits from now on.
        limits: QueueLimits,
    },
    /// Lets what the code declares count again, which whoever runs that code declares before long.
    Unlimit {
        /// The queue.
        name: String,
    },
    /// Lets nothing more of it begin. What runs goes on. One that is paused stays as it was paused
    /// first.
    Pause {
        /// The queue.
        name: String,
        /// Who wants it.
        by: String,
        /// Why; may be empty.
        why: String,
    },
    /// Lets it go on.
    Resume {
        /// The queue.
        name: String,
    },
}

impl QueueChange {
    /// The queue that it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Declare { name, .. }
            | Self::Limit { name, .. }
            | Self::Unlimit { name }
            | Self::Pause { name, .. }
            | Self::Resume { name } => name,
        }
    }
}

/// What a transition of a queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueChanged {
    /// It is so now.
    Done,
    /// It was so before; nothing was written.
    Already,
    /// Another release of the code declares other limits and counts before this one; nothing was
    /// written.
    Outdated,
    /// A person has set other limits; nothing was written.
    SetByHand,
    /// There is no such queue.
    NoSuchQueue,
}

/// How much of a queue is used now, as the executor that asks sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueUsed {
    /// How many run in all executors.
    pub running: u32,
    /// How many run in the executor that asks.
    pub running_here: u32,
    /// How many began in the last [`Rate::period`].
    pub started: u32,
}

impl QueueLimits {
    /// How many more workflows of the queue the executor may take; `u32::MAX` without a limit.
    ///
    /// More than the limit can run for a moment after an operator lowers it: it is reached by
    /// draining.
    #[must_use]
    pub fn free_places(self, used: QueueUsed) -> u32 {
        let free = |limit: Option<u32>, used| {
            limit.map_or(u32::MAX, |limit: u32| limit.saturating_sub(used))
        };
        free(self.concurrency, used.running)
            .min(free(self.executor_concurrency, used.running_here))
            .min(free(self.rate.map(|rate| rate.starts), used.started))
    }

    /// Whether what an executor may take depends on what others have taken, so that one at a time
    /// must count.
    #[must_use]
    pub fn is_counted(self) -> bool {
        let Self {
            concurrency,
            executor_concurrency,
            key_concurrency,
            rate,
            waiting_max: _,
        } = self;
        concurrency.is_some()
            || executor_concurrency.is_some()
            || key_concurrency.is_some()
            || rate.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: QueueUsed = QueueUsed {
        running: 8,
        running_here: 3,
        started: 20,
    };

    fn at_once(all: Option<u32>, here: Option<u32>) -> QueueLimits {
        QueueLimits {
            concurrency: all,
            executor_concurrency: here,
            ..QueueLimits::default()
        }
    }

    #[test]
    fn the_tighter_limit_decides() {
        assert_eq!(at_once(Some(10), Some(4)).free_places(USED), 1);
        assert_eq!(at_once(Some(10), None).free_places(USED), 2);
        assert_eq!(at_once(None, Some(4)).free_places(USED), 1);
        assert_eq!(at_once(None, Some(4)).free_places(QueueUsed::default()), 4);
    }

    #[test]
    fn no_limit_is_no_bound() {
        assert_eq!(at_once(None, None).free_places(USED), u32::MAX);
        assert!(!at_once(None, None).is_counted());
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        assert_eq!(at_once(Some(0), None).free_places(QueueUsed::default()), 0);
        assert_eq!(at_once(None, Some(0)).free_places(QueueUsed::default()), 0);
    }

    #[test]
    fn a_lowered_limit_drains() {
        assert_eq!(at_once(Some(2), None).free_places(USED), 0);
    }

    #[test]
    fn a_rate_counts_what_began() {
        let limits = QueueLimits {
            rate: Some(Rate {
                starts: 25,
                period_ms: 1_000,
            }),
            ..at_once(Some(100), None)
        };
        assert_eq!(limits.free_places(USED), 5);
        assert!(limits.is_counted());
    }
}
