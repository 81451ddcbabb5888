//! What a run has recorded before, and the rule of replay: the same operations in the same order.

use std::collections::{BTreeMap, HashSet};

use crate::{
    position::Position,
    workflow::{Place, Record, RecordKind},
};

/// The records that a recovered run answers its operations from. Empty for a new run.
#[derive(Debug, Default)]
pub(crate) struct History {
    operations: BTreeMap<Position, Record>,
    attempts: BTreeMap<Position, Vec<Record>>,
    visited: HashSet<Position>,
    /// Members of races that lost: what lies below them need not be visited.
    lost: Vec<Position>,
}

/// What replay finds at a position.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The operation is to be run.
    New,
    /// It was recorded.
    Recorded(Record),
    /// Another operation was recorded; the sentence is for a person.
    Mismatch(String),
}

impl History {
    /// Takes records in.
    pub(crate) fn load(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            match &record.place {
                Place::At(position) => {
                    self.operations.insert(position.clone(), record);
                }
                Place::Attempt(position, _) => {
                    self.attempts
                        .entry(position.clone())
                        .or_default()
                        .push(record);
                }
                // A run whose history has an unknown place was stopped before.
                Place::Input | Place::Unknown(_) | Place::Result => {}
            }
        }
    }

    /// Answers an operation.
    pub(crate) fn visit(&mut self, position: &Position, kind: RecordKind, name: &str) -> Lookup {
        let Some(record) = self.operations.get(position) else {
            return Lookup::New;
        };
        if record.kind == kind && record.name == name {
            self.visited.insert(position.clone());
            return Lookup::Recorded(record.clone());
        }
        Lookup::Mismatch(format!(
            "operation {position} was {} when it first ran and is {} now",
            label(record.kind, &record.name),
            label(kind, name),
        ))
    }

    /// The record at a position, without visiting it.
    pub(crate) fn peek(&self, position: &Position) -> Option<&Record> {
        self.operations.get(position)
    }

    /// Whether anything was recorded at or after a position.
    pub(crate) fn goes_on_at(&self, position: &Position) -> bool {
        self.operations.range(position..).next().is_some()
            || self.attempts.range(position..).next().is_some()
    }

    /// The failed attempts of the step at a position, oldest first.
    pub(crate) fn attempts(&self, position: &Position) -> &[Record] {
        self.attempts.get(position).map_or(&[], Vec::as_slice)
    }

    /// The member `winner` won the race at `race`: what the others left behind does not count.
    pub(crate) fn settle_race(&mut self, race: &Position, winner: u32, members: u32) {
        self.lost.extend(
            (0..members)
                .filter(|member| *member != winner)
                .map(|lost| race.child(lost)),
        );
    }

    /// The first recorded operation that the code did not come to, in a sentence for a person.
    pub(crate) fn first_unvisited(&self) -> Option<String> {
        let (position, record) = self.operations.iter().find(|(position, _)| {
            !self.visited.contains(position)
                && !self.lost.iter().any(|lost| position.is_within(lost))
        })?;
        Some(format!(
            "operation {position} was {} when it first ran and is not reached now",
            label(record.kind, &record.name)
        ))
    }
}

/// How an operation is called in a sentence: by its name, or by what it is.
pub(crate) fn label(kind: RecordKind, name: &str) -> String {
    match kind {
        RecordKind::Step => format!("`{name}`"),
        _ if name.is_empty() => format!("`{}`", kind.as_str()),
        _ => format!("`{} {name}`", kind.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{payload::Payload, workflow::Outcome};

    fn record(position: &Position, kind: RecordKind, name: &str) -> Record {
        Record {
            place: Place::At(position.clone()),
            kind,
            name: name.to_owned(),
            outcome: Outcome::Ok(Payload::null()),
            attempts: 1,
            started_at: Timestamp::UNIX_EPOCH,
            recorded_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn history(records: &[(&Position, RecordKind, &str)]) -> History {
        let mut history = History::default();
        history.load(
            records
                .iter()
                .map(|(position, kind, name)| record(position, *kind, name)),
        );
        history
    }

    #[test]
    fn a_renamed_step_is_named_with_both_names() {
        let at = Position::top(3);
        let mut history = history(&[(&at, RecordKind::Step, "charge")]);
        let Lookup::Mismatch(message) = history.visit(&at, RecordKind::Step, "bill") else {
            panic!("the rename was not seen");
        };
        assert_eq!(
            message,
            "operation 3 was `charge` when it first ran and is `bill` now"
        );
    }

    #[test]
    fn an_operation_that_is_no_longer_reached_is_named() {
        let mut history = history(&[
            (&Position::top(0), RecordKind::Step, "reserve"),
            (&Position::top(1), RecordKind::SetEvent, "ready"),
        ]);
        history.visit(&Position::top(0), RecordKind::Step, "reserve");
        assert_eq!(
            history.first_unvisited().unwrap(),
            "operation 1 was `set_event ready` when it first ran and is not reached now"
        );
    }

    #[test]
    fn what_the_losers_of_a_race_left_need_not_be_reached() {
        let race = Position::top(0);
        let mut history = history(&[
            (&race, RecordKind::Race, ""),
            (&race.child(0), RecordKind::Recv, "go"),
            (&race.child(1), RecordKind::Sleep, ""),
        ]);
        history.visit(&race, RecordKind::Race, "");
        history.visit(&race.child(0), RecordKind::Recv, "go");
        assert!(history.first_unvisited().is_some());
        history.settle_race(&race, 0, 2);
        assert_eq!(history.first_unvisited(), None);
    }
}
