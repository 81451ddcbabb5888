//! Whether what a store says is what the model says.

use std::fmt::Debug;

use jiff::{SignedDuration, Timestamp};
use stepwell_core::{
    Record, Takeover,
    store::{
        Claimed, Executor, Paused, PublishedEvent, QueueInfo, ScheduleInfo, StreamEntry, Workflow,
    },
};

/// How far the store's clock has gone by itself: nothing on a clock that stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slack(pub(super) SignedDuration);

/// Something with instants in it.
pub(super) trait Instants {
    /// Calls the function with each pair of instants that should be the same.
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp));
}

impl Slack {
    fn align(self, actual: &mut Timestamp, expected: Timestamp) {
        let apart = actual.duration_since(expected).abs();
        let allowed = match self.0.is_zero() {
            true => SignedDuration::ZERO,
            false => self.0.abs() + SignedDuration::from_secs(1),
        };
        if apart <= allowed {
            *actual = expected;
        }
    }

    /// Compares two lists, up to the slack.
    pub(super) fn all<T: Instants + Debug + PartialEq>(
        self,
        what: &str,
        mut actual: Vec<T>,
        expected: &[T],
    ) -> Result<(), String> {
        for (actual, expected) in actual.iter_mut().zip(expected) {
            actual.pairs(expected, &|actual, expected| self.align(actual, expected));
        }
        same(what, actual.as_slice(), expected)
    }

    /// Compares two instants, up to the slack.
    pub(super) fn instant(
        self,
        what: &str,
        mut actual: Option<Timestamp>,
        expected: Option<Timestamp>,
    ) -> Result<(), String> {
        if let (Some(actual), Some(expected)) = (&mut actual, expected) {
            self.align(actual, expected);
        }
        same(what, &actual, &expected)
    }
}

/// Compares two values.
pub(super) fn same<T: Debug + PartialEq + ?Sized>(
    what: &str,
    actual: &T,
    expected: &T,
) -> Result<(), String> {
    if actual == expected {
        return Ok(());
    }
    Err(format!("{what}:\n  store {actual:?}\n  model {expected:?}"))
}

/// Where both have one.
fn both(
    actual: &mut Option<Timestamp>,
    expected: Option<Timestamp>,
    align: &dyn Fn(&mut Timestamp, Timestamp),
) {
    if let (Some(actual), Some(expected)) = (actual, expected) {
        align(actual, expected);
    }
}

fn pauses(
    actual: &mut Option<Paused>,
    expected: Option<&Paused>,
    align: &dyn Fn(&mut Timestamp, Timestamp),
) {
    if let (Some(actual), Some(expected)) = (actual, expected) {
        align(&mut actual.at, expected.at);
    }
}

impl Instants for Workflow {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.created_at, expected.created_at);
        both(&mut self.started_at, expected.started_at, align);
        both(&mut self.ended_at, expected.ended_at, align);
        both(&mut self.deadline_at, expected.deadline_at, align);
        both(&mut self.wake_at, expected.wake_at, align);
        if let (Some(own), Some(expected)) = (&mut self.acknowledged, &expected.acknowledged) {
            align(&mut own.at, expected.at);
        }
    }
}

impl Instants for Record {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.started_at, expected.started_at);
        align(&mut self.recorded_at, expected.recorded_at);
    }
}

impl Instants for Takeover {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.lost_at, expected.lost_at);
        align(&mut self.at, expected.at);
    }
}

impl Instants for PublishedEvent {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.at, expected.at);
    }
}

impl Instants for StreamEntry {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.at, expected.at);
    }
}

impl Instants for Claimed {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.created_at, expected.created_at);
        both(&mut self.deadline_at, expected.deadline_at, align);
    }
}

impl Instants for Executor {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        align(&mut self.started_at, expected.started_at);
        align(&mut self.lease_expires_at, expected.lease_expires_at);
        both(&mut self.ended_at, expected.ended_at, align);
    }
}

impl Instants for QueueInfo {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        both(&mut self.limited_at, expected.limited_at, align);
        pauses(&mut self.paused, expected.paused.as_ref(), align);
    }
}

impl Instants for ScheduleInfo {
    fn pairs(&mut self, expected: &Self, align: &dyn Fn(&mut Timestamp, Timestamp)) {
        both(&mut self.next_at, expected.next_at, align);
        both(&mut self.last_at, expected.last_at, align);
        pauses(&mut self.paused, expected.paused.as_ref(), align);
    }
}
