//! Who is dead: the rule for leases.
//!
//! A lease that has ended proves nothing by itself. While the database is away or locked nobody can
//! renew; a machine that slept, or a clock that was moved, ends every lease at once. So an executor
//! judges others only by time through which the database answered it, at the pace of its own
//! renewals, and only as of the moment at which it asks: a question that waits for a lock must not
//! count the wait against those who wait for the same lock.

use std::time::Duration;

use jiff::Timestamp;

use crate::id::ExecutorId;

/// A look for dead executors. A part of their work comes back with each.
#[derive(Debug, Clone)]
pub struct TakeOver {
    /// The executor that looks; it must be live.
    pub executor: ExecutorId,
    /// How many workflows come back at most.
    pub workflows_max: u32,
    /// The store's time when the executor asks, as it reckons it from the last answer of the
    /// database and a clock that cannot be moved.
    pub at: Timestamp,
    /// For how long the database has answered the executor whenever it was asked.
    pub answered_for: Duration,
}

/// A lease, as an executor's row has it.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// How long its executor may be silent.
    pub length: Duration,
    /// When it ends unless it is renewed.
    pub ends_at: Timestamp,
}

impl TakeOver {
    /// Whether an executor is dead whose process may still be there; `mine` is how long the one
    /// that looks may be silent, and `now` is the store's time.
    ///
    /// Nobody is judged by a shorter silence than the judge's own lease: that is the pace at which
    /// it can tell whether the database answers.
    #[must_use]
    pub fn is_over(&self, lease: Lease, mine: Duration, now: Timestamp) -> bool {
        let silence = lease.length.max(mine);
        if self.answered_for < silence {
            return false;
        }
        let ends_at = after(lease.ends_at, silence - lease.length);
        // A renewal bears a time that has not come: the clock was set back after it. Whoever lives
        // has renewed since.
        let clock_was_set_back = lease.ends_at > after(now.max(self.at), lease.length * 2);
        ends_at <= now.min(self.at) || clock_was_set_back
    }
}

fn after(instant: Timestamp, by: Duration) -> Timestamp {
    instant.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(8);

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn asked(at: i64, answered_for: u64) -> TakeOver {
        TakeOver {
            executor: ExecutorId::generate(),
            workflows_max: 1,
            at: second(at),
            answered_for: Duration::from_secs(answered_for),
        }
    }

    fn ending(ends_at: i64) -> Lease {
        Lease {
            length: LEASE,
            ends_at: second(ends_at),
        }
    }

    #[test]
    fn who_is_dead() {
        let table = [
            ("silent for a lease", asked(100, 8), 100, 100, true),
            ("not yet", asked(100, 60), 101, 100, false),
            ("the database was away", asked(100, 7), 0, 100, false),
            ("the question has waited", asked(100, 60), 101, 200, false),
            ("the clock leaps ahead", asked(100, 60), 105, 9_000, false),
            ("it was set back", asked(100, 8), 9_000, 100, true),
            ("it was just set back", asked(9_000, 60), 9_005, 100, false),
            ("a little ahead", asked(100, 60), 116, 100, false),
        ];
        for (what, look, ends_at, now, expected) in table {
            let is_over = look.is_over(ending(ends_at), LEASE, second(now));
            assert_eq!(is_over, expected, "{what}");
        }
    }

    #[test]
    fn nobody_is_judged_by_less_than_the_judges_own_lease() {
        let short = Lease {
            length: Duration::from_secs(1),
            ends_at: second(101),
        };
        let look = |at| asked(at, 60).is_over(short, LEASE, second(at));
        assert_eq!([102, 107, 108].map(look), [false, false, true]);
        let long = Duration::from_secs(3_600);
        assert!(!asked(100, 60).is_over(ending(0), long, second(100)));
    }

    #[test]
    fn a_lease_without_an_end_is_no_overflow() {
        let lease = Lease {
            length: Duration::MAX / 4,
            ends_at: Timestamp::MAX,
        };
        assert!(!asked(100, u64::MAX).is_over(lease, LEASE, second(100)));
    }
}
