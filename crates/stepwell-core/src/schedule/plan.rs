//! Which ticks start a workflow now: the rule, without a database.

use std::time::Duration;

use jiff::Timestamp;

use super::{Missed, Ticks};

/// How late a tick may be and still count as in time: as long as a process takes to restart.
const IN_TIME: Duration = Duration::from_secs(60);

/// How many ticks start their workflows in one transaction. The rest follows.
const STARTS_MAX: usize = 1_000;

/// What is to be done about a schedule now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The ticks that start a workflow, the earliest first.
    pub(crate) start: Vec<Timestamp>,
    /// The first tick that was not considered; none if there will be none.
    pub(crate) next: Option<Timestamp>,
}

/// Decides about the ticks from `next`, the first one that was not considered, to `now`.
pub(crate) fn plan(ticks: &Ticks, missed: Missed, next: Timestamp, now: Timestamp) -> Plan {
    if next > now {
        return Plan {
            start: Vec::new(),
            next: Some(next),
        };
    }
    if missed == Missed::All {
        let due = std::iter::successors(Some(next), |tick| ticks.after(*tick));
        let start: Vec<_> = due
            .take_while(|tick| *tick <= now)
            .take(STARTS_MAX)
            .collect();
        let last = start.last().copied().unwrap_or(next);
        return Plan {
            start,
            next: ticks.after(last),
        };
    }
    // Not one by one: a schedule of every second may have been away for a year.
    let last = ticks.until(now).filter(|last| *last > next).unwrap_or(next);
    let late = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    let counts = missed == Missed::Latest || late <= IN_TIME;
    Plan {
        start: if counts { vec![last] } else { Vec::new() },
        next: ticks.after(now.max(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-05-05T{text}Z").parse().unwrap()
    }

    #[track_caller]
    fn check(missed: Missed, next: &str, now: &str, start: &[&str], then: &str) {
        let ticks = Ticks::of("*/10 * * * *", None).unwrap();
        let plan = plan(&ticks, missed, at(next), at(now));
        let expected: Vec<_> = start.iter().map(|tick| at(tick)).collect();
        assert_eq!(plan.start, expected);
        assert_eq!(plan.next, Some(at(then)));
    }

    #[test]
    fn before_its_time_nothing_starts() {
        for missed in [Missed::Skip, Missed::Latest, Missed::All] {
            check(missed, "10:10:00", "10:09:59", &[], "10:10:00");
        }
    }

    #[test]
    fn at_its_time_one_starts() {
        for missed in [Missed::Skip, Missed::Latest, Missed::All] {
            check(missed, "10:10:00", "10:10:00", &["10:10:00"], "10:20:00");
            check(missed, "10:10:00", "10:10:59", &["10:10:00"], "10:20:00");
        }
    }

    #[test]
    fn missed_ticks_follow_the_policy() {
        check(Missed::Skip, "10:10:00", "10:35:00", &[], "10:40:00");
        check(
            Missed::Skip,
            "10:10:00",
            "10:30:30",
            &["10:30:00"],
            "10:40:00",
        );
        check(
            Missed::Latest,
            "10:10:00",
            "10:35:00",
            &["10:30:00"],
            "10:40:00",
        );
        check(
            Missed::All,
            "10:10:00",
            "10:35:00",
            &["10:10:00", "10:20:00", "10:30:00"],
            "10:40:00",
        );
    }

    #[test]
    fn a_clock_that_is_put_back_starts_no_tick_again() {
        // The database's clock jumped back: the next tick is ahead again, and stays where it is.
        check(Missed::All, "10:20:00", "09:00:00", &[], "10:20:00");
    }

    #[test]
    fn what_was_missed_for_long_comes_in_parts() {
        let ticks = Ticks::of("@every 1s", None).unwrap();
        let (next, now) = (at("00:00:00"), at("10:00:00"));
        let first = plan(&ticks, Missed::All, next, now);
        assert_eq!(first.start.len(), STARTS_MAX);
        assert_eq!(first.next, ticks.after(first.start[STARTS_MAX - 1]));
        let latest = plan(&ticks, Missed::Latest, next, now);
        assert_eq!(latest.start, [now]);
    }
}
