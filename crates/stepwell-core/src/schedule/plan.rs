//! Which ticks start a workflow now: the rule, without a database.

use std::time::Duration;

use jiff::Timestamp;

use super::{Missed, Ticks};

/// How late a tick may be and still count as in time: as long as a process takes to restart.
const IN_TIME: Duration = Duration::from_secs(60);

/// How far the clocks of two processes may be apart, as each has it from the store: what one has
/// considered already is no sign for the other that the clock was put back.
const APART: Duration = Duration::from_secs(5);

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

/// Decides about the ticks from `next`, the first one that was not considered, to `now`. Without one it
/// was thought that there would be none: it is looked again.
pub(crate) fn plan(ticks: &Ticks, missed: Missed, next: Option<Timestamp>, now: Timestamp) -> Plan {
    let next = match next {
        Some(next) if next <= now => next,
        Some(next) => return nothing(Some(ahead(ticks, next, now))),
        None => return nothing(ticks.after(now)),
    };
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

fn nothing(next: Option<Timestamp>) -> Plan {
    Plan {
        start: Vec::new(),
        next,
    }
}

/// The next tick, where it lies ahead. It was set by a clock that has been put back since if others
/// come before it: then the first of those is next. One that was started before is not started
/// again, because its workflow is there.
fn ahead(ticks: &Ticks, next: Timestamp, now: Timestamp) -> Timestamp {
    let is_passed_over = |by: Duration| {
        let from = now.saturating_add(by).unwrap_or(now);
        ticks.after(from).filter(|first| *first < next)
    };
    match is_passed_over(APART) {
        Some(_) => is_passed_over(Duration::ZERO).unwrap_or(next),
        None => next,
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
        let plan = plan(&ticks, missed, Some(at(next)), at(now));
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
    fn a_clock_that_is_put_back_takes_the_next_tick_with_it() {
        for missed in [Missed::Skip, Missed::Latest, Missed::All] {
            check(missed, "10:20:00", "09:05:00", &[], "09:10:00");
            check(missed, "10:20:00", "10:09:00", &[], "10:10:00");
        }
    }

    #[test]
    fn clocks_that_are_a_little_apart_move_no_tick() {
        // Another process has considered the tick of 10:10 already, by its clock.
        check(Missed::All, "10:20:00", "10:09:56", &[], "10:20:00");
    }

    #[test]
    fn a_schedule_that_was_thought_to_be_over_is_looked_at_again() {
        let ticks = Ticks::of("0 3 * * *", None).unwrap();
        let plan = plan(&ticks, Missed::Latest, None, at("02:00:00"));
        assert_eq!((plan.start, plan.next), (vec![], Some(at("03:00:00"))));
    }

    #[test]
    fn what_was_missed_for_long_comes_in_parts() {
        let ticks = Ticks::of("@every 1s", None).unwrap();
        let (next, now) = (at("00:00:00"), at("10:00:00"));
        let first = plan(&ticks, Missed::All, Some(next), now);
        assert_eq!(first.start.len(), STARTS_MAX);
        assert_eq!(first.next, ticks.after(first.start[STARTS_MAX - 1]));
        let latest = plan(&ticks, Missed::Latest, Some(next), now);
        assert_eq!(latest.start, [now]);
    }
}
