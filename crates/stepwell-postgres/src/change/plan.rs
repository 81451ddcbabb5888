//! In which order a batch is applied, so that most of it is one statement.
//!
//! Pure. A *hot* change can go into the one statement over arrays; a *cold* one has statements of
//! its own. Each round applies its hot changes together and then its cold ones one by one. The
//! outcome is as if all were applied in their order: a hot change overtakes a cold one only where
//! neither can see the other, and otherwise a new round begins.

use std::collections::{HashMap, HashSet};

use stepwell_core::{
    End, Place, WorkflowKey,
    store::{Change, Effect, Finish, Launch, NewWorkflow, Progress, Room},
};

/// A part of a batch: the places of its changes there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Applied first, in one statement.
    pub(crate) hot: Vec<usize>,
    /// Applied then, in this order.
    pub(crate) cold: Vec<usize>,
}

/// Divides a batch into rounds.
pub(crate) fn rounds(changes: &[Change]) -> Vec<Round> {
    let mut rounds = Vec::new();
    let mut open = Open::default();
    for (place, change) in changes.iter().enumerate() {
        // They are parked before everything else.
        if matches!(change, Change::Park(_)) {
            continue;
        }
        if !is_hot(change) {
            open.add_cold(place, change);
            continue;
        }
        if !open.takes(change) {
            rounds.push(std::mem::take(&mut open).round);
        }
        open.add_hot(place, change);
    }
    if open.round != Round::default() {
        rounds.push(open.round);
    }
    rounds
}

fn is_hot(change: &Change) -> bool {
    match change {
        // What waits in a bounded queue is counted alone.
        Change::Start(new) => {
            let has_bound = Room::needed(new).is_some_and(|it| it.limits.waiting_max.is_some());
            !has_bound && new.unique.is_none() && new.message.is_none()
        }
        Change::Progress(progress) => progress.effects.is_empty(),
        Change::Finish(finish) => {
            let is_usual = !matches!(finish.end, End::Stuck { .. } | End::Declined { .. });
            is_usual && finish.alerts.is_empty()
        }
        Change::Send(_)
        | Change::Park(_)
        | Change::Cancel(_)
        | Change::Resume(_)
        | Change::Fork(_)
        | Change::Acknowledge(_)
        | Change::Edit(_)
        | Change::Delete(_)
        | Change::Queue(_)
        | Change::Schedule(_) => false,
    }
}

/// A round that is being filled.
#[derive(Default)]
struct Open<'c> {
    round: Round,
    /// What the hot changes start, record and end.
    started: HashSet<&'c str>,
    recorded: HashMap<WorkflowKey, Recorded<'c>>,
    ended: HashSet<WorkflowKey>,
    /// What the cold changes touch.
    cold_keys: HashSet<WorkflowKey>,
    cold_ids: HashSet<&'c str>,
    /// The queues that they may make, with limits of their own.
    cold_queues: HashSet<&'c str>,
    /// A cold start brings a message, which comes only to one that has not ended: whose key that is, is
    /// not known here.
    cold_start_sends: bool,
    /// A cold change that touches workflows which it does not name.
    cold_touches_all: bool,
}

#[derive(Default)]
struct Recorded<'c> {
    places: Vec<&'c Place>,
    /// Whether records came that are written all or none.
    together: bool,
}

impl<'c> Open<'c> {
    /// Whether a hot change may go before the cold ones that are there.
    fn takes(&self, change: &Change) -> bool {
        if self.cold_touches_all {
            return false;
        }
        match change {
            Change::Start(new) => self.takes_start(new),
            Change::Progress(progress) => self.takes_progress(progress),
            Change::Finish(finish) => self.takes_finish(finish),
            _ => true,
        }
    }

    fn takes_start(&self, new: &NewWorkflow) -> bool {
        let id = new.id.as_str();
        let makes_first = |queue: &str| self.cold_queues.contains(queue);
        !self.started.contains(id)
            && !self.cold_ids.contains(id)
            && !queue_of(new).is_some_and(makes_first)
    }

    fn takes_progress(&self, progress: &Progress) -> bool {
        let is_there = |recorded: &Recorded<'_>| {
            let places = progress.records.iter().map(|record| &record.place);
            places.clone().any(|place| recorded.places.contains(&place))
        };
        !self.cold_keys.contains(&progress.key)
            && !self.ended.contains(&progress.key)
            && !self.recorded.get(&progress.key).is_some_and(is_there)
    }

    /// An end stands in one statement with records before it, if of each it can be told afterwards
    /// what became of it. That holds for those that came alone: one that is not new is old.
    fn takes_finish(&self, finish: &Finish) -> bool {
        !self.cold_start_sends
            && !self.cold_keys.contains(&finish.key)
            && !self.ended.contains(&finish.key)
            && !(self.recorded.get(&finish.key)).is_some_and(|recorded| recorded.together)
    }

    fn add_hot(&mut self, place: usize, change: &'c Change) {
        self.round.hot.push(place);
        match change {
            Change::Start(new) => drop(self.started.insert(new.id.as_str())),
            Change::Finish(finish) => drop(self.ended.insert(finish.key)),
            Change::Progress(progress) => {
                let recorded = self.recorded.entry(progress.key).or_default();
                let places = progress.records.iter().map(|record| &record.place);
                recorded.places.extend(places);
                recorded.together |= progress.records.len() > 1;
            }
            _ => {}
        }
    }

    fn add_cold(&mut self, place: usize, change: &'c Change) {
        self.round.cold.push(place);
        match change {
            Change::Progress(progress) => {
                self.cold_keys.insert(progress.key);
                for effect in &progress.effects {
                    match effect {
                        Effect::Send(message) => drop(self.cold_ids.insert(message.to.as_str())),
                        Effect::Start(child) => self.add_cold_start(child),
                        // It reaches descendants.
                        Effect::Cancel(_) => self.cold_touches_all = true,
                        _ => {}
                    }
                }
            }
            Change::Start(new) if new.unique.is_none() => {
                self.add_cold_start(new);
            }
            Change::Send(message) => drop(self.cold_ids.insert(message.to.as_str())),
            // One of a kind finds others, a cancellation reaches descendants, a fork copies a history,
            // one that gets stuck may be started once more by its id, an alert starts whatever the user
            // says: of these, not all keys or ids are known here. Rare, so everything waits behind them.
            _ => self.cold_touches_all = true,
        }
    }

    fn add_cold_start(&mut self, new: &'c NewWorkflow) {
        self.cold_start_sends |= new.message.is_some();
        self.cold_ids.insert(new.id.as_str());
        self.cold_queues.extend(queue_of(new));
    }
}

fn queue_of(new: &NewWorkflow) -> Option<&str> {
    match &new.launch {
        Launch::Queue(queue) => Some(&queue.name),
        Launch::Here | Launch::Anywhere => None,
    }
}

#[cfg(test)]
mod tests;
