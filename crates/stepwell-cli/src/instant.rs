//! Instants as people write them on a command line.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};

/// An instant, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instant {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Instant {
    /// The instant, by the clock of the database.
    pub(crate) fn by(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Ago(long) => now.checked_sub(long).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Reads `2026-05-05T10:00:00Z`, `2026-05-05` (its beginning, in UTC), `now`, or how long ago it
/// was: `90s`, `2h 30m`, `7d`.
pub(crate) fn parse(text: &str) -> Result<Instant, String> {
    if text == "now" {
        return Ok(Instant::Ago(SignedDuration::ZERO));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Instant::At(instant));
    }
    // A date and time without an offset reads as a date, too: its time must not be dropped.
    let date = text.parse::<Date>().ok().filter(|_| text.len() <= 10);
    if let Some(start) = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()) {
        return Ok(Instant::At(start.timestamp()));
    }
    let long = text.parse::<Span>().ok();
    let long = long.and_then(|it| it.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    match long {
        Some(long) if !long.is_negative() => Ok(Instant::Ago(long)),
        _ => Err(
            "write an instant with its offset (`2020-05-05T10:00:00Z`), a date (`2020-05-05`), or \
             how long ago it was (`90s`, `2h`, `7d`)"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let now: Timestamp = "2026-05-05T12:00:00Z".parse().unwrap();
        assert_eq!(parse(text).unwrap().by(now).to_string(), expected, "{text}");
    }

    #[test]
    fn an_instant_is_read_as_people_write_it() {
        check("2026-05-05T10:00:00Z", "2026-05-05T10:00:00Z");
        check("2026-05-05T10:00:00+02:00", "2026-05-05T08:00:00Z");
        check("2026-05-05", "2026-05-05T00:00:00Z");
        check("now", "2026-05-05T12:00:00Z");
        check("90s", "2026-05-05T11:58:30Z");
        check("2h 30m", "2026-05-05T09:30:00Z");
        check("7d", "2026-04-28T12:00:00Z");
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "soon",
            "-2h",
            "2026-05-05T10:00:00",
            "1mo",
            "2026-13-01",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
