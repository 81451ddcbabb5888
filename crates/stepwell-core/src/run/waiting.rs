//! What a run waits for, and whether it could leave memory while it does.
//!
//! Every operation that can take long says what it is at: it is busy, or it waits for something that
//! a store knows how to wake for. A run of which all operations wait, for long, and which has
//! nothing on its way to the disk, is handed in to be parked. Whether it is, the row decides.
//!
//! The question is asked by the run's own driver, between two polls of the body: then every operation
//! that is on its way has said what it is at.

use std::{
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Interrupt, Run};
use crate::store::{Change, Park, Parked, Refusal, Wait};

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

/// What the operations of a run are at.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// How many do something, or wait for what no store could wake them for.
    busy: u32,
    waits: Vec<(u32, Awaited)>,
    next: u32,
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

/// An operation is busy as long as this is there.
#[derive(Debug)]
pub(crate) struct Busy<'r>(&'r Run);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.waiting().busy -= 1;
    }
}

/// An operation waits as long as this is there.
#[derive(Debug)]
pub(crate) struct Waits<'r> {
    run: &'r Run,
    number: u32,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.run.waiting();
        waiting.waits.retain(|(number, _)| *number != self.number);
    }
}

impl Waiting {
    /// Whether it has only waited for so long, and will for as long again as far as anybody knows.
    fn is_idle(&self, now: Timestamp, after: Duration) -> bool {
        let is_long = self.since.is_some_and(|since| since.elapsed() >= after);
        let left = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let is_far = self.until().is_none_or(|at| left(at) > after);
        let others = self.waits.iter().filter(|(_, wait)| wait.of_another());
        self.busy == 0
            && self.parking == Parking::No
            && !self.waits.is_empty()
            && is_long
            && is_far
            && others.count() <= OTHERS_MAX
    }

    /// The earliest instant that one of them waits for.
    fn until(&self) -> Option<Timestamp> {
        let instants = self.waits.iter().filter_map(|(_, wait)| match wait {
            Awaited::Instant(at) => Some(*at),
            Awaited::Change(_) => None,
        });
        instants.min()
    }

    fn changes(&self) -> Vec<Wait> {
        let changes = self.waits.iter().filter_map(|(_, wait)| match wait {
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
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.waiting().busy += 1;
        Busy(self)
    }

    /// Says that an operation waits, and for what. What it waits for must be found by whoever looks
    /// at the database after this.
    pub(crate) fn waits_for(&self, awaited: Awaited) -> Waits<'_> {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next = number.wrapping_add(1);
        // Most runs wait for one thing at a time.
        waiting.waits.reserve_exact(1);
        waiting.waits.push((number, awaited));
        waiting.since = Some(Instant::now());
        Waits { run: self, number }
    }

    /// Waits until an instant of the store's clock.
    pub(crate) async fn wait_until(&self, at: Timestamp) {
        let _waits = self.waits_for(Awaited::Instant(at));
        self.engine.wait_until(at).await;
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
        Waiting {
            waits: (0..).zip(waits.iter().cloned()).collect(),
            since: Instant::now().checked_sub(AFTER * 2),
            ..Waiting::default()
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
        let busy = Waiting {
            busy: 1,
            ..waiting(&[message("")])
        };
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
