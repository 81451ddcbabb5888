//! What a run waits for, and whether it could leave memory while it does.
//!
//! Every operation that can take long says what it is at: it is busy, or it waits for something that
//! a store knows how to wake for. A run of which all operations wait, for long, and which has
//! nothing on its way to the disk, is handed in to be parked. Whether it is, the row decides.
//!
//! The question is asked by the run's own driver, between two polls of the body: then every operation
//! that is on its way has said what it is at.

use std::{
    collections::VecDeque,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Interrupt, Run};
use crate::{
    doing::Doing,
    position::Position,
    store::{Change, Park, Parked, Refusal, Wait},
    workflow::RecordKind,
};

/// How many other workflows a parked one waits for at most. Each of them that ends wakes it, and it
/// is replayed; one that waits for many is cheaper in memory.
const OTHERS_MAX: usize = 64;

/// What an operation waits for.
#[derive(Debug, Clone)]
pub(crate) enum Awaited {
    /// An instant of the store's clock.
    Instant(Timestamp),
    /// Something that another one writes.
    Change(Wait),
}

/// An operation, as it is named to a person. Made without an allocation: quick steps have one, too.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) position: Position,
    pub(crate) kind: RecordKind,
    pub(crate) name: &'static str,
    /// The number of its attempt; 0 where there are no attempts.
    pub(crate) attempt: u32,
}

/// One operation that has begun and has not ended.
#[derive(Debug, Clone)]
struct At {
    number: u64,
    site: Site,
    since: Instant,
    /// None of one that does something, or waits for what no store could wake it for.
    awaited: Option<Awaited>,
}

/// The operations of a run that have begun and have not ended.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// In the order in which they began, which is mostly the one in which they end: a join may hold
    /// many thousands.
    at: VecDeque<At>,
    next: u64,
    /// When the last of the waits began.
    since: Option<Instant>,
    parking: Parking,
}

/// How far it is with leaving memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Parking {
    #[default]
    No,
    HandedIn,
    /// It may not: it keeps its place in a queue.
    Never,
}

/// An operation is busy, or waits, as long as this is there.
#[derive(Debug)]
pub(crate) struct Underway<'r> {
    run: &'r Run,
    number: u64,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let mut waiting = self.run.waiting();
        let place = waiting
            .at
            .binary_search_by_key(&self.number, |it| it.number);
        if let Ok(place) = place {
            waiting.at.remove(place);
        }
    }
}

impl Waiting {
    /// Whether it has only waited for so long, and will for as long again as far as anybody knows.
    fn is_idle(&self, now: Timestamp, after: Duration) -> bool {
        let is_long = self.since.is_some_and(|since| since.elapsed() >= after);
        let left = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let is_far = || self.until().is_none_or(|at| left(at) > after);
        let others = || self.waits().filter(|wait| wait.of_another()).count();
        // The question is asked at every poll of the body: what looks at all operations comes last.
        is_long
            && self.parking == Parking::No
            && !self.at.is_empty()
            && self.at.iter().all(|it| it.awaited.is_some())
            && is_far()
            && others() <= OTHERS_MAX
    }

    /// Lists the awaited things.
    fn waits(&self) -> impl Iterator<Item = &Awaited> {
        self.at.iter().filter_map(|it| it.awaited.as_ref())
    }

    /// The earliest instant that one of them waits for.
    fn until(&self) -> Option<Timestamp> {
        let instants = self.waits().filter_map(|wait| match wait {
            Awaited::Instant(at) => Some(*at),
            Awaited::Change(_) => None,
        });
        instants.min()
    }

    /// Lists the changes of others that are awaited, in the order in which they were asked for.
    fn changes(&self) -> Vec<Wait> {
        let changes = self.waits().filter_map(|wait| match wait {
            Awaited::Instant(_) => None,
            Awaited::Change(wait) => Some(wait.clone()),
        });
        changes.collect()
    }
}

impl Awaited {
    fn of_another(&self) -> bool {
        matches!(self, Self::Change(wait) if wait.of().is_some())
    }

    fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Instant(at) => Some(*at),
            Self::Change(_) => None,
        }
    }
}

impl At {
    /// Describes it for others, `since` an instant of the store's clock.
    fn doing(&self, since: Timestamp) -> Doing {
        let Site {
            position,
            kind,
            name,
            attempt,
        } = &self.site;
        Doing {
            position: position.clone(),
            kind: *kind,
            name: (*name).to_owned(),
            attempt: Some(*attempt).filter(|attempt| *attempt > 0),
            since,
            until: self.awaited.as_ref().and_then(Awaited::until),
        }
    }
}

/// What a parked run waits for, for a person.
fn sentence(until: Option<Timestamp>, waits: &[Wait]) -> String {
    let mut parts: Vec<_> = waits
        .iter()
        .map(|wait| match wait {
            Wait::Message { topic } if topic.is_empty() => "a message".to_owned(),
            Wait::Message { topic } => format!("a message on `{topic}`"),
            Wait::Event { name, .. } => format!("the event `{name}` of another workflow"),
            Wait::End { .. } => "the end of another workflow".to_owned(),
        })
        .collect();
    parts.dedup();
    match (until, parts.as_slice()) {
        (None, parts) => format!("waits for {}", parts.join(" and ")),
        (Some(at), []) => format!("waits until {at}"),
        (Some(at), parts) => format!("waits for {}, or until {at}", parts.join(" and ")),
    }
}

impl Run {
    /// Says that an operation is at something that must not be left before it is over.
    pub(crate) fn busy(&self, site: Site) -> Underway<'_> {
        self.begin(site, None)
    }

    /// Says that an operation waits, and for what. What it waits for must be found by whoever looks
    /// at the database after this.
    pub(crate) fn waits_for(&self, site: Site, awaited: Awaited) -> Underway<'_> {
        self.begin(site, Some(awaited))
    }

    fn begin(&self, site: Site, awaited: Option<Awaited>) -> Underway<'_> {
        let since = Instant::now();
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next = number + 1;
        if awaited.is_some() {
            waiting.since = Some(since);
        }
        // Most runs are at one thing at a time.
        if waiting.at.capacity() == 0 {
            waiting.at.reserve_exact(1);
        }
        waiting.at.push_back(At {
            number,
            site,
            since,
            awaited,
        });
        Underway { run: self, number }
    }

    /// Waits until an instant of the store's clock.
    pub(crate) async fn wait_until(&self, site: Site, at: Timestamp) {
        let _waits = self.waits_for(site, Awaited::Instant(at));
        self.engine.wait_until(at).await;
    }

    /// Describes the operations that have lasted for at least so long; `instant` says when they began by
    /// the store's clock.
    pub(crate) fn doing(
        &self,
        at_least: Duration,
        instant: impl Fn(Instant) -> Timestamp,
    ) -> Vec<Doing> {
        let waiting = self.waiting();
        let long = waiting
            .at
            .iter()
            .filter(|it| it.since.elapsed() >= at_least);
        long.map(|it| it.doing(instant(it.since))).collect()
    }

    /// Whether it should be asked to leave memory.
    pub(crate) fn is_idle(&self) -> bool {
        let Some(after) = self.engine.config.park_after else {
            return false;
        };
        self.waiting().is_idle(self.engine.client.now(), after)
    }

    /// Hands itself in to be parked, if it only waits. To be called between two polls of the body.
    ///
    /// From here on nothing touches the world before the answer is there: whatever does so waits
    /// until what was handed in is on disk, and finds the run interrupted if it is parked.
    pub(crate) fn park_if_idle(self: &Arc<Self>) {
        let is_written = *self.durable.borrow() == self.handed_in.load(Ordering::SeqCst);
        let is_free = self.steps.load(Ordering::SeqCst) == 0
            && self.control.interrupted().is_none()
            && !self.engine.stopping.is_cancelled();
        if !is_written || !is_free || !self.is_idle() {
            return;
        }
        let park = {
            let mut waiting = self.waiting();
            waiting.parking = Parking::HandedIn;
            let (until, waits) = (waiting.until(), waiting.changes());
            Park {
                key: self.key,
                until,
                reason: sentence(until, &waits),
                waits,
            }
        };
        let number = self.hand_in(Change::Park(park));
        self.must_settle.fetch_max(number, Ordering::SeqCst);
    }

    /// Hears what became of it.
    pub(super) fn parked(&self, parked: Parked) {
        let mut waiting = self.waiting();
        match parked {
            Parked::Now => self.control.interrupt(Interrupt::Parked),
            Parked::NotYet => {
                waiting.parking = Parking::No;
                waiting.since = Some(Instant::now());
            }
            Parked::Never => waiting.parking = Parking::Never,
            Parked::Refused(Refusal::NotMine) => self.control.interrupt(Interrupt::Lost),
            Parked::Refused(Refusal::NotRunning(state)) => self.left_running(state),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(60);

    fn message(topic: &str) -> Awaited {
        Awaited::Change(Wait::Message {
            topic: topic.into(),
        })
    }

    /// Waits that began long ago.
    fn waiting(waits: &[Awaited]) -> Waiting {
        let since = Instant::now().checked_sub(AFTER * 2);
        let at = (0..).zip(waits).map(|(number, wait)| At {
            number,
            site: site(),
            since: since.unwrap(),
            awaited: Some(wait.clone()),
        });
        Waiting {
            at: at.collect(),
            since,
            ..Waiting::default()
        }
    }

    fn site() -> Site {
        Site {
            position: Position::top(0),
            kind: RecordKind::Recv,
            name: "",
            attempt: 0,
        }
    }

    fn at(seconds: i64) -> Awaited {
        Awaited::Instant(Timestamp::from_second(seconds).unwrap())
    }

    #[track_caller]
    fn check(waiting: &Waiting, expected: bool) {
        let is_idle = waiting.is_idle(Timestamp::UNIX_EPOCH, AFTER);
        assert_eq!(is_idle, expected, "{waiting:?}");
    }

    #[test]
    fn only_who_waits_and_does_nothing_else_is_idle() {
        check(&waiting(&[message("")]), true);
        check(&waiting(&[]), false);
        let mut busy = waiting(&[message(""), message("")]);
        busy.at[1].awaited = None;
        check(&busy, false);
        busy.at.remove(0);
        check(&busy, false);
        let new = Waiting {
            since: Some(Instant::now()),
            ..waiting(&[message("")])
        };
        check(&new, false);
    }

    #[test]
    fn what_comes_soon_is_waited_for_in_memory() {
        check(&waiting(&[message(""), at(59)]), false);
        check(&waiting(&[message(""), at(61)]), true);
        check(&waiting(&[at(3600), at(1)]), false);
        check(&waiting(&[at(-5)]), false);
    }

    #[test]
    fn who_waits_for_very_many_others_stays() {
        let end = |key| {
            Awaited::Change(Wait::End {
                of: crate::id::WorkflowKey(key),
            })
        };
        let ends: Vec<_> = (0..64).map(end).collect();
        check(&waiting(&ends), true);
        let ends: Vec<_> = (0..65).map(end).collect();
        check(&waiting(&ends), false);
    }

    #[test]
    fn the_row_says_what_is_waited_for() {
        let topic = |topic: &str| Wait::Message {
            topic: topic.into(),
        };
        assert_eq!(sentence(None, &[topic("")]), "waits for a message");
        let at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(sentence(at, &[]), "waits until 1970-01-01T00:00:00Z");
        assert_eq!(
            sentence(at, &[topic("a"), topic("b")]),
            "waits for a message on `a` and a message on `b`, or until 1970-01-01T00:00:00Z"
        );
    }
}
