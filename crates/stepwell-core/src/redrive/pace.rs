//! How a rate becomes pages and pauses.

use std::time::Duration;

use crate::{limits::InvalidInput, store::Rate};

/// The shortest pause between two pages: each page costs a few records.
const PAUSE_MIN_MS: u64 = 250;
/// How many letters a page holds at most: one list.
const PAGE_MAX: u64 = 1_000;

/// So many letters, and then so long a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) page: u32,
    pub(super) pause: Duration,
}

/// Refuses a rate that cannot be held.
pub(crate) fn check(rate: Rate) -> Result<(), InvalidInput> {
    let Rate { starts, period_ms } = rate;
    if starts == 0 || period_ms == 0 {
        return Err(InvalidInput::new(format!(
            "a rate of {starts} in {period_ms} ms is none; give how many in what time"
        )));
    }
    let page = page(rate);
    if page > PAGE_MAX {
        return Err(InvalidInput::new(format!(
            "a rate of {starts} in {period_ms} ms is more than {} a second, the most that is allowed",
            PAGE_MAX * 1_000 / PAUSE_MIN_MS
        )));
    }
    Ok(())
}

/// As many as belong into the shortest pause, and one at least.
fn page(rate: Rate) -> u64 {
    let (starts, period) = (u64::from(rate.starts), u64::from(rate.period_ms));
    (starts * PAUSE_MIN_MS / period.max(1)).max(1)
}

impl Pace {
    pub(super) fn of(rate: Rate) -> Self {
        let page = page(rate).min(PAGE_MAX);
        let period_us = u64::from(rate.period_ms) * 1_000;
        Self {
            page: u32::try_from(page).unwrap_or(u32::MAX),
            pause: Duration::from_micros(period_us * page / u64::from(rate.starts.max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_spread_evenly() {
        let pace = |starts, period_ms| {
            let pace = Pace::of(Rate { starts, period_ms });
            (pace.page, pace.pause.as_millis())
        };
        assert_eq!(pace(100, 1_000), (25, 250));
        assert_eq!(pace(6_000, 60_000), (25, 250));
        assert_eq!(pace(1, 60_000), (1, 60_000));
        assert_eq!(pace(7, 1_000), (1, 142));
        assert_eq!(pace(4_000, 1_000), (1_000, 250));
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        for (starts, period_ms) in [(0, 1), (1, 0), (4_100, 1_000), (u32::MAX, 1)] {
            assert!(check(Rate { starts, period_ms }).is_err(), "{starts}");
        }
        assert!(
            check(Rate {
                starts: 4_000,
                period_ms: 1_000
            })
            .is_ok()
        );
    }
}
