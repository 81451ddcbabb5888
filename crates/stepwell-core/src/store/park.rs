//! Parking: a running workflow that only waits leaves memory.

use jiff::Timestamp;

use super::Refusal;
use crate::id::WorkflowKey;

/// A running workflow that only waits, and is to leave its executor until what it waits for comes.
///
/// # Waking
/// A parked workflow waits for an executor again (`enqueued`) as soon as
/// - `until` or its deadline has passed,
/// - any message comes into its inbox,
/// - a workflow that one of its waits names publishes a value or ends.
///
/// That says "look again", never what happened: whoever takes it replays it, and it may park again.
#[derive(Debug, Clone, PartialEq)]
pub struct Park {
    /// The workflow. It must be running, owned by the executor of the batch, and in no queue.
    pub key: WorkflowKey,
    /// When it goes on at the latest; none if only its waits can wake it.
    pub until: Option<Timestamp>,
    /// What else it waits for.
    pub waits: Vec<Wait>,
    /// What it waits for, in a sentence for a person.
    pub reason: String,
}

/// What a parked workflow waits for, but for time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A message of a topic in its own inbox.
    Message {
        /// The topic; empty for none.
        topic: String,
    },
    /// A value that another workflow publishes.
    Event {
        /// The other workflow.
        of: WorkflowKey,
        /// The event's name.
        name: String,
    },
    /// The end of another workflow.
    End {
        /// The other workflow.
        of: WorkflowKey,
    },
}

impl Wait {
    /// The other workflow that it is about.
    #[must_use]
    pub fn of(&self) -> Option<WorkflowKey> {
        match self {
            Self::Message { .. } => None,
            Self::Event { of, .. } | Self::End { of } => Some(*of),
        }
    }
}

/// What parking came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// It is parked: nobody runs it. The same change handed in again comes to this while it is.
    Now,
    /// Something that it waits for is there, or just comes: it goes on here. Nothing was written.
    NotYet,
    /// It keeps its place in a queue, and so its executor. Nothing was written.
    Never,
    /// It is not running, or not here. Nothing was written.
    Refused(Refusal),
}
