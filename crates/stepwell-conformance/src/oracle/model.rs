//! The contract of a store as plain code: what each transition does, over vectors and loops.
//!
//! Nothing here is quick and nothing is clever. Its keys count the starts from 1; the store's own
//! keys are mapped to them (see [`Keys`](super::keys::Keys)).

mod cancel;
mod claim;
mod executors;
mod finish;
mod fork;
mod letters;
mod park;
mod progress;
mod queues;
mod schedules;
mod start;
mod take_over;
mod unique;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use stepwell_core::{
    ExecutorId, Nonce, Outcome, Payload, Place, Record, RecordKind, State, Takeover, WorkflowId,
    WorkflowKey,
    store::{
        Applied, Batch, Change, Edited, Executor, PublishedEvent, QueueLimits, StreamEntry,
        Workflow,
    },
};

pub(super) use claim::Seen;

/// The executor has lost its lease: nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fenced;

/// Everything that a store keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// In the order of their starts: the key of each is its place here, from 1 on.
    pub(super) workflows: Vec<Row>,
    pub(super) executors: Vec<Incarnation>,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) schedules: BTreeMap<String, schedules::Known>,
    /// The releases in the order in which they came.
    pub(super) releases: Vec<(String, String)>,
    pub(super) interrupts: BTreeSet<(String, WorkflowKey)>,
    pub(super) now: Timestamp,
}

/// A workflow and all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// What a reader sees. Its executor owns it while it runs, and had it last otherwise.
    pub(super) workflow: Workflow,
    /// By the stored forms of their places, which sort as the history does.
    pub(super) records: BTreeMap<String, Record>,
    pub(super) messages: Vec<Letter>,
    pub(super) events: Vec<Value>,
    pub(super) streams: Vec<Value>,
    pub(super) takeovers: Vec<Takeover>,
    nonce: Option<Nonce>,
    parent: Option<WorkflowKey>,
    detached: bool,
    /// Its place in the list stays: keys are never used again.
    pub(super) is_deleted: bool,
    /// The place before which a fork was copied.
    forked_place: Option<String>,
    queue_key: String,
    /// When it may run, each point of priority counted as waiting.
    rank: Timestamp,
    unique: Option<Kind>,
    lost: Option<Lost>,
    records_at_claim: usize,
    /// The versions of the code that got stuck in it since it was resumed.
    stuck_in: BTreeSet<String>,
    /// Who was parked until it publishes something or ends.
    waiters: BTreeSet<WorkflowKey>,
}

/// A message, received or not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Letter {
    pub(super) topic: String,
    pub(super) payload: Payload,
    pub(super) received: bool,
    key: Option<String>,
    /// The store's number, once it was read.
    pub(super) number: Option<i64>,
}

/// A value of an event or a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) value: Payload,
    place: String,
    at: Timestamp,
}

/// What a unique start is the only one of.
#[derive(Debug, Clone, PartialEq)]
struct Kind {
    key: String,
    since: Timestamp,
}

/// How the last executor lost it.
#[derive(Debug, Clone, PartialEq)]
struct Lost {
    from: ExecutorId,
    at: Timestamp,
    why: &'static str,
}

/// An executor.
#[derive(Debug, Clone)]
pub(super) struct Incarnation {
    pub(super) executor: Executor,
    lease: Duration,
    why_ended: &'static str,
    /// Whether a take-over has seen, or its retirement, that an ended one has nothing left. Until
    /// then it is listed.
    drained: bool,
    /// Its release; the first one is 1.
    release: usize,
}

/// A queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Queue {
    pub(super) limits: QueueLimits,
    pub(super) paused: Option<stepwell_core::store::Paused>,
    /// When its workflows began, as far as a rate counted them.
    starts: Vec<Timestamp>,
    /// Since when a person's limits hold.
    limited_at: Option<Timestamp>,
    /// The release that has declared the limits; 0 for none.
    release: usize,
}

impl Model {
    /// Applies a batch in its order, unless the fence stops it.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<Vec<Applied>, Fenced> {
        if let Some(executor) = &batch.executor {
            self.fence(executor)?;
        }
        let by = batch.executor.as_ref();
        let changes = batch.changes.iter();
        Ok(changes.map(|change| self.apply(by, change)).collect())
    }

    /// One line a change: a further one is added here, with a module of its own.
    fn apply(&mut self, by: Option<&ExecutorId>, change: &Change) -> Applied {
        match change {
            Change::Start(new) => Applied::Start(self.ask(by, new)),
            Change::Progress(progress) => Applied::Progress(self.progress(by, progress)),
            Change::Finish(finish) => Applied::Finish(self.finish(by, finish)),
            Change::Park(park) => Applied::Park(self.park(by, park)),
            Change::Send(message) => Applied::Send(self.send(message, message.key.clone())),
            Change::Cancel(cancel) => Applied::Cancel(self.cancel(cancel)),
            Change::Resume(id) => Applied::Resume(self.resume(id)),
            Change::Fork(fork) => Applied::Fork(self.fork(fork)),
            Change::Acknowledge(letter) => Applied::Acknowledge(self.acknowledge(letter)),
            // What waits in an inbox is edited by nobody but a person.
            Change::Edit(_) => Applied::Edit(Edited::NoSuchMessage),
            Change::Delete(it) => Applied::Delete(self.delete(&it.id)),
            Change::Queue(change) => Applied::Queue(self.steer(change)),
            Change::Schedule(change) => Applied::Schedule(self.schedule(by, change)),
        }
    }

    /// Where a workflow is in its life.
    pub(super) fn state(&self, key: WorkflowKey) -> State {
        self.workflows[start::place_of(key)].workflow.state
    }

    pub(super) fn key_of(&self, id: &WorkflowId) -> Option<WorkflowKey> {
        let found = self.rows().find(|row| row.workflow.id == *id);
        found.map(|row| row.workflow.key)
    }

    /// The workflows that were not deleted.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.workflows.iter().filter(|row| !row.is_deleted)
    }

    pub(super) fn row(&self, key: WorkflowKey) -> Option<&Row> {
        self.rows().find(|row| row.workflow.key == key)
    }

    fn row_mut(&mut self, key: WorkflowKey) -> Option<&mut Row> {
        (self.workflows.iter_mut()).find(|row| row.workflow.key == key && !row.is_deleted)
    }
}

impl Row {
    /// A workflow that waits, with its input.
    fn new(
        (key, id, name): (WorkflowKey, WorkflowId, String),
        input: Payload,
        now: Timestamp,
    ) -> Self {
        let workflow = Workflow {
            key,
            id,
            name,
            state: State::Enqueued,
            reason: None,
            fingerprint: None,
            acknowledged: None,
            executor: None,
            queue: None,
            parent: None,
            forked_from: None,
            origin: None,
            recoveries: 0,
            created_at: now,
            started_at: None,
            ended_at: None,
            deadline_at: None,
            wake_at: None,
            attributes: Vec::new(),
        };
        let mut row = Self {
            workflow,
            records: BTreeMap::new(),
            messages: Vec::new(),
            events: Vec::new(),
            streams: Vec::new(),
            takeovers: Vec::new(),
            nonce: None,
            parent: None,
            detached: false,
            is_deleted: false,
            forked_place: None,
            queue_key: String::new(),
            rank: now,
            unique: None,
            lost: None,
            records_at_claim: 0,
            stuck_in: BTreeSet::new(),
            waiters: BTreeSet::new(),
        };
        row.record(Place::Input, RecordKind::Input, Outcome::Ok(input), now);
        row
    }

    /// Makes a record that the store makes itself.
    fn record(&mut self, place: Place, kind: RecordKind, outcome: Outcome, now: Timestamp) {
        let record = Record {
            kind,
            name: String::new(),
            outcome,
            attempts: 1,
            started_at: now,
            recorded_at: now,
            place,
        };
        self.records.insert(record.place.encode(), record);
    }

    fn is_owned_by(&self, executor: Option<&ExecutorId>) -> bool {
        self.workflow.state == State::Running
            && executor.is_some()
            && self.workflow.executor.as_ref() == executor
    }

    fn set_attribute(&mut self, name: &str, value: &str) {
        let attributes = &mut self.workflow.attributes;
        attributes.retain(|(known, _)| known != name);
        attributes.push((name.to_owned(), value.to_owned()));
        attributes.sort();
    }

    pub(super) fn input(&self) -> Option<&Payload> {
        (self.records.get("")).map(|record| record.outcome.payload())
    }

    /// The output or the error.
    pub(super) fn result(&self) -> Option<&Outcome> {
        self.records.get("~").map(|record| &record.outcome)
    }

    pub(super) fn inbox(&self, topic: &str) -> Vec<&Letter> {
        let waiting = |letter: &&Letter| letter.topic == topic && !letter.received;
        self.messages.iter().filter(waiting).collect()
    }

    /// What was published last under each name.
    pub(super) fn published(&self) -> Vec<PublishedEvent> {
        let mut last = BTreeMap::new();
        for event in &self.events {
            last.insert(event.name.clone(), event);
        }
        let published = |(name, event): (String, &Value)| PublishedEvent {
            name,
            value: event.value.clone(),
            at: event.at,
        };
        last.into_iter().map(published).collect()
    }

    pub(super) fn stream(&self, name: &str) -> Vec<StreamEntry> {
        let values = self.streams.iter().filter(|value| value.name == name);
        (0..)
            .zip(values)
            .map(|(offset, value)| StreamEntry {
                offset,
                value: value.value.clone(),
                at: value.at,
            })
            .collect()
    }
}

impl Model {
    pub(super) fn children(&self, parent: WorkflowKey) -> Vec<Workflow> {
        let rows = self.rows().filter(|row| row.parent == Some(parent));
        rows.map(|row| row.workflow.clone()).collect()
    }

    /// Notes the store's numbers of messages that it had not read before.
    pub(super) fn number(
        &mut self,
        key: WorkflowKey,
        topic: &str,
        read: &[stepwell_core::store::Message],
    ) {
        let Some(row) = self.row_mut(key) else {
            return;
        };
        let waiting = |letter: &&mut Letter| letter.topic == topic && !letter.received;
        for (letter, read) in row.messages.iter_mut().filter(waiting).zip(read) {
            letter.number.get_or_insert(read.number);
        }
    }
}
