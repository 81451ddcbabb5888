//! Writes as values, and what each can come to.

use std::time::Duration;

use super::{
    NewWorkflow, Park, Parked, QueueChange, QueueChanged, ScheduleChange, Scheduled, Started,
};
use crate::{
    id::{ExecutorId, MARK, Nonce, WorkflowId, WorkflowKey},
    payload::Payload,
    position::Position,
    workflow::{End, Outcome, Place, RecordKind, State},
};

/// What one transaction applies.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Whose lease the writes stand on; none for a client that runs no workflows.
    pub executor: Option<ExecutorId>,
    /// The changes, applied in this order.
    pub changes: Vec<Change>,
}

/// What a batch came to.
#[derive(Debug, Clone)]
pub struct Written {
    /// What each change came to, in their order.
    pub applied: Vec<Applied>,
    /// Whether workflows that were parked wait for an executor now.
    pub woken: bool,
}

/// One atomic transition.
#[derive(Debug, Clone)]
pub enum Change {
    /// Makes a workflow exist. Answered by [`Applied::Start`].
    Start(NewWorkflow),
    /// Adds records to a running workflow, and what they bring about. [`Applied::Progress`].
    Progress(Progress),
    /// Ends a running workflow. [`Applied::Finish`].
    Finish(Finish),
    /// Lets a running workflow that only waits leave memory. [`Applied::Park`].
    Park(Park),
    /// Puts a message into a workflow's inbox, from outside a workflow. [`Applied::Send`].
    Send(NewMessage),
    /// Cancels a workflow and its attached children. [`Applied::Cancel`].
    Cancel(Cancel),
    /// Lets a cancelled, stuck or dead workflow go on. [`Applied::Resume`].
    Resume(WorkflowId),
    /// Starts a workflow from the first part of another one's history. [`Applied::Fork`].
    Fork(Fork),
    /// Says of a dead letter that nobody need look at it any more. [`Applied::Acknowledge`].
    Acknowledge(Acknowledge),
    /// Takes a message out of an inbox, or puts another value in its place. [`Applied::Edit`].
    Edit(EditMessage),
    /// Deletes a workflow at rest, with all that is kept of it. [`Applied::Delete`].
    Delete(Delete),
    /// Changes a schedule, or lets it tick. [`Applied::Schedule`].
    Schedule(ScheduleChange),
    /// Changes a queue. [`Applied::Queue`].
    Queue(QueueChange),
}

impl Change {
    /// Whether the change is one of a run, which stands on the executor's lease.
    ///
    /// The others are requests of a client and outlive the executor's incarnation.
    #[must_use]
    pub fn is_of_a_run(&self) -> bool {
        matches!(self, Self::Progress(_) | Self::Finish(_) | Self::Park(_))
    }
}

/// What a [`Change`] came to.
#[derive(Debug, Clone)]
pub enum Applied {
    /// Of [`Change::Start`].
    Start(Started),
    /// Of [`Change::Progress`].
    Progress(Progressed),
    /// Of [`Change::Finish`].
    Finish(Finished),
    /// Of [`Change::Park`].
    Park(Parked),
    /// Of [`Change::Send`].
    Send(Sent),
    /// Of [`Change::Cancel`].
    Cancel(Cancelled),
    /// Of [`Change::Resume`].
    Resume(Resumed),
    /// Of [`Change::Fork`].
    Fork(Forked),
    /// Of [`Change::Acknowledge`].
    Acknowledge(Acknowledged),
    /// Of [`Change::Edit`].
    Edit(Edited),
    /// Of [`Change::Delete`].
    Delete(Deleted),
    /// Of [`Change::Schedule`].
    Schedule(Scheduled),
    /// Of [`Change::Queue`].
    Queue(QueueChanged),
}

/// Records of a running workflow, and what they bring about: all of it or nothing.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The workflow. It must be running, and owned by the executor of the batch.
    pub key: WorkflowKey,
    /// The records, at least one. The first one decides: if it is there already, nothing is written.
    pub records: Vec<NewRecord>,
    /// What else happens in the same moment.
    pub effects: Vec<Effect>,
}

/// A record to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRecord {
    /// Where it stands.
    pub place: Place,
    /// What the operation is.
    pub kind: RecordKind,
    /// Its name.
    pub name: String,
    /// What it came to.
    pub outcome: Outcome,
    /// How many attempts it took.
    pub attempts: u32,
    /// How long the operation took; the store subtracts it from its clock.
    pub elapsed: Duration,
}

/// What a record brings about.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Publishes a value under a name, in place of the last one.
    SetEvent {
        /// The event's name.
        name: String,
        /// The value.
        value: Payload,
    },
    /// Puts a message into another workflow's inbox. If that cannot be, the record of the send becomes
    /// a failed one and says why: the sender goes on.
    Send(NewMessage),
    /// Takes a message out of the workflow's own inbox.
    Receive {
        /// The message's number, as it was read.
        message: i64,
    },
    /// Appends a value to a stream of the workflow.
    Append {
        /// The stream's name.
        stream: String,
        /// The value.
        value: Payload,
    },
    /// Starts a child.
    Start(NewWorkflow),
    /// Sets an attribute.
    SetAttribute {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Cancels a child that lost a race, with the record of the race: a crash leaves both or neither.
    Cancel(Cancel),
}

/// What progress came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Progressed {
    /// It was written; what the effects came to, in their order.
    Recorded(Vec<EffectOutcome>),
    /// The first record was there already; nothing was written.
    Existing,
    /// The workflow is not running, or not here; nothing was written.
    Refused(Refusal),
    /// An effect could not be had; nothing of this change was written.
    Conflict {
        /// What a person can act on.
        reason: String,
    },
}

/// What an effect came to.
#[derive(Debug, Clone, PartialEq)]
pub enum EffectOutcome {
    /// It happened, and there is nothing more to say.
    Done,
    /// Of [`Effect::Send`].
    Sent(Sent),
    /// Of [`Effect::Start`]; never a conflict, which refuses the whole change.
    Started(Started),
    /// Of [`Effect::Cancel`].
    Cancelled(Cancelled),
}

/// Why a change of a run was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The workflow has left the running state.
    NotRunning(State),
    /// Another executor runs it.
    NotMine,
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The workflow. It must be running, and owned by the executor of the batch.
    pub key: WorkflowKey,
    /// How it ends; the payload becomes its last record.
    pub end: End,
    /// The version of the code, remembered when it is stuck.
    pub version: String,
    /// What is started together with this end, if it comes to [`Finished::Now`]: whoever is alerted by
    /// it. What their starts come to is told nobody.
    pub alerts: Vec<NewWorkflow>,
}

/// What an end came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It ended now.
    Now,
    /// It was at rest before, in this state; nothing was written. The same end handed in again
    /// comes to this.
    Already(State),
    /// Another executor runs it, or nobody does; nothing was written.
    NotMine,
}

/// A message for a workflow's inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The receiver.
    pub to: WorkflowId,
    /// The topic; empty for none.
    pub topic: String,
    /// The message.
    pub payload: Payload,
    /// Sent once for each key and receiver. A send from a workflow has [one](Self::key_at) of its own.
    pub key: Option<String>,
}

impl NewMessage {
    /// The key of what a workflow sends at a place, by the workflow's key: its id may be used again once
    /// it was deleted. It begins with a `~`, as no key does that a client chooses.
    #[must_use]
    pub fn key_at(sender: WorkflowKey, place: &Place) -> String {
        match place.position() {
            Some(position) => format!("{MARK}{sender}:{position}"),
            None => format!("{MARK}{sender}:{}", place.encode()),
        }
    }
}

/// What a send came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The message is in the inbox now.
    New {
        /// The receiver's key.
        to: WorkflowKey,
    },
    /// A message with this key was sent before; nothing was written.
    Duplicate {
        /// The receiver's key.
        to: WorkflowKey,
    },
    /// The receiver has ended and receives nothing more; nothing was written. One that is cancelled
    /// receives again when it was resumed.
    Ended {
        /// How.
        state: State,
    },
    /// There is no such workflow; nothing was written.
    NoSuchWorkflow,
}

impl Sent {
    /// Why the message is in no inbox, in a sentence; none if it is.
    #[must_use]
    pub fn lost_because(&self, to: &WorkflowId) -> Option<String> {
        match self {
            Self::New { .. } | Self::Duplicate { .. } => None,
            Self::Ended { state } => Some(format!(
                "the workflow `{to}` is {state} and receives nothing more"
            )),
            Self::NoSuchWorkflow => Some(format!("there is no workflow `{to}`")),
        }
    }
}

/// Changes a message that waits in an inbox: by hand, where the code cannot read it.
#[derive(Debug, Clone)]
pub struct EditMessage {
    /// Whose inbox it is.
    pub to: WorkflowId,
    /// The message's number.
    pub number: i64,
    /// What it says from now on; none if it is dropped. Its key stays used either way.
    pub payload: Option<Payload>,
}

/// What an edit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It is dropped or replaced.
    Now,
    /// It was received or dropped before; nothing was written.
    Gone,
    /// There is no such message in this inbox, or no such workflow; nothing was written.
    NoSuchMessage,
}

/// A cancellation.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The workflow.
    pub id: WorkflowId,
    /// Who or what cancels.
    pub cause: CancelCause,
}

/// Why a workflow is cancelled. It becomes the reason of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelCause {
    /// Somebody asked for it.
    Request,
    /// Its deadline passed. The store refuses it while the deadline is ahead.
    Deadline,
    /// It was a child that lost a race.
    LostRace,
    /// It waited, and a start of its kind took its place.
    Replaced,
    /// It was started anew under another id.
    StartedAnew,
}

impl CancelCause {
    /// The reason that the row keeps.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "cancelled on request",
            Self::Deadline => "its deadline passed",
            Self::LostRace => "another operation of its parent's race won",
            Self::Replaced => "a later start took its place",
            Self::StartedAnew => "it was started anew",
        }
    }
}

/// What a cancellation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// These workflows are cancelled now: the one, and its attached descendants. Those that ran are
    /// in their executors' interrupts, also in those of the executor of the batch: the answer may be
    /// lost, the interrupts are not.
    Now(Vec<WorkflowKey>),
    /// It had ended before; nothing was written.
    Already(State),
    /// Its deadline is ahead or it has none; nothing was written.
    NotDue,
    /// There is no such workflow.
    NoSuchWorkflow,
}

/// What a resumption came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// It waits for an executor now.
    Now,
    /// It is on its way (delayed, enqueued, running) or has a result; nothing was written.
    Not(State),
    /// There is no such workflow.
    NoSuchWorkflow,
}

/// A fork: a new workflow that begins with another one's history before a position.
#[derive(Debug, Clone)]
pub struct Fork {
    /// The workflow whose history is copied.
    pub source: WorkflowId,
    /// The new workflow's id; the same fork again forks nothing.
    pub id: WorkflowId,
    /// What tells the new workflow from others that ever have its id: never the source's, because what
    /// runs anew is done anew.
    pub nonce: Nonce,
    /// The first operation that runs anew; everything before it is copied, but `without`.
    pub from: Position,
    /// Records before it that run anew too: those of a member of a join, whose others are kept.
    pub without: Vec<Place>,
    /// The arguments in place of the copied ones.
    pub input: Option<Payload>,
    /// Attributes beside the copied ones, or in their place.
    pub attributes: Vec<(String, String)>,
    /// The source's key, if the fork tries a dead letter again. The letter is laid aside in the same
    /// moment: acknowledged if it failed, cancelled if it is stuck or dead. If it is none any more (it went
    /// on, or another workflow has its id), nothing is forked.
    pub letter: Option<WorkflowKey>,
}

impl Fork {
    /// What is said of a failed letter that is tried again.
    #[must_use]
    pub fn note(&self) -> String {
        format!("redriven as {}", self.id)
    }

    /// A copy of everything before a position.
    #[must_use]
    pub fn new(source: WorkflowId, id: WorkflowId, from: Position) -> Self {
        Self {
            source,
            id,
            nonce: Nonce::generate(),
            from,
            without: Vec::new(),
            input: None,
            attributes: Vec::new(),
            letter: None,
        }
    }
}

/// What is known of a workflow that has the id of a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFork {
    /// Its key.
    pub key: WorkflowKey,
    /// The id of the one whose history it has, if it is a fork.
    pub source: Option<String>,
    /// The place before which it was copied.
    pub place: Option<String>,
}

impl KnownFork {
    /// Whether it came of this fork, asked for before, or has nothing to do with it. `source` is the key
    /// of the one that is to be forked, if it is there still. Keys grow: what is older than that one was
    /// made of an earlier workflow of the same id, which was deleted.
    #[must_use]
    pub fn outcome(&self, fork: &Fork, source: Option<WorkflowKey>) -> Forked {
        let same = self.source.as_deref() == Some(fork.source.as_str())
            && source.is_none_or(|source| self.key > source)
            && (self.place.as_ref()).is_none_or(|place| *place == fork.from.encode());
        match same {
            true => Forked::Existing,
            false => Forked::Taken,
        }
    }
}

/// What a fork came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Forked {
    /// The new workflow waits for an executor now.
    New {
        /// Its key.
        key: WorkflowKey,
    },
    /// It is there, and was made by the same fork; nothing was written.
    Existing,
    /// The new id belongs to another workflow; nothing was written.
    Taken,
    /// The source is no dead letter any more; nothing was written.
    NoLetter(State),
    /// There is no such source.
    NoSuchWorkflow,
}

/// Says of a dead letter that nobody need look at it any more. It stays as it is, and keeps the note.
#[derive(Debug, Clone)]
pub struct Acknowledge {
    /// The workflow: failed, stuck or dead.
    pub id: WorkflowId,
    /// What there is to say.
    pub note: String,
}

/// What an acknowledgement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is acknowledged now.
    Now,
    /// It was before; nothing was written, and the first note stays.
    Already,
    /// It is no dead letter; nothing was written.
    Not(State),
    /// There is no such workflow.
    NoSuchWorkflow,
}

/// A deletion of what has ended, is stuck or dead. What is stuck or dead is cancelled in the same moment,
/// with its attached descendants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The workflow.
    pub id: WorkflowId,
    /// The key that it was seen with: another one that has its id by now is left alone. `None` deletes
    /// the one that has the id.
    pub key: Option<WorkflowKey>,
}

/// What a deletion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Nothing is left of it.
    Now,
    /// It may go on by itself; nothing was written.
    Not(State),
    /// There is no such workflow: perhaps not any more.
    NoSuchWorkflow,
}
