//! Says with the renewal of the lease what this executor's runs are at, so that others see it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Engine;
use crate::{doing, id::ExecutorId, payload::Payload, run::Run};

/// The least that an operation has lasted before it is said: a shorter one is over before it is read.
const LONG: Duration = Duration::from_secs(1);

/// The bound of the difference between the store's clock and this process's; beyond it instants are
/// reckoned anew.
const APART: SignedDuration = SignedDuration::from_secs(1);

/// An instant by both clocks. From one of these the same instant is always reckoned to be the same one of
/// the store's: so what lasts makes the same text at every renewal, and is not written again.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    here: Instant,
    store: Timestamp,
}

impl Anchor {
    /// The store's time at an instant of this process, to the millisecond.
    fn at(self, instant: Instant) -> Timestamp {
        let reckoned = match instant.checked_duration_since(self.here) {
            Some(later) => self.store.saturating_add(later),
            None => self.store.saturating_sub(self.here.duration_since(instant)),
        };
        let reckoned = reckoned.unwrap_or(self.store);
        Timestamp::from_millisecond(reckoned.as_millisecond()).unwrap_or(reckoned)
    }

    /// The same, or a new one if the store's clock was moved, or this process's stood still.
    fn kept(self, now: Self) -> Self {
        match self.at(now.here).duration_since(now.store).abs() < APART {
            true => self,
            false => now,
        }
    }
}

/// The text that was said last, and to which executor's row.
#[derive(Debug, Default)]
pub(super) struct Saying {
    anchor: Option<Anchor>,
    said: Option<(ExecutorId, Payload)>,
}

impl Saying {
    /// Returns the text to be said now; none if the row has it.
    pub(super) fn news(&mut self, engine: &Engine, me: &ExecutorId) -> Option<Payload> {
        let now = Anchor {
            here: Instant::now(),
            store: engine.client.now(),
        };
        let anchor = self.anchor.map_or(now, |anchor| anchor.kept(now));
        self.anchor = Some(anchor);
        // The lock of the runs is not held while each of them is looked at.
        let runs: Vec<Arc<Run>> = engine.runs().values().map(Arc::clone).collect();
        let all = runs.iter().filter_map(|run| {
            let doing = run.doing(LONG, |instant| anchor.at(instant));
            (!doing.is_empty()).then_some((run.key, doing))
        });
        let text = doing::encode(all.collect());
        let stands = match &self.said {
            Some((of, said)) if of == me => *said == text,
            _ => text == doing::encode(Vec::new()),
        };
        (!stands).then_some(text)
    }

    /// Notes that the answer was lost: the row may or may not have the text.
    pub(super) fn doubt(&mut self, me: ExecutorId) {
        // No text of ours: whatever comes next is said.
        self.said = Some((me, Payload::null()));
    }

    /// Notes that the row has the text now.
    pub(super) fn said(&mut self, me: ExecutorId, news: Option<Payload>) {
        if let Some(news) = news {
            self.said = Some((me, news));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_reckoned_alike_until_a_clock_is_moved() {
        let here = Instant::now();
        let second = Duration::from_secs(1);
        let anchor = Anchor {
            here: here + second,
            store: Timestamp::from_second(100).unwrap(),
        };
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(
            (anchor.at(here), anchor.at(here + second * 3)),
            (at(99), at(102))
        );
        let later = |store| Anchor {
            here: here + second * 11,
            store,
        };
        let drifted = at(110) + Duration::from_millis(200);
        assert_eq!(anchor.kept(later(drifted)).at(here), at(99));
        assert_eq!(anchor.kept(later(at(200))).at(here), at(189));
        assert_eq!(anchor.kept(later(at(50))).at(here), at(39));
    }
}
