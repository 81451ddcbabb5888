//! Batches on their way to the store: which changes may go while others are still in the air.

use std::collections::HashSet;

use super::{Entry, Stand, closed};
use crate::{
    id::WorkflowKey,
    store::{Change, StoreError, StoreErrorKind},
};

/// How many changes one transaction holds at most, so that its memory and its time are bounded.
const BATCH_CHANGES_MAX: usize = 2_048;

/// How many changes pay for a commit of their own beside one that is on its way.
const PAYS_FROM: usize = 32;

/// What the journal can do next.
pub(super) enum Next {
    /// Hand this to the store.
    Flight(Flight),
    /// Nothing may go now.
    Wait,
    /// Nothing will come any more.
    Closed,
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) entries: Vec<Entry>,
    pub(super) stand: Stand,
    runs: Vec<WorkflowKey>,
    size: usize,
}

/// What a flight leaves behind.
#[derive(Debug)]
pub(super) struct Landed {
    runs: Vec<WorkflowKey>,
    size: usize,
}

impl Flight {
    /// What runs of an earlier incarnation have handed in is refused at once.
    pub(super) fn new(mut entries: Vec<Entry>, stand: Stand) -> Self {
        let is_late = |entry: &mut Entry| {
            let run = entry.run();
            run.is_some_and(|run| run.generation != stand.generation)
        };
        for late in entries.extract_if(.., is_late) {
            late.refuse(lost());
        }
        Self {
            runs: entries
                .iter()
                .filter_map(Entry::run)
                .map(|run| run.key)
                .collect(),
            size: entries.len(),
            entries,
            stand,
        }
    }

    pub(super) fn landed(mut self) -> Landed {
        Landed {
            runs: std::mem::take(&mut self.runs),
            size: self.size,
        }
    }
}

impl Drop for Flight {
    /// Nobody waits for an answer that will not come: the journal was abandoned.
    fn drop(&mut self) {
        for entry in self.entries.drain(..) {
            entry.refuse(closed());
        }
    }
}

/// What is in the air.
#[derive(Debug, Default)]
pub(super) struct Aloft {
    flights: usize,
    changes: usize,
    /// The runs with a change in the air. Another one of theirs waits, so that their changes reach
    /// the disk in order even if a batch has to be handed in again.
    runs: HashSet<WorkflowKey>,
}

impl Aloft {
    pub(super) fn add(&mut self, flight: &Flight) {
        self.flights += 1;
        self.changes += flight.size;
        self.runs.extend(&flight.runs);
    }

    pub(super) fn remove(&mut self, landed: &Landed) {
        self.flights -= 1;
        self.changes -= landed.size;
        for run in &landed.runs {
            self.runs.remove(run);
        }
    }

    /// Whether another flight pays: the store takes it, and it is no handful beside what is in the
    /// air, which would have it wait for a commit of its own rather than share the next one.
    pub(super) fn has_room_for(&self, pending: usize, writers: usize) -> bool {
        self.flights == 0
            || (self.flights < writers && pending >= PAYS_FROM && pending * 2 >= self.changes)
    }

    /// Takes what may go now, in its order; the rest stays, in its order.
    pub(super) fn choose(&self, pending: &mut Vec<Entry>) -> Vec<Entry> {
        if self.flights == 0 {
            let count = pending.len().min(BATCH_CHANGES_MAX);
            return pending.drain(..count).collect();
        }
        let end = pending
            .iter()
            .position(Entry::waits_for_all)
            .unwrap_or(pending.len());
        let mut left = BATCH_CHANGES_MAX;
        let may_go = |entry: &mut Entry| {
            let goes = left > 0 && !entry.run().is_some_and(|run| self.runs.contains(&run.key));
            left -= usize::from(goes);
            goes
        };
        pending.extract_if(..end, may_go).collect()
    }
}

impl Entry {
    /// Whether it may concern anything that is in the air: a run that cancels its child must not
    /// overtake the child's start. Rare, so it simply waits.
    fn waits_for_all(&self) -> bool {
        matches!(
            self.change,
            Change::Cancel(_) | Change::Resume(_) | Change::Fork(_)
        )
    }
}

fn lost() -> StoreError {
    StoreError::new(
        StoreErrorKind::Fenced,
        "the executor that ran the workflow has lost its lease",
    )
}
