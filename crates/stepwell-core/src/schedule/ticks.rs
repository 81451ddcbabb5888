//! The instants of a schedule.

use std::time::Duration;

use croner::Cron;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::limits::{DURATION_MAX, InvalidInput};

/// What stands before the length of a schedule that ticks evenly.
const EVERY: &str = "@every ";

/// The shortest length of one.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// The instants of a schedule that was checked.
#[derive(Debug)]
pub(crate) enum Ticks {
    Cron {
        cron: Box<Cron>,
        zone: TimeZone,
    },
    /// The multiples of this many nanoseconds since 1970: every executor knows them without asking.
    Every(i128),
}

impl Ticks {
    /// Checks a schedule.
    ///
    /// # Errors
    /// Names what is no schedule, and what to write.
    pub(crate) fn of(spec: &str, timezone: Option<&str>) -> Result<Self, InvalidInput> {
        if let Some(length) = spec.strip_prefix(EVERY) {
            return every(spec, length);
        }
        let cron = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Optional)
            .build()
            .parse(spec)
            .map_err(|error| {
                InvalidInput::new(format!("`{spec}` is no cron expression: {error}"))
            })?;
        let zone = match timezone {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(zone).map_err(|error| {
                InvalidInput::new(format!(
                    "`{zone}` is no time zone: {error}; write one like `Europe/Berlin`"
                ))
            })?,
        };
        let cron = Box::new(cron);
        Ok(Self::Cron { cron, zone })
    }

    /// The first tick after an instant; none if the schedule never ticks again.
    pub(crate) fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let local = instant.to_zoned(zone.clone());
                let next = cron.find_next_occurrence(&local, false).ok()?;
                Some(next.timestamp())
            }
            Self::Every(length) => {
                let multiple = instant.as_nanosecond().div_euclid(*length) + 1;
                Timestamp::from_nanosecond(multiple * length).ok()
            }
        }
    }

    /// The last tick at an instant or before it.
    pub(crate) fn until(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let local = instant.to_zoned(zone.clone());
                let last = cron.find_previous_occurrence(&local, true).ok()?;
                Some(last.timestamp())
            }
            Self::Every(length) => {
                let multiple = instant.as_nanosecond().div_euclid(*length);
                Timestamp::from_nanosecond(multiple * length).ok()
            }
        }
    }
}

fn every(spec: &str, length: &str) -> Result<Ticks, InvalidInput> {
    let parsed = length.parse::<SignedDuration>().map_err(|error| {
        InvalidInput::new(format!(
            "`{spec}` is no schedule: `{length}` is no duration: {error}; write one like \
             `@every 90s` or `@every 1h 30m`"
        ))
    })?;
    let allowed = EVERY_MIN..=DURATION_MAX;
    match Duration::try_from(parsed) {
        Ok(length) if allowed.contains(&length) => Ok(Ticks::Every(parsed.as_nanos())),
        _ => Err(InvalidInput::new(format!(
            "`{spec}` is no schedule: it may tick every second at the most, and every hundred \
             years at the least"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn ticks(spec: &str, zone: &str, from: &str, expected: &[&str]) {
        let ticks = Ticks::of(spec, Some(zone)).unwrap();
        let mut last = at(from);
        for expected in expected {
            last = ticks.after(last).unwrap();
            assert_eq!(last.to_string(), *expected);
            assert_eq!(ticks.until(last), Some(last), "a tick is its own last");
        }
    }

    // Berlin: from 02:00 to 03:00 (01:00 UTC) on 29 March 2026, from 03:00 back to 02:00 (01:00 UTC)
    // on 25 October 2026.

    #[test]
    fn a_time_of_day_that_does_not_exist_comes_at_the_change() {
        ticks(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        );
    }

    #[test]
    fn a_time_of_day_that_comes_twice_comes_once() {
        ticks(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn what_ticks_all_the_time_goes_on_through_a_change() {
        ticks(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:10:00Z",
            &[
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z",
            ],
        );
        ticks(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:10:00Z",
            &[
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z",
            ],
        );
    }

    #[test]
    fn an_even_schedule_ticks_at_multiples_of_its_length() {
        ticks(
            "@every 90s",
            "UTC",
            "2026-01-01T00:00:10Z",
            &["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"],
        );
        ticks(
            "@every 1h 30m",
            "UTC",
            "1970-01-01T00:00:00Z",
            &["1970-01-01T01:30:00Z"],
        );
    }

    #[test]
    fn the_last_tick_before_an_instant_is_found() {
        let ticks = Ticks::of("0 3 * * *", None).unwrap();
        let last = ticks.until(at("2026-05-05T02:59:59Z")).unwrap();
        assert_eq!(last.to_string(), "2026-05-04T03:00:00Z");
    }

    #[test]
    fn a_wrong_schedule_says_what_is_wrong() {
        for (spec, zone, says) in [
            ("61 * * * *", None, "`61 * * * *` is no cron expression"),
            ("@every never", None, "`never` is no duration"),
            ("@every 10ms", None, "every second at the most"),
            ("@every -1h", None, "every second at the most"),
            (
                "* * * * *",
                Some("Mars/Base"),
                "`Mars/Base` is no time zone",
            ),
        ] {
            let error = Ticks::of(spec, zone).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
