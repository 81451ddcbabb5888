//! What a run has recorded before, and the rule of replay: the same operations in the same order.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

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
        let before = match self.operations.get(position) {
            Some(record) if record.kind == kind && record.name == name => {
                self.visited.insert(position.clone());
                return Lookup::Recorded(record.clone());
            }
            Some(record) => label(record.kind, &record.name),
            None => match self.trace_of_another(position, kind, name) {
                Some(before) => before,
                None => {
                    if self.attempts.contains_key(position) {
                        self.visited.insert(position.clone());
                    }
                    return Lookup::New;
                }
            },
        };
        Lookup::Mismatch(format!(
            "operation {position} was {before} when it first ran and is {} now",
            label(kind, name),
        ))
    }

    /// What another operation has left at a position without having ended: failed attempts of a step,
    /// records of members or of a child. Whoever took those for its own would go on with another's
    /// count of attempts and under its idempotency key.
    fn trace_of_another(
        &self,
        position: &Position,
        kind: RecordKind,
        name: &str,
    ) -> Option<String> {
        let attempt = self.attempts.get(position).and_then(|all| all.first());
        if let Some(attempt) = attempt.filter(|it| kind != RecordKind::Step || it.name != name) {
            return Some(label(RecordKind::Step, &attempt.name));
        }
        let has_parts = matches!(kind, RecordKind::Await | RecordKind::Race);
        let part = self.first_within(position).filter(|_| !has_parts);
        part.map(|part| format!("one with parts ({part})"))
    }

    /// The first position below this one at which anything was recorded.
    fn first_within(&self, position: &Position) -> Option<&Position> {
        let behind = (Bound::Excluded(position), Bound::Unbounded);
        let operation = self.operations.range::<Position, _>(behind).next();
        let attempt = self.attempts.range::<Position, _>(behind).next();
        let first = operation
            .map(|(at, _)| at)
            .into_iter()
            .chain(attempt.map(|(at, _)| at))
            .min();
        first.filter(|at| at.is_within(position))
    }

    /// The record at a position, without visiting it.
    pub(crate) fn peek(&self, position: &Position) -> Option<&Record> {
        self.operations.get(position)
    }

    /// Whether the run had come to a position before, by what it has recorded there or after it.
    /// Members that run beside it say nothing: one of them may be far ahead.
    pub(crate) fn goes_on_at(&self, position: &Position) -> bool {
        recorded_from(&self.operations, position) || recorded_from(&self.attempts, position)
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
        let is_left = |position: &Position| {
            !self.visited.contains(position)
                && !self.lost.iter().any(|lost| position.is_within(lost))
        };
        let operations = self.operations.iter();
        let operation = operations
            .map(|(position, record)| (position, label(record.kind, &record.name)))
            .find(|(position, _)| is_left(position));
        let attempts = self.attempts.iter();
        let attempt = attempts
            .filter_map(|(position, all)| {
                Some((position, label(RecordKind::Step, &all.first()?.name)))
            })
            .find(|(position, _)| is_left(position));
        let (position, before) = operation.into_iter().chain(attempt).min()?;
        Some(format!(
            "operation {position} was {before} when it first ran and is not reached now"
        ))
    }
}

/// Whether anything stands at a position, below it, after it, or at what encloses it (whose record is
/// made when it has ended). A look for each level, however many members run side by side.
fn recorded_from<T>(records: &BTreeMap<Position, T>, position: &Position) -> bool {
    let first_from = |from: &Position| records.range(from..).next().map(|(at, _)| at);
    first_from(position).is_some_and(|at| at.is_within(position))
        || position
            .enclosing()
            .any(|outer| records.contains_key(&outer))
        || position.successors().any(|(next, within)| {
            first_from(&next).is_some_and(|at| within.is_none_or(|within| at.is_within(&within)))
        })
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

    fn at(text: &str) -> Position {
        Position::parse(text).expect("a position")
    }

    fn attempt(position: &Position, name: &str) -> Record {
        Record {
            place: Place::Attempt(position.clone(), 1),
            ..record(position, RecordKind::Attempt, name)
        }
    }

    #[test]
    fn failed_attempts_belong_to_the_step_that_made_them() {
        let attempts = || {
            let mut history = History::default();
            history.load([attempt(&at("3"), "charge")]);
            history
        };
        assert!(matches!(
            attempts().visit(&at("3"), RecordKind::Step, "charge"),
            Lookup::New
        ));
        for (kind, name, now) in [
            (RecordKind::Step, "bill", "`bill`"),
            (RecordKind::Transaction, "charge", "`transaction charge`"),
            (RecordKind::Recv, "", "`recv`"),
        ] {
            let Lookup::Mismatch(message) = attempts().visit(&at("3"), kind, name) else {
                panic!("the attempts were taken over");
            };
            let expected = format!("operation 3 was `charge` when it first ran and is {now} now");
            assert_eq!(message, expected);
        }
        assert_eq!(
            attempts().first_unvisited().unwrap(),
            "operation 3 was `charge` when it first ran and is not reached now"
        );
    }

    #[test]
    fn a_step_where_a_join_was_is_seen_before_it_runs() {
        let mut history = history(&[(&at("4.1.0"), RecordKind::Step, "reserve")]);
        let Lookup::Mismatch(message) = history.visit(&at("4"), RecordKind::Step, "bill") else {
            panic!("the join was not seen");
        };
        assert_eq!(
            message,
            "operation 4 was one with parts (4.1.0) when it first ran and is `bill` now"
        );
        assert!(matches!(
            history.visit(&at("4"), RecordKind::Race, ""),
            Lookup::New
        ));
    }

    #[test]
    fn only_what_was_recorded_there_or_later_says_that_a_run_was_there() {
        for recorded in ["4.1.2", "4.1.3", "4.1.2.0", "5", "4", "7.0.3", "4.1.a10"] {
            let kind = RecordKind::Step;
            let history = history(&[(&at(recorded), kind, "x")]);
            assert!(history.goes_on_at(&at("4.1.2")), "{recorded}");
            let mut history = History::default();
            history.load([attempt(&at(recorded), "x")]);
            assert!(history.goes_on_at(&at("4.1.2")), "{recorded}");
        }
        for recorded in [
            "4.1.1", "4.1.1.7", "4.0.9", "4.2.0", "4.2", "4.a10.3", "3", "0",
        ] {
            let history = history(&[(&at(recorded), RecordKind::Step, "x")]);
            assert!(!history.goes_on_at(&at("4.1.2")), "{recorded}");
        }
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
