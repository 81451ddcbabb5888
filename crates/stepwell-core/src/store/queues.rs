//! Queues: how they stand, how they are steered, and how much of one may run.

use serde::Serialize;

use super::{Paused, QueueLimits, StoreFuture};

/// How far workflows of a queue are counted for a listing, so that it stays quick beside a million.
pub const COUNTED_MAX: u32 = 10_000;

/// Reads queues. Their writes are [`Change::Queue`](super::Change::Queue), and the first start that
/// names a queue makes it.
pub trait QueueStore {
    /// Every queue, by name.
    fn queues(&self) -> StoreFuture<'_, Vec<QueueInfo>>;
}

/// A queue, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// How much of it may run at once.
    pub limits: QueueLimits,
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
    /// Sets its limits, in place of those that the code declares. More than that may run for a
    /// moment: a lowered limit is reached by draining.
    Limit {
        /// The queue.
        name: String,
        /// Its limits from now on.
        limits: QueueLimits,
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
            Self::Limit { name, .. } | Self::Pause { name, .. } | Self::Resume { name } => name,
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
    /// There is no such queue.
    NoSuchQueue,
}

/// How many workflows of a queue run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueRunning {
    /// In all executors.
    pub all: u32,
    /// In the executor that asks.
    pub here: u32,
}

impl QueueLimits {
    /// How many more workflows of the queue the executor may take; `u32::MAX` without a limit.
    ///
    /// More than the limit can run for a moment after an operator lowers it: it is reached by
    /// draining.
    #[must_use]
    pub fn free_slots(self, running: QueueRunning) -> u32 {
        let free = |limit: Option<u32>, running| {
            limit.map_or(u32::MAX, |limit: u32| limit.saturating_sub(running))
        };
        free(self.concurrency, running.all).min(free(self.executor_concurrency, running.here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limits: (Option<u32>, Option<u32>), running: (u32, u32), expected: u32) {
        let limits = QueueLimits {
            concurrency: limits.0,
            executor_concurrency: limits.1,
        };
        let running = QueueRunning {
            all: running.0,
            here: running.1,
        };
        assert_eq!(limits.free_slots(running), expected);
    }

    #[test]
    fn the_tighter_limit_decides() {
        check((Some(10), Some(4)), (0, 0), 4);
        check((Some(10), Some(4)), (8, 0), 2);
        check((Some(10), Some(4)), (9, 4), 0);
        check((Some(10), None), (3, 3), 7);
        check((None, Some(4)), (100, 1), 3);
    }

    #[test]
    fn no_limit_is_no_bound() {
        check((None, None), (1_000_000, 1_000), u32::MAX);
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        check((Some(0), None), (0, 0), 0);
        check((None, Some(0)), (0, 0), 0);
    }

    #[test]
    fn a_lowered_limit_drains() {
        check((Some(2), None), (5, 5), 0);
    }
}
