//! Workflows begin to exist.

use jiff::Timestamp;
use stepwell_core::{
    ExecutorId, State, WorkflowKey,
    store::{Launch, NewWorkflow, PRIORITY_STEP, QueueUse, Started},
};

use super::{Letter, Model, Queue, Row};

impl Model {
    /// A start of a client: one of its kind may be there, and a full queue refuses it.
    pub(super) fn ask(&mut self, by: Option<&ExecutorId>, new: &NewWorkflow) -> Started {
        let started = match &new.unique {
            Some(unique) if self.key_of(&new.id).is_none() => self.start_one(by, new, unique),
            _ => self.enter(by, new),
        };
        if let Some(message) = &new.message
            && let Some(to) = started.inbox()
        {
            let (topic, payload) = (message.topic.clone(), message.payload.clone());
            self.put(to, topic, payload, Some(message.key.clone()));
        }
        started
    }

    /// A start that a full queue refuses, unless it was made before.
    pub(super) fn enter(&mut self, by: Option<&ExecutorId>, new: &NewWorkflow) -> Started {
        if self.key_of(&new.id).is_none()
            && let Some(waiting_max) = self.refusal(new)
        {
            return Started::Full { waiting_max };
        }
        self.start(by, new)
    }

    fn refusal(&self, new: &NewWorkflow) -> Option<u32> {
        let Launch::Queue(queue) = &new.launch else {
            return None;
        };
        if new.parent.is_some() || delays(new) {
            return None;
        }
        let known = self.queues.get(&queue.name);
        let limits = known.map_or(queue.limits, |known| known.limits);
        let waiting = self.count(&queue.name, |row| row.workflow.state == State::Enqueued);
        limits.waiting_max.filter(|most| waiting >= *most)
    }

    /// A start that nothing refuses: of a child, of a tick.
    pub(super) fn start(&mut self, by: Option<&ExecutorId>, new: &NewWorkflow) -> Started {
        if let Some(key) = self.key_of(&new.id) {
            return self.existing(by, new, key);
        }
        let row = self.new_row(by, new);
        let key = row.workflow.key;
        self.workflows.push(row);
        if let Launch::Queue(queue) = &new.launch {
            self.know_queue(queue);
        }
        Started::New {
            key,
            replaced: None,
        }
    }

    fn existing(&self, by: Option<&ExecutorId>, new: &NewWorkflow, key: WorkflowKey) -> Started {
        let row = &self.workflows[place_of(key)];
        let same_input = row
            .input()
            .is_some_and(|input| input.same_value(&new.input));
        if row.workflow.name != new.name || !same_input {
            let name = row.workflow.name.clone();
            return Started::Conflict { name };
        }
        Started::Existing {
            key,
            state: row.workflow.state,
            mine: row.is_owned_by(by),
            nonce: row.nonce.filter(|_| row.is_owned_by(by)),
        }
    }

    fn new_row(&self, by: Option<&ExecutorId>, new: &NewWorkflow) -> Row {
        let now = self.now;
        let key = WorkflowKey(i64::try_from(self.workflows.len()).unwrap_or(i64::MAX) + 1);
        let mut row = Row::new(
            (key, new.id.clone(), new.name.clone()),
            new.input.clone(),
            now,
        );
        row.nonce = Some(new.nonce);
        for (name, value) in &new.attributes {
            row.set_attribute(name, value);
        }
        if let Some(owner) = &new.parent {
            row.parent = Some(owner.key);
            row.detached = owner.detached;
            row.workflow.parent = self.row(owner.key).map(|parent| parent.workflow.id.clone());
        }
        let workflow = &mut row.workflow;
        workflow.origin.clone_from(&new.origin);
        workflow.deadline_at = new.deadline.map(|deadline| now + deadline);
        match (&new.launch, by) {
            _ if delays(new) => {
                workflow.state = State::Delayed;
                workflow.wake_at = new.delay.map(|delay| now + delay);
            }
            (Launch::Here, Some(executor)) => {
                workflow.state = State::Running;
                workflow.executor = Some(executor.clone());
                workflow.started_at = Some(now);
                row.records_at_claim = 1;
            }
            _ => {}
        }
        let due = row.workflow.wake_at.unwrap_or(now);
        row.rank = due;
        if let Launch::Queue(queue) = &new.launch {
            row.workflow.queue = Some(queue.name.clone());
            row.queue_key.clone_from(&queue.key);
            row.rank = rank(due, queue);
        }
        row
    }

    /// The first start that names a queue makes it.
    pub(super) fn know_queue(&mut self, queue: &QueueUse) {
        let new = Queue {
            limits: queue.limits,
            ..Queue::default()
        };
        self.queues.entry(queue.name.clone()).or_insert(new);
    }

    /// Puts a message into an inbox, unless its key was used there. Says whether it did.
    pub(super) fn put(
        &mut self,
        to: WorkflowKey,
        topic: String,
        payload: stepwell_core::Payload,
        key: Option<String>,
    ) -> bool {
        let row = &mut self.workflows[place_of(to)];
        if key.is_some() && row.messages.iter().any(|known| known.key == key) {
            return false;
        }
        row.messages.push(Letter {
            topic,
            payload,
            received: false,
            key,
            number: None,
        });
        self.wake(to);
        true
    }
}

/// Where the row of a key of the model stands.
pub(super) fn place_of(key: WorkflowKey) -> usize {
    usize::try_from(key.0 - 1).expect("the model's keys count from 1")
}

fn delays(new: &NewWorkflow) -> bool {
    new.delay.is_some_and(|delay| !delay.is_zero())
}

fn rank(due: Timestamp, queue: &QueueUse) -> Timestamp {
    let step = PRIORITY_STEP * queue.priority.unsigned_abs();
    match queue.priority {
        ..0 => due + step,
        _ => due - step,
    }
}
