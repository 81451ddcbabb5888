//! What is kept of a workflow: its state, its records, and how it ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use crate::{
    id::{ExecutorId, WorkflowId, WorkflowKey},
    limits::PRINCIPAL_ATTRIBUTE,
    payload::Payload,
    position::Position,
};

/// Where a workflow is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for an instant before it may run.
    Delayed,
    /// Waits for an executor, or for a place in its queue.
    Enqueued,
    /// Belongs to an executor, which runs it or waits with it.
    Running,
    /// Waits, and nobody keeps it in memory: what it waits for makes it wait for an executor.
    Parked,
    /// Ended with an output.
    Succeeded,
    /// Ended with an error of its own, or with a panic.
    Failed,
    /// Ended by a cancellation or by its deadline.
    Cancelled,
    /// Cannot go on with this code; another version may.
    Stuck,
    /// Is where only a newer version of Stepwell knows: this one leaves it alone.
    Unknown,
    /// Was recovered too often without progress.
    Dead,
}

impl State {
    /// Every state that this version knows, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Delayed,
        Self::Enqueued,
        Self::Running,
        Self::Parked,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Stuck,
        Self::Dead,
    ];

    /// The name that rows, the CLI and the console use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::Enqueued => "enqueued",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the name of a state.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Reads the word of a row, which a newer version may have written.
    #[must_use]
    pub fn of_stored(word: &str) -> Self {
        Self::parse(word).unwrap_or(Self::Unknown)
    }

    /// Whether the workflow has a result that will never change by itself.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether a workflow of this state is a dead letter: it did not do its work, and will not by itself.
    #[must_use]
    pub fn is_dead_letter(self) -> bool {
        matches!(self, Self::Failed | Self::Stuck | Self::Dead)
    }

    /// Whether nothing happens any more unless a person or another version acts.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        self.has_ended() || matches!(self, Self::Stuck | Self::Dead)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The hot row of a workflow, as it is read. Its JSON is what the command line and HTTP answer: members
/// are added to it, never renamed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workflow {
    /// The key of its rows.
    #[serde(skip)]
    pub key: WorkflowKey,
    /// The id that a user sees.
    pub id: WorkflowId,
    /// The name of the function.
    pub name: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it is cancelled, stuck or dead, or what it waits for if it is parked, in a sentence; of one
    /// that failed the error's message, shortened to 200 characters.
    pub reason: Option<String>,
    /// What it has in common with others that failed alike: the error's type, and its message without
    /// digits and ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Of a dead letter: that somebody has looked at it, and need not look again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
    /// Who runs it, or ran it last.
    pub executor: Option<ExecutorId>,
    /// The queue that it goes through.
    pub queue: Option<String>,
    /// The workflow that started it.
    pub parent: Option<WorkflowId>,
    /// The workflow whose first part it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<WorkflowId>,
    /// Where it came from: an HTTP route, a schedule, an event source.
    pub origin: Option<String>,
    /// How often it was recovered since its last progress.
    pub recoveries: u32,
    /// When it was started.
    pub created_at: Timestamp,
    /// When an executor first took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it is cancelled if it has not ended.
    pub deadline_at: Option<Timestamp>,
    /// When a delayed one may run, and a parked one goes on at the latest.
    pub wake_at: Option<Timestamp>,
    /// Attributes for search; an object in JSON.
    #[serde(serialize_with = "as_object")]
    pub attributes: Vec<(String, String)>,
}

impl Workflow {
    /// The reason that is shown of a workflow whose state is a word that this version does not know.
    #[must_use]
    pub fn of_newer_version(word: &str) -> String {
        format!(
            "this version of Stepwell does not know its state `{word}`; a newer one has written it, and \
             goes on with it"
        )
    }

    /// A workflow whose row cannot be read: it is shown with the reason, so that it keeps no other
    /// from being listed.
    #[must_use]
    pub fn unreadable(key: WorkflowKey, id: &str, name: &str, why: &str) -> Self {
        let id = WorkflowId::new(id).or_else(|_| WorkflowId::new(format!("unreadable-{key}")));
        Self {
            key,
            id: id.unwrap_or_else(|_| WorkflowId::generate()),
            name: name.to_owned(),
            state: State::Unknown,
            reason: Some(format!("its row cannot be read: {why}")),
            fingerprint: None,
            acknowledged: None,
            executor: None,
            queue: None,
            parent: None,
            forked_from: None,
            origin: None,
            recoveries: 0,
            created_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            ended_at: None,
            deadline_at: None,
            wake_at: None,
            attributes: Vec::new(),
        }
    }

    /// The value of an attribute, if it has that one.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// For whom it was started, if that was said ([`Call::principal`](crate::Call::principal)).
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.attribute(PRINCIPAL_ATTRIBUTE)
    }
}

fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// That somebody has looked at a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acknowledgement {
    /// When.
    pub at: Timestamp,
    /// What there is to say: who it was, what was done.
    pub note: String,
}

/// What an operation is. Replay compares it, together with the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// The first record: the arguments.
    Input,
    /// The last record: the output or the error.
    Result,
    /// A step.
    Step,
    /// A failed attempt of a step, with the instant of the next one.
    Attempt,
    /// A transaction in the user's database.
    Transaction,
    /// The instant at which a wait ends.
    Sleep,
    /// A message that was received.
    Recv,
    /// A message that was sent.
    Send,
    /// A value that was published.
    SetEvent,
    /// A value that was read from another workflow.
    GetEvent,
    /// A child that was started.
    Start,
    /// The result of another workflow.
    Await,
    /// The number of the member that won a race.
    Race,
    /// The instant that the workflow saw.
    Now,
    /// A random number that the workflow saw.
    Random,
    /// A UUID that the workflow saw.
    Uuid,
    /// A code path that is guarded by `patched`.
    Patch,
    /// A value that was appended to a stream.
    Append,
    /// An attribute that was set.
    SetAttribute,
    /// What only a newer version of Stepwell knows; its word stands before the name.
    Unknown,
}

impl RecordKind {
    /// Every kind that this version knows.
    pub const ALL: [Self; 19] = [
        Self::Input,
        Self::Result,
        Self::Step,
        Self::Attempt,
        Self::Transaction,
        Self::Sleep,
        Self::Recv,
        Self::Send,
        Self::SetEvent,
        Self::GetEvent,
        Self::Start,
        Self::Await,
        Self::Race,
        Self::Now,
        Self::Random,
        Self::Uuid,
        Self::Patch,
        Self::Append,
        Self::SetAttribute,
    ];

    /// The word that rows, the CLI and the console use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Result => "result",
            Self::Step => "step",
            Self::Attempt => "attempt",
            Self::Transaction => "transaction",
            Self::Sleep => "sleep",
            Self::Recv => "recv",
            Self::Send => "send",
            Self::SetEvent => "set_event",
            Self::GetEvent => "get_event",
            Self::Start => "start",
            Self::Await => "await",
            Self::Race => "race",
            Self::Now => "now",
            Self::Random => "random",
            Self::Uuid => "uuid",
            Self::Patch => "patch",
            Self::Append => "append",
            Self::SetAttribute => "set_attribute",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word of a kind.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The kind and the name of a record, whose word a newer version may have written.
#[must_use]
pub fn kind_and_name(word: &str, name: String) -> (RecordKind, String) {
    match RecordKind::parse(word) {
        Some(kind) => (kind, name),
        None => (
            RecordKind::Unknown,
            format!("{word} {name}").trim().to_owned(),
        ),
    }
}

/// Where a record stands in its workflow's history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The arguments: before every operation.
    Input,
    /// An operation.
    At(Position),
    /// The `n`-th failed attempt of the step at a position; sorts after it and before what lies below.
    Attempt(Position, u32),
    /// Where only a newer version of Stepwell knows: the stored form.
    Unknown(String),
    /// The output or the error: after every operation.
    Result,
}

impl Place {
    /// The form that a store keeps; its bytes sort in the order of the history.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Input => String::new(),
            Self::At(position) => position.encode(),
            // `!` sorts before `.`; eight digits hold every attempt that a policy can name.
            Self::Attempt(position, number) => format!("{}!{number:08}", position.encode()),
            Self::Unknown(stored) => stored.clone(),
            Self::Result => "~".to_owned(),
        }
    }

    /// Reads the form that a store keeps, which a newer version may have written.
    #[must_use]
    pub fn of_stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }

    /// Reads the stored form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::Input),
            "~" => Some(Self::Result),
            _ => match text.split_once('!') {
                Some((position, number)) => Some(Self::Attempt(
                    Position::parse(position)?,
                    number.parse().ok()?,
                )),
                None => Position::parse(text).map(Self::At),
            },
        }
    }

    /// The operation that the record belongs to, if it belongs to one.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::At(position) | Self::Attempt(position, _) => Some(position),
            Self::Input | Self::Unknown(_) | Self::Result => None,
        }
    }

    /// Which attempt failed, where the record is that of one.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        match self {
            Self::Attempt(_, number) => Some(*number),
            _ => None,
        }
    }
}

/// What an operation came to: its value, or the error that it returned.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A value.
    Ok(Payload),
    /// A business error, as data.
    Err(Payload),
}

impl Outcome {
    /// The value or the error.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        match self {
            Self::Ok(payload) | Self::Err(payload) => payload,
        }
    }

    /// `ok` or `error`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Err(_) => "error",
        }
    }
}

/// One line of a workflow's history: written once, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// What the operation is.
    pub kind: RecordKind,
    /// Its name: of the step, topic, event, child; empty where the kind says all.
    pub name: String,
    /// What it came to.
    pub outcome: Outcome,
    /// How many attempts it took.
    pub attempts: u32,
    /// When the operation began, by the store's clock.
    pub started_at: Timestamp,
    /// When the record was made, by the store's clock.
    pub recorded_at: Timestamp,
}

impl Record {
    /// Why this version cannot go on from the record, if a newer one alone can.
    #[must_use]
    pub fn of_newer_version(&self) -> Option<String> {
        let is_known = self.kind != RecordKind::Unknown && !matches!(self.place, Place::Unknown(_));
        (!is_known).then(|| {
            format!(
                "its history has a record `{}` at `{}` that this version of Stepwell does not know; one \
                 that does goes on with it",
                self.name,
                self.place.encode()
            )
        })
    }
}

/// `position` as a fork takes it (`4.0.2`), `attempt` of a failed one, `outcome` as `ok` or `error` and
/// its `value`.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Record", 9)?;
        record.serialize_field("position", &self.place.position().map(Position::to_string))?;
        record.serialize_field("attempt", &self.place.attempt())?;
        record.serialize_field("kind", self.kind.as_str())?;
        record.serialize_field("name", &self.name)?;
        record.serialize_field("outcome", self.outcome.as_str())?;
        record.serialize_field("value", self.outcome.payload())?;
        record.serialize_field("attempts", &self.attempts)?;
        record.serialize_field("started_at", &self.started_at)?;
        record.serialize_field("recorded_at", &self.recorded_at)?;
        record.end()
    }
}

/// The note on a workflow that failed with an answer to its client.
pub const DECLINED_NOTE: &str = "declined: the client who asked for it was told why";

/// How a workflow stops running.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// With its output.
    Succeeded(Payload),
    /// With its error, or with a panic; `fingerprint` groups errors that are alike.
    Failed {
        /// The error as data.
        error: Payload,
        /// The error's type and message without digits and ids.
        fingerprint: String,
        /// The error's message, shortened: what a list shows.
        reason: String,
    },
    /// With an error that is the answer to the request that started it: nobody need look at it. Kept like
    /// `Failed`, and acknowledged with [`DECLINED_NOTE`] in the same moment.
    Declined {
        /// The error as data.
        error: Payload,
        /// The error's type and message without digits and ids.
        fingerprint: String,
        /// The error's message, shortened: what a list shows.
        reason: String,
    },
    /// Not at all, with this code.
    Stuck {
        /// What a person can act on.
        reason: String,
    },
}

/// One take-over of a workflow, for the timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Takeover {
    /// Whose workflow.
    pub workflow: WorkflowId,
    /// When its executor was declared dead or handed it back.
    pub lost_at: Timestamp,
    /// When another executor went on with it.
    pub at: Timestamp,
    /// Who had it.
    pub from: ExecutorId,
    /// Who has it now.
    pub to: ExecutorId,
    /// How many records were there to be replayed.
    pub replayed: u32,
    /// Why: `lease ended`, `process gone`, `handed back`.
    pub why: String,
}
