//! Batches on their way to the store: which changes may go while others are still in the air.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;

use super::{Entry, Stand, batch};
use crate::{
    id::WorkflowKey,
    store::{Change, Effect, StoreError},
};

/// How many changes one transaction holds at most, so that its memory and its time are bounded.
const BATCH_CHANGES_MAX: usize = 2_048;

/// How many bytes one transaction holds at most, unless a single change has more: what a database
/// takes at once is bounded (a message to Postgres by 1 GiB), and so is this process's memory.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many changes pay for a commit of their own beside one that is on its way.
const PAYS_FROM: usize = 32;

/// After which time in the air nobody waits for a flight any more, to go with the next one: it is held
/// up, by a lock perhaps.
pub(super) const HELD_UP: Duration = Duration::from_secs(1);

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) entries: Vec<Entry>,
    pub(super) stand: Stand,
    pub(super) cargo: Cargo,
    runs: Vec<WorkflowKey>,
    size: usize,
}

/// What a flight carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cargo {
    /// What was pending.
    Fresh,
    /// What was laid aside: it may well fail again, and holds nobody up meanwhile.
    Suspect,
}

/// What a flight leaves behind.
#[derive(Debug)]
pub(super) struct Landed {
    runs: Vec<WorkflowKey>,
    size: usize,
    cargo: Cargo,
    /// Whether anything was written.
    pub(super) wrote: bool,
    /// Trouble of the database, and what could not be written for it, in order.
    pub(super) grounded: Option<(StoreError, Vec<Entry>)>,
    /// What failed alone.
    pub(super) failed: Vec<Failed>,
    /// How long it took.
    pub(super) took: Duration,
}

/// A change that failed alone, and behind it what its run had handed in after it.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) run: Option<WorkflowKey>,
    pub(super) error: StoreError,
    pub(super) entries: Vec<Entry>,
}

impl Flight {
    /// What must not be written any more is answered at once.
    pub(super) fn new(mut entries: Vec<Entry>, stand: Stand, cargo: Cargo) -> Self {
        batch::drop_void(&mut entries, &stand);
        Self {
            runs: entries
                .iter()
                .filter_map(Entry::run)
                .map(|run| run.key)
                .collect(),
            size: entries.len(),
            entries,
            stand,
            cargo,
        }
    }

    pub(super) fn landing(&mut self) -> Landed {
        Landed {
            runs: std::mem::take(&mut self.runs),
            size: self.size,
            cargo: self.cargo,
            wrote: false,
            grounded: None,
            failed: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

/// What is in the air.
#[derive(Debug, Default)]
pub(super) struct Aloft {
    flights: usize,
    /// Whether one of them carries what was laid aside.
    suspects: bool,
    /// How many changes the others carry.
    changes: usize,
    /// When the last of them took off.
    since: Option<Instant>,
    /// The runs with a change in the air or laid aside. Another one of theirs waits, so that their
    /// changes reach the disk in order even if a batch has to be handed in again.
    runs: HashSet<WorkflowKey>,
}

impl Aloft {
    pub(super) fn add(&mut self, flight: &Flight) {
        self.flights += 1;
        match flight.cargo {
            Cargo::Fresh => {
                self.changes += flight.size;
                self.since = Some(Instant::now());
            }
            Cargo::Suspect => self.suspects = true,
        }
        self.runs.extend(&flight.runs);
    }

    pub(super) fn remove(&mut self, landed: &Landed) {
        self.flights -= 1;
        match landed.cargo {
            Cargo::Fresh => self.changes -= landed.size,
            Cargo::Suspect => self.suspects = false,
        }
        for run in &landed.runs {
            self.runs.remove(run);
        }
        // These stay behind.
        self.runs
            .extend(landed.failed.iter().filter_map(|it| it.run));
    }

    /// Forgets that changes of a run are laid aside: they take off.
    pub(super) fn release(&mut self, run: WorkflowKey) {
        self.runs.remove(&run);
    }

    /// Whether anything is in the air.
    pub(super) fn is_anything(&self) -> bool {
        self.flights > 0
    }

    /// Whether what was laid aside may go now: one flight at a time, so that it takes no more than one
    /// of the store's writers.
    pub(super) fn takes_suspects(&self, writers: usize) -> bool {
        !self.suspects && (self.flights == 0 || self.flights < writers)
    }

    /// Whether another flight pays: the store takes it, and it is no handful beside what is in the
    /// air, which would have it wait for a commit of its own rather than share the next one.
    pub(super) fn has_room_for(&self, pending: usize, writers: usize) -> bool {
        let is_alone = self.flights == usize::from(self.suspects);
        let pays = || pending >= PAYS_FROM && pending * 2 >= self.changes;
        let is_held_up = || self.since.is_some_and(|since| since.elapsed() >= HELD_UP);
        self.flights == 0 || (self.flights < writers && (is_alone || pays() || is_held_up()))
    }

    /// Takes what may go now, in its order; the rest stays, in its order.
    pub(super) fn choose(&self, pending: &mut Vec<Entry>) -> Vec<Entry> {
        let end = match self.flights {
            0 => pending.len(),
            _ => pending
                .iter()
                .position(Entry::waits_for_all)
                .unwrap_or(pending.len()),
        };
        let mut load = Load::default();
        let mut places = Vec::with_capacity(end.min(BATCH_CHANGES_MAX));
        let mut place = 0;
        while place < end {
            let entry = &pending[place];
            if entry.run().is_some_and(|run| self.runs.contains(&run.key)) {
                place += 1;
                continue;
            }
            let is_another = |other: &Entry| other.group != entry.group;
            let behind = pending[place..].iter().position(is_another);
            let behind = behind.map_or(pending.len(), |group| place + group);
            let group = &pending[place..behind.min(end)];
            let fits = load.take(group);
            places.extend(place..place + fits);
            if fits < group.len() {
                break;
            }
            place += fits;
        }
        take_out(pending, &places)
    }
}

/// What a batch holds so far.
#[derive(Default)]
struct Load {
    changes: usize,
    bytes: usize,
}

impl Load {
    /// Loads changes that were handed in together, and says how many of them: all, or none where another
    /// batch could hold them all. What fits no batch is parted; one change always fits.
    fn take(&mut self, group: &[Entry]) -> usize {
        let bytes = group.iter().map(|entry| entry.bytes).sum::<usize>();
        let all_fit = |load: &Self| {
            load.changes + group.len() <= BATCH_CHANGES_MAX && load.bytes + bytes <= BATCH_BYTES_MAX
        };
        let is_empty = self.changes == 0;
        if all_fit(self) {
            self.changes += group.len();
            self.bytes += bytes;
            return group.len();
        }
        if !is_empty {
            // Full: the next batch begins with it.
            return 0;
        }
        let mut taken = 0;
        for entry in group {
            let is_full =
                self.changes >= BATCH_CHANGES_MAX || self.bytes + entry.bytes > BATCH_BYTES_MAX;
            if taken > 0 && is_full {
                break;
            }
            self.changes += 1;
            self.bytes += entry.bytes;
            taken += 1;
        }
        taken
    }
}

/// Takes the entries at some places, which ascend, out of a list.
fn take_out(entries: &mut Vec<Entry>, places: &[usize]) -> Vec<Entry> {
    if places.last().is_none_or(|last| *last == places.len() - 1) {
        return entries.drain(..places.len()).collect();
    }
    let (mut place, mut places) = (0, places.iter().peekable());
    let is_taken = |_: &mut Entry| {
        let is_taken = places.next_if(|next| **next == place).is_some();
        place += 1;
        is_taken
    };
    entries.extract_if(.., is_taken).collect()
}

impl Entry {
    /// Whether it may concern anything that is in the air: a client that cancels what it has started
    /// must not overtake the start. Rare, so it simply waits.
    fn waits_for_all(&self) -> bool {
        match &self.change {
            Change::Cancel(_) | Change::Resume(_) | Change::Fork(_) | Change::Delete(_) => true,
            Change::Progress(progress) => {
                let cancels = |effect: &Effect| matches!(effect, Effect::Cancel(_));
                progress.effects.iter().any(cancels)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
