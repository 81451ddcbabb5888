//! The instants of a schedule.

use std::time::Duration;

use croner::Cron;
use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

use super::grammar;
use crate::limits::{DURATION_MAX, InvalidInput};

/// What stands before the length of a schedule that ticks evenly.
const EVERY: &str = "@every ";

/// The shortest length of one.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// No expression that ticks at all ticks for the last time before.
const FIRST: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The instants of a schedule that was checked.
#[derive(Debug)]
pub(crate) enum Ticks {
    /// The times of day that an expression names, in a time zone.
    TimesOfDay { cron: Box<Cron>, zone: TimeZone },
    /// What an expression names that ticks in every hour, or every second one or the like.
    AllTheTime { cron: Box<Cron>, zone: TimeZone },
    /// The multiples of this many nanoseconds since 1970: every executor knows them without asking.
    Every(i128),
}

impl Ticks {
    /// Checks a schedule.
    ///
    /// # Errors
    /// Names what is no schedule, and what to write.
    pub(crate) fn of(spec: &str, timezone: Option<&str>) -> Result<Self, InvalidInput> {
        let zone = match timezone {
            None => TimeZone::UTC,
            Some(zone) => TimeZone::get(zone).map_err(|error| {
                InvalidInput::new(format!(
                    "`{zone}` is no time zone: {error}; write one like `Europe/Berlin`"
                ))
            })?,
        };
        if let Some(length) = spec.strip_prefix(EVERY) {
            return every(spec, length);
        }
        let cron = grammar::parse(spec);
        // The compiler has room for a line of help.
        let cron = cron.map_err(|error| InvalidInput::new(error.replace("\nhelp: ", "; ")))?;
        let cron = Box::new(cron);
        if cron.find_next_occurrence(&FIRST, true).is_err() {
            return Err(InvalidInput::new(format!("`{spec}` never ticks")));
        }
        Ok(match cron.pattern.hours.from_wildcard {
            true => Self::AllTheTime { cron, zone },
            false => Self::TimesOfDay { cron, zone },
        })
    }

    /// The first tick after an instant; none if the schedule never ticks again.
    pub(crate) fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::TimesOfDay { cron, zone } => {
                let mut time = whole_seconds(zone.to_datetime(instant));
                loop {
                    time = cron.find_next_occurrence(&time, false).ok()?;
                    let at = moment(zone, time)?;
                    // Not where the clock was put back: these have come, the first time.
                    if at > instant {
                        return Some(at);
                    }
                }
            }
            Self::AllTheTime { cron, zone } => next_of_all(cron, zone, instant),
            Self::Every(length) => {
                let multiple = instant.as_nanosecond().div_euclid(*length) + 1;
                Timestamp::from_nanosecond(multiple * length).ok()
            }
        }
    }

    /// The last tick at an instant or before it.
    pub(crate) fn until(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::TimesOfDay { cron, zone } => {
                let time = whole_seconds(zone.to_datetime(instant));
                let mut time = cron.find_previous_occurrence(&time, true).ok()?;
                let mut last = moment(zone, time)?;
                // Where the clock was put back, later times of day have come, too.
                while let Ok(next) = cron.find_next_occurrence(&time, false)
                    && let Some(at) = moment(zone, next).filter(|at| *at <= instant)
                {
                    (time, last) = (next, at);
                }
                Some(last)
            }
            Self::AllTheTime { cron, zone } => last_of_all(cron, zone, instant),
            Self::Every(length) => {
                let multiple = instant.as_nanosecond().div_euclid(*length);
                Timestamp::from_nanosecond(multiple * length).ok()
            }
        }
    }
}

/// When a time of day comes: at the change of the clock if that passes it over, and the first time if
/// it comes twice.
fn moment(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_change = after.to_timestamp(time).ok()?;
            let change = zone.following(before_the_change).next()?;
            Some(change.timestamp())
        }
    }
}

/// The first tick after an instant of an expression that goes by the time that passes: between two
/// changes of the clock local time passes evenly.
fn next_of_all(cron: &Cron, zone: &TimeZone, instant: Timestamp) -> Option<Timestamp> {
    let (mut from, mut inclusive) = (instant, false);
    loop {
        let offset = zone.to_offset(from);
        let change = zone.following(from).next();
        let time = whole_seconds(offset.to_datetime(from));
        // Without a change of the clock there is none: neither is there with one.
        let next = cron.find_next_occurrence(&time, inclusive).ok()?;
        let at = offset.to_timestamp(next).ok()?;
        match change.map(|change| change.timestamp()) {
            Some(change) if change <= at => (from, inclusive) = (change, true),
            _ => return Some(at),
        }
    }
}

/// The last tick at an instant or before it, of the same.
fn last_of_all(cron: &Cron, zone: &TimeZone, instant: Timestamp) -> Option<Timestamp> {
    const TICK: SignedDuration = SignedDuration::from_nanos(1);
    const SECOND: SignedDuration = SignedDuration::from_secs(1);
    let mut to = instant;
    loop {
        let offset = zone.to_offset(to);
        let behind = to.checked_add(TICK).unwrap_or(to);
        let change = zone.preceding(behind).next();
        let time = whole_seconds(offset.to_datetime(to));
        let last = cron.find_previous_occurrence(&time, true).ok()?;
        let at = offset.to_timestamp(last).ok()?;
        match change.map(|change| change.timestamp()) {
            Some(change) if at < change => to = change.checked_sub(SECOND).ok()?,
            _ => return Some(at),
        }
    }
}

fn whole_seconds(time: DateTime) -> DateTime {
    let whole = time.with().subsec_nanosecond(0).build();
    whole.unwrap_or(time)
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
mod tests;
