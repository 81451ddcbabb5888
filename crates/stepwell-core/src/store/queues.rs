//! How much of a queue may run: the rule, without a database.

use super::QueueLimits;

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
