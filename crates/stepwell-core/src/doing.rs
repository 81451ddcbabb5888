//! The operations that a running workflow is at, as its executor says with the renewal of its lease.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{id::WorkflowKey, payload::Payload, position::Position, workflow::RecordKind};

/// The bound of workflows that an executor says this of: those that have been at it for longest.
const WORKFLOWS_MAX: usize = 200;

/// The bound of operations of each: a join may hold thousands.
const OPERATIONS_MAX: usize = 8;

/// The bound of the text, in bytes: it is written with every renewal at which it has changed.
const BYTES_MAX: usize = 64 * 1024;

/// An operation that a running workflow is at, and has been for longer than a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Doing {
    /// Its position.
    #[serde(serialize_with = "as_text", deserialize_with = "of_text")]
    pub position: Position,
    /// Its kind.
    pub kind: RecordKind,
    /// Its name: of the step, topic, event, workflow; empty where the kind says all.
    pub name: String,
    /// The number of its attempt; none where there are no attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The instant at which it began.
    pub since: Timestamp,
    /// The instant that it waits for: the end of a sleep, the next attempt of a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

fn as_text<S: Serializer>(position: &Position, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(position)
}

fn of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
    let text = String::deserialize(deserializer)?;
    Position::parse(&text).ok_or_else(|| de::Error::custom("no position"))
}

/// As a part of a sentence: ``runs step `charge` (position 3) since …``.
impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (self.kind, self.until) {
            (RecordKind::Step, None) => write!(f, "runs step `{name}`")?,
            (RecordKind::Step, Some(at)) => {
                write!(f, "waits until {at:.0} to try step `{name}` again")?;
            }
            (RecordKind::Transaction, _) => write!(f, "runs transaction `{name}`")?,
            (RecordKind::Sleep, Some(at)) => write!(f, "sleeps until {at:.0}")?,
            (RecordKind::Recv, _) if name.is_empty() => f.write_str("waits for a message")?,
            (RecordKind::Recv, _) => write!(f, "waits for a message on `{name}`")?,
            (RecordKind::GetEvent, _) => {
                write!(f, "waits for the event `{name}` of another workflow")?;
            }
            (RecordKind::Await, _) => write!(f, "waits for the end of a `{name}`")?,
            (kind, _) => write!(f, "is at {} `{name}`", kind.as_str())?,
        }
        write!(f, " (position {}", self.position)?;
        if let Some(attempt) = self.attempt.filter(|number| *number > 1) {
            write!(f, ", attempt {attempt}")?;
        }
        write!(f, ") since {:.0}", self.since)
    }
}

/// One workflow of an executor, and its operations.
#[derive(Serialize, Deserialize)]
struct Line {
    key: i64,
    doing: Vec<Doing>,
}

/// Puts into text what runs are at. What has lasted for longest comes first; what is beyond the bounds
/// is left out.
pub(crate) fn encode(mut runs: Vec<(WorkflowKey, Vec<Doing>)>) -> Payload {
    for (_, doing) in &mut runs {
        doing.sort_by_key(|it| it.since);
        doing.truncate(OPERATIONS_MAX);
    }
    // The key, so that the same runs make the same text.
    runs.sort_by_key(|(key, doing)| (doing.first().map(|it| it.since), *key));
    let mut lines = Vec::new();
    // The brackets.
    let mut bytes = 2;
    for (key, doing) in runs.into_iter().take(WORKFLOWS_MAX) {
        // Its names are text and its numbers are finite: nothing of it can be refused.
        let Ok(line) = Payload::of_ours(&Line { key: key.0, doing }) else {
            continue;
        };
        bytes += line.as_str().len() + 1;
        if bytes > BYTES_MAX {
            break;
        }
        lines.push(line);
    }
    Payload::array(&lines)
}

/// Reads from the text of an executor what a workflow is at. Text that a newer version has written, and
/// that is not understood here, says nothing.
pub(crate) fn decode(text: &Payload, key: WorkflowKey) -> Vec<Doing> {
    let lines: Vec<Line> = text.read().unwrap_or_default();
    let found = lines.into_iter().find(|line| line.key == key.0);
    found.map(|line| line.doing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn step(name: &str, since: i64) -> Doing {
        Doing {
            position: Position::top(3),
            kind: RecordKind::Step,
            name: name.to_owned(),
            attempt: Some(1),
            since: second(since),
            until: None,
        }
    }

    #[test]
    fn what_was_said_is_read_back() {
        let doing = vec![step("charge", 1), step("ship", 2)];
        let said = encode(vec![(WorkflowKey(7), doing.clone())]);
        assert_eq!(decode(&said, WorkflowKey(7)), doing);
        assert_eq!(decode(&said, WorkflowKey(8)), []);
        assert_eq!(decode(&Payload::null(), WorkflowKey(7)), []);
        assert_eq!(encode(Vec::new()).as_str(), "[]");
    }

    #[test]
    fn what_has_lasted_for_longest_comes_first_and_the_rest_is_left_out() {
        let runs = (0..300).map(|n| (WorkflowKey(n), vec![step("charge", 1_000 - n)]));
        let said = encode(runs.collect());
        assert_eq!(decode(&said, WorkflowKey(299)).len(), 1);
        assert_eq!(decode(&said, WorkflowKey(100)).len(), 1);
        assert_eq!(decode(&said, WorkflowKey(99)), []);
        let join = (0..1_000).map(|n| step("charge", n)).collect();
        let said = encode(vec![(WorkflowKey(1), join)]);
        assert_eq!(decode(&said, WorkflowKey(1)).len(), OPERATIONS_MAX);
        let long = (0..200).map(|n| (WorkflowKey(n), vec![step(&"n".repeat(255), n); 8]));
        let said = encode(long.collect()).as_str().len();
        assert!((BYTES_MAX / 2..=BYTES_MAX).contains(&said), "{said}");
    }

    #[test]
    fn it_is_said_in_plain_words() {
        let table = [
            (step("charge", 0), "runs step `charge` (position 3)"),
            (
                Doing {
                    attempt: Some(2),
                    until: Some(second(60)),
                    ..step("charge", 0)
                },
                "waits until 1970-01-01T00:01:00Z to try step `charge` again (position 3, attempt 2)",
            ),
            (
                Doing {
                    kind: RecordKind::Recv,
                    attempt: None,
                    ..step("payment", 0)
                },
                "waits for a message on `payment` (position 3)",
            ),
            (
                Doing {
                    kind: RecordKind::Sleep,
                    attempt: None,
                    until: Some(second(60)),
                    ..step("", 0)
                },
                "sleeps until 1970-01-01T00:01:00Z (position 3)",
            ),
        ];
        for (doing, expected) in table {
            let said = doing.to_string();
            assert_eq!(said, format!("{expected} since 1970-01-01T00:00:00Z"));
        }
    }
}
