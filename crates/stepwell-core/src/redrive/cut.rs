//! Which records of a workflow that failed are kept when it is tried again from where it failed.

use serde::de::IgnoredAny;

use crate::{
    position::Position,
    workflow::{Outcome, Place, Record, RecordKind},
};

/// What a fork leaves out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) from: Position,
    pub(crate) without: Vec<Place>,
}

/// From the operation that failed last: it and what came after it runs anew, what ran beside it is
/// kept, unless it failed as well and nothing came after it there. Where nothing failed that was
/// recorded, everything is kept.
pub(crate) fn cut(records: &[Record]) -> Cut {
    let races = races(records);
    let failures: Vec<&Record> = records
        .iter()
        .filter(|record| failed(record))
        .filter(|record| position(record).is_some_and(|at| !races.iter().any(|race| race.lost(at))))
        .collect();
    // Of those of one commit the last in the order of the code.
    let last = failures
        .iter()
        .max_by_key(|it| (it.recorded_at, position(it)));
    let Some(failed) = last.and_then(|last| position(last)) else {
        let last = records.iter().filter_map(position).next_back();
        return Cut {
            from: last.map_or(Position::top(0), next),
            without: Vec::new(),
        };
    };
    if *failed == Position::top(failed.top_number()) {
        return Cut {
            from: failed.clone(),
            without: Vec::new(),
        };
    }
    let failed_beside = failures.iter().filter_map(|it| position(it));
    let anew: Vec<&Position> = failed_beside
        .filter(|at| *at == failed || ended_beside(records, at, failed))
        .collect();
    // A race that encloses one is decided anew, and a member that had lost begins anew: what it did
    // may be undone, such as a child that was cancelled with it.
    let is_around = |race: &&Race| anew.iter().any(|at| race.encloses(at));
    let around: Vec<&Race> = races.iter().filter(is_around).collect();
    let runs_anew = |record: &&Record| {
        position(record).is_some_and(|at| {
            let follows = |anew: &&Position| at.is_within(anew) || at.is_after(anew);
            anew.iter().any(follows) || around.iter().any(|race| race.lost(at))
        })
    };
    let from = next(failed);
    let before = |record: &&Record| position(record).is_some_and(|at| *at < from);
    let without = records.iter().filter(before).filter(runs_anew);
    Cut {
        without: without.map(|record| record.place.clone()).collect(),
        from,
    }
}

/// Whether what failed at a position ran beside `last` and was the end of what ran there: nothing came
/// after it that did not come after `last` as well. Kept, it would fail the workflow again.
fn ended_beside(records: &[Record], at: &Position, last: &Position) -> bool {
    let is_beside =
        !at.is_after(last) && !last.is_after(at) && !at.is_within(last) && !last.is_within(at);
    let mut positions = records.iter().filter_map(position);
    is_beside && !positions.any(|it| it.is_after(at) && !it.is_after(last))
}

/// The operation of the workflow's body behind the one that this position is at or below.
fn next(position: &Position) -> Position {
    Position::top(position.top_number().saturating_add(1))
}

fn position(record: &Record) -> Option<&Position> {
    match &record.place {
        Place::At(position) | Place::Attempt(position, _) => Some(position),
        Place::Input | Place::Unknown(_) | Place::Result => None,
    }
}

fn failed(record: &Record) -> bool {
    match (&record.place, &record.outcome) {
        // A message that came into no inbox fails nobody.
        (Place::At(_), Outcome::Err(_)) => record.kind != RecordKind::Send,
        // A child's error is the value that its parent saw.
        (Place::At(_), Outcome::Ok(payload)) if record.kind == RecordKind::Await => {
            matches!(payload.read::<Result<IgnoredAny, IgnoredAny>>(), Ok(Err(_)))
        }
        _ => false,
    }
}

/// A race that was decided.
struct Race {
    members: Position,
    winner: u32,
}

impl Race {
    fn encloses(&self, position: &Position) -> bool {
        position.member_of(&self.members).is_some()
    }

    fn lost(&self, position: &Position) -> bool {
        let member = position.member_of(&self.members);
        member.is_some_and(|member| member != self.winner)
    }
}

fn races(records: &[Record]) -> Vec<Race> {
    let decided = records.iter().filter(|it| it.kind == RecordKind::Race);
    decided
        .filter_map(|record| {
            Some(Race {
                members: position(record)?.of_members(),
                winner: record.outcome.payload().read().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::Payload;

    fn record(kind: RecordKind, at: &str, outcome: Outcome) -> Record {
        Record {
            place: Place::At(Position::parse(at).expect("a position")),
            kind,
            name: String::new(),
            outcome,
            attempts: 1,
            started_at: Timestamp::UNIX_EPOCH,
            recorded_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn payload(value: &serde_json::Value) -> Payload {
        Payload::from_stored(value.to_string())
    }

    fn ok(at: &str) -> Record {
        record(RecordKind::Step, at, Outcome::Ok(payload(&json!(1))))
    }

    fn err(at: &str) -> Record {
        record(RecordKind::Step, at, Outcome::Err(payload(&json!("no"))))
    }

    fn race(at: &str, winner: u32) -> Record {
        record(RecordKind::Race, at, Outcome::Ok(payload(&json!(winner))))
    }

    /// The position, and what is left out before it. Records are given in the order of a history.
    #[track_caller]
    fn cuts(records: &[Record], from: &str, without: &[&str]) {
        assert!(records.is_sorted_by_key(|record| record.place.encode()));
        let cut = cut(records);
        let left_out: Vec<String> = cut.without.iter().map(Place::encode).collect();
        assert_eq!(
            (cut.from.to_string().as_str(), left_out),
            (from, without.iter().map(|&it| it.to_owned()).collect())
        );
    }

    #[test]
    fn the_step_that_failed_and_what_came_after_it_runs_anew() {
        cuts(&[ok("0"), ok("1"), err("2")], "2", &[]);
        // The second error was not the end: what undid the work ran after it.
        cuts(&[err("0"), ok("1"), err("2"), ok("3")], "2", &[]);
    }

    #[test]
    fn without_a_failed_operation_all_are_kept() {
        cuts(&[ok("0"), ok("1")], "2", &[]);
        cuts(&[], "0", &[]);
    }

    #[test]
    fn what_ran_beside_the_step_is_kept() {
        let joined = [
            ok("0"),
            ok("1.0"),
            ok("1.1.0"),
            err("1.1.1"),
            ok("1.1.2"),
            ok("1.2.0"),
            ok("1.2.1"),
            ok("2"),
        ];
        cuts(&joined, "2", &["1.1.1", "1.1.2"]);
    }

    /// Recorded so many seconds later than all others.
    fn later(seconds: i64, record: Record) -> Record {
        Record {
            recorded_at: Timestamp::from_second(seconds).expect("an instant"),
            ..record
        }
    }

    #[test]
    fn the_failure_that_came_last_counts_and_not_the_greatest_position() {
        // The second member got over its failure, and then the first one failed.
        let joined = [
            ok("0.0.0"),
            later(5, err("0.0.1")),
            later(1, err("0.1.0")),
            later(2, ok("0.1.1")),
        ];
        cuts(&joined, "1", &["0.0.1"]);
    }

    #[test]
    fn what_failed_beside_it_for_good_runs_anew_as_well() {
        let joined = [
            ok("0.0.0"),
            later(1, err("0.0.1")),
            later(2, err("0.1.0")),
            ok("0.2.0"),
            later(3, ok("1")),
        ];
        cuts(&joined, "1", &["0.0.1", "0.1.0"]);
        cuts(
            &[later(2, err("0.0")), later(1, err("0.1"))],
            "1",
            &["0.0", "0.1"],
        );
    }

    #[test]
    fn a_failed_attempt_goes_with_its_step() {
        let attempt = Record {
            place: Place::Attempt(Position::top(1).child(0), 1),
            ..err("1.0")
        };
        let place = attempt.place.encode();
        cuts(&[err("1.0"), attempt, ok("1.1")], "2", &["1.0", &place]);
    }

    #[test]
    fn a_race_is_decided_anew_with_what_its_winner_had_done() {
        let timeout = [
            race("1", 0),
            ok("1.0.0"),
            err("1.0.1"),
            record(RecordKind::Sleep, "1.1", Outcome::Ok(payload(&json!(1)))),
        ];
        cuts(&timeout, "2", &["1", "1.0.1", "1.1"]);
    }

    #[test]
    fn what_failed_in_a_loser_of_a_race_is_not_why() {
        cuts(&[race("0", 0), ok("0.0"), err("0.1"), err("1")], "1", &[]);
        cuts(&[race("0", 0), ok("0.0"), err("0.1.0")], "1", &[]);
    }

    #[test]
    fn a_child_that_failed_is_started_anew() {
        let failed = payload(&json!({"Err": {"Failed": "no"}}));
        let awaited = record(RecordKind::Await, "1", Outcome::Ok(failed));
        let started = record(RecordKind::Start, "1.0", Outcome::Ok(payload(&json!("c"))));
        cuts(&[ok("0"), awaited, started], "1", &[]);
    }
}
