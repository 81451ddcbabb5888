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
            return pending.drain(..whole(pending)).collect();
        }
        let end = pending
            .iter()
            .position(Entry::waits_for_all)
            .unwrap_or(pending.len());
        let mut left = BATCH_CHANGES_MAX;
        let may_go = |entry: &mut Entry| {
            if left <= entry.followers {
                left = 0;
            }
            let goes = left > 0 && !entry.run().is_some_and(|run| self.runs.contains(&run.key));
            left -= usize::from(goes);
            goes
        };
        pending.extract_if(..end, may_go).collect()
    }
}

/// How many of the first fit one batch, without parting those that belong together.
fn whole(pending: &[Entry]) -> usize {
    if pending.len() <= BATCH_CHANGES_MAX {
        return pending.len();
    }
    let last = pending[..BATCH_CHANGES_MAX]
        .iter()
        .rposition(|entry| entry.followers == 0);
    last.map_or(BATCH_CHANGES_MAX, |last| last + 1)
}

impl Entry {
    /// Whether it may concern anything that is in the air: a run that cancels its child must not
    /// overtake the child's start. Rare, so it simply waits.
    fn waits_for_all(&self) -> bool {
        matches!(
            self.change,
            Change::Cancel(_) | Change::Resume(_) | Change::Fork(_) | Change::Delete(_)
        )
    }
}

fn lost() -> StoreError {
    StoreError::new(
        StoreErrorKind::Fenced,
        "the executor that ran the workflow has lost its lease",
    )
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::Instant};

    use super::{super::Answer, *};
    use crate::{Payload, WorkflowId, store::NewMessage};

    /// So many changes that go into one batch.
    fn together(count: usize) -> impl Iterator<Item = Entry> {
        let message = || NewMessage {
            to: WorkflowId::generate(),
            topic: String::new(),
            payload: Payload::null(),
            key: None,
        };
        (0..count).map(move |index| Entry {
            change: Change::Send(message()),
            answer: Answer::Client(oneshot::channel().0),
            since: Instant::now(),
            followers: count - index - 1,
        })
    }

    fn pending() -> Vec<Entry> {
        let alone = (0..BATCH_CHANGES_MAX - 8).flat_map(|_| together(1));
        alone.chain(together(20)).chain(together(1)).collect()
    }

    #[test]
    fn what_belongs_together_is_never_parted() {
        let mut aloft = Aloft::default();
        for flights in [0, 1] {
            aloft.flights = flights;
            let mut pending = pending();
            let first = aloft.choose(&mut pending);
            assert_eq!((first.len(), pending.len()), (BATCH_CHANGES_MAX - 8, 21));
            assert_eq!(aloft.choose(&mut pending).len(), 21);
        }
    }
}
