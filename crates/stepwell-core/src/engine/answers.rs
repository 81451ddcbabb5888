//! For how long the database has answered: what an executor must know before it judges others.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The answers of the database to what a lease stands on.
#[derive(Debug)]
pub(super) struct Answers {
    lease: Duration,
    last: Answer,
    /// Since when there was none that was late.
    since: Instant,
}

/// An answer: when it came, by a clock that cannot be moved, and the store's time then.
#[derive(Debug, Clone, Copy)]
struct Answer {
    here: Instant,
    store: Timestamp,
}

impl Answers {
    /// Begins with an answer that came just now.
    pub(super) fn new(lease: Duration, here: Instant, store: Timestamp) -> Self {
        Self {
            lease,
            last: Answer { here, store },
            since: here,
        }
    }

    /// Notes an answer. If it comes late, or the store's clock was moved in between, everybody gets
    /// a whole lease from here on.
    ///
    /// Late is what comes half a lease after the one before: a silence that another executor may
    /// owe to the database is shorter then. It had renewed a third of its lease before it, at most,
    /// and a sixth is left.
    pub(super) fn came(&mut self, here: Instant, store: Timestamp) {
        let apart = here.duration_since(self.last.here);
        let moved = store.duration_since(self.reckon(apart)).unsigned_abs();
        if apart > self.lease / 2 || moved > self.lease / 6 {
            self.since = here;
        }
        self.last = Answer { here, store };
    }

    /// The database did not answer.
    pub(super) fn failed(&mut self, here: Instant) {
        self.since = here;
    }

    /// The store's time, up to which others can be judged: now, but no later than half a lease after
    /// the last answer. Since then the database may have been away, or this machine may have slept.
    pub(super) fn at(&self, here: Instant) -> Timestamp {
        let since = here.saturating_duration_since(self.last.here);
        self.reckon(since.min(self.lease / 2))
    }

    /// The store's time so long after the last answer, by a clock that cannot be moved.
    fn reckon(&self, since: Duration) -> Timestamp {
        let at = self.last.store.saturating_add(since);
        at.unwrap_or(Timestamp::MAX)
    }

    /// For how long the database has answered whenever it was asked. Not longer than until the last
    /// answer, which may be long ago.
    pub(super) fn came_for(&self) -> Duration {
        self.last.here.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(6);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What is known after answers at these instants, by the process's clock and by the store's.
    #[track_caller]
    fn check(what: &str, answers: &[(u64, i64)], expected: u64) {
        let begun = Instant::now();
        let store = |second| Timestamp::from_second(1_000_000 + second).unwrap();
        let mut known = Answers::new(LEASE, begun, store(0));
        for (here, second) in answers {
            known.came(begun + seconds(*here), store(*second));
        }
        assert_eq!(known.came_for(), seconds(expected), "{what}");
    }

    #[test]
    fn only_time_in_which_the_database_answered_counts() {
        check("at first", &[], 0);
        check("in time", &[(2, 2), (4, 4), (7, 7)], 7);
        check("late once", &[(2, 2), (6, 6), (8, 8)], 2);
        check("late just now", &[(2, 2), (4, 4), (9, 9)], 0);
        check("the machine slept", &[(2, 2), (4, 3_604), (6, 3_606)], 2);
        check("the clock was set back", &[(2, 2), (4, -3_600)], 0);
        check("a clock that is a little off", &[(2, 3), (4, 4)], 4);
    }

    #[test]
    fn a_failure_counts_until_it_is_over() {
        let begun = Instant::now();
        let store = Timestamp::UNIX_EPOCH;
        let mut known = Answers::new(LEASE, begun, store);
        known.came(begun + seconds(2), store + seconds(2));
        known.failed(begun + seconds(3));
        known.came(begun + seconds(4), store + seconds(4));
        assert_eq!(known.came_for(), seconds(1));
    }

    #[test]
    fn nobody_is_judged_beyond_half_a_lease_after_the_last_answer() {
        let begun = Instant::now();
        let known = Answers::new(LEASE, begun, Timestamp::UNIX_EPOCH);
        for (here, expected) in [(0, 0), (2, 2), (3, 3), (90, 3)] {
            let at = known.at(begun + seconds(here));
            assert_eq!(at, Timestamp::from_second(expected).unwrap());
        }
    }
}
