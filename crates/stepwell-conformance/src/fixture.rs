//! What the cases are built on: a database of their own, clients, and executors.

mod values;
mod worker;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;
use stepwell_core::{
    Position, Record, State, WorkflowKey,
    store::{
        Acknowledge, Acknowledged, Applied, Batch, Cancel, CancelCause, Cancelled, Change, Delete,
        Deleted, EditMessage, Edited, Filter, Fork, Forked, NewExecutor, NewMessage, NewWorkflow,
        Resumed, Sent, Started, Store, Workflow, Written,
    },
};

pub(crate) use values::{
    DAY, LEASE, MINUTE, VERSION, child_of, event_of, here, id, in_queue, keyed, limits, message,
    message_on, new_executor, only, park, payload, queued, step, values_of, with_delay, with_name,
    workflow,
};
pub(crate) use worker::Worker;

use crate::Backend;

/// A database of one case, seen by a client that runs no workflows.
pub(crate) struct Case<'a> {
    backend: &'a dyn Backend,
    pub(crate) store: Arc<dyn Store>,
}

impl<'a> Case<'a> {
    pub(crate) async fn new(backend: &'a dyn Backend) -> Self {
        Self {
            backend,
            store: backend.fresh().await,
        }
    }

    /// The same database as another process has it; none where the backend has no such thing.
    pub(crate) async fn second_process(&self) -> Option<Case<'a>> {
        if !self.backend.second_process() {
            eprintln!("skipped: this backend declares that no second process opens its database");
            return None;
        }
        Some(Case {
            backend: self.backend,
            store: self.backend.reopen().await,
        })
    }

    /// Writes what a newer version might. Whether the backend can.
    pub(crate) async fn behind(&self, sql: &str) -> bool {
        let done = self.backend.behind(sql).await;
        if !done {
            eprintln!("skipped: nobody else can write to this backend");
        }
        done
    }

    pub(crate) async fn advance(&self, by: Duration) {
        self.backend.advance(by).await;
    }

    pub(crate) async fn set_back(&self, by: Duration) {
        self.backend.set_back(by).await;
    }

    /// Moves the clock past the end of every lease that there is.
    pub(crate) async fn let_leases_end(&self) {
        self.advance(LEASE * 2).await;
    }

    pub(crate) async fn register(&self) -> Worker {
        self.register_as("shop", VERSION).await
    }

    pub(crate) async fn register_version(&self, version: &str) -> Worker {
        self.register_as("shop", version).await
    }

    pub(crate) async fn register_as(&self, application: &str, version: &str) -> Worker {
        self.register_declaring(application, version, &[]).await
    }

    /// An executor whose code declares schedules.
    pub(crate) async fn register_declaring(
        &self,
        application: &str,
        version: &str,
        schedules: &[&str],
    ) -> Worker {
        let new = NewExecutor {
            declares: schedules.iter().map(|&name| name.to_owned()).collect(),
            ..new_executor(application, version)
        };
        let executor = new.id.clone();
        let registered = self.store.register(new).await;
        registered.expect("an executor can be registered");
        Worker::new(Arc::clone(&self.store), executor, version)
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Vec<Applied> {
        self.write(changes).await.applied
    }

    /// What one change comes to, and whether it has woken anybody.
    pub(crate) async fn written(&self, change: Change) -> Written {
        self.write(vec![change]).await
    }

    async fn write(&self, changes: Vec<Change>) -> Written {
        let batch = Batch {
            executor: None,
            changes,
        };
        let written = self.store.commit(batch).await;
        written.expect("a client's batch is applied")
    }

    async fn apply(&self, change: Change) -> Applied {
        self.commit(vec![change])
            .await
            .pop()
            .expect("a change has an outcome")
    }

    pub(crate) async fn start(&self, new: NewWorkflow) -> Started {
        only!(self.apply(Change::Start(new)).await, Start)
    }

    /// Starts what is not there yet.
    pub(crate) async fn new_workflow(&self, new: NewWorkflow) -> WorkflowKey {
        match self.start(new).await {
            Started::New { key, .. } => key,
            other => panic!("a first start came to {other:?}"),
        }
    }

    /// Starts a workflow that any executor may take.
    pub(crate) async fn enqueue(&self, workflow_id: &str) -> WorkflowKey {
        self.new_workflow(workflow(workflow_id)).await
    }

    pub(crate) async fn cancel(&self, workflow_id: &str) -> Cancelled {
        self.cancel_for(workflow_id, CancelCause::Request).await
    }

    pub(crate) async fn cancel_for(&self, workflow_id: &str, cause: CancelCause) -> Cancelled {
        let cancel = Cancel {
            id: id(workflow_id),
            cause,
        };
        only!(self.apply(Change::Cancel(cancel)).await, Cancel)
    }

    pub(crate) async fn edit(&self, edit: EditMessage) -> Edited {
        only!(self.apply(Change::Edit(edit)).await, Edit)
    }

    pub(crate) async fn resume(&self, workflow_id: &str) -> Resumed {
        only!(self.apply(Change::Resume(id(workflow_id))).await, Resume)
    }

    pub(crate) async fn acknowledge(&self, workflow_id: &str, note: &str) -> Acknowledged {
        let acknowledge = Acknowledge {
            id: id(workflow_id),
            note: note.to_owned(),
        };
        only!(
            self.apply(Change::Acknowledge(acknowledge)).await,
            Acknowledge
        )
    }

    pub(crate) async fn delete(&self, workflow_id: &str) -> Deleted {
        let (id, key) = (id(workflow_id), None);
        self.delete_as(Delete { id, key }).await
    }

    pub(crate) async fn delete_as(&self, delete: Delete) -> Deleted {
        only!(self.apply(Change::Delete(delete)).await, Delete)
    }

    pub(crate) async fn forked(&self, fork: Fork) {
        let forked = self.fork_of(fork).await;
        assert!(matches!(forked, Forked::New { .. }), "{forked:?}");
    }

    pub(crate) async fn fork(&self, source: &str, fork: &str, from: u32) -> Forked {
        let fork = Fork::new(id(source), id(fork), Position::top(from));
        self.fork_of(fork).await
    }

    pub(crate) async fn fork_of(&self, fork: Fork) -> Forked {
        only!(self.apply(Change::Fork(fork)).await, Fork)
    }

    pub(crate) async fn send(&self, message: NewMessage) -> Sent {
        only!(self.apply(Change::Send(message)).await, Send)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.store.now()
    }

    pub(crate) async fn find(&self, workflow_id: &str) -> Workflow {
        self.store
            .find(&id(workflow_id))
            .await
            .expect("a workflow can be read")
            .unwrap_or_else(|| panic!("there is no workflow `{workflow_id}`"))
    }

    pub(crate) async fn state(&self, workflow_id: &str) -> State {
        self.find(workflow_id).await.state
    }

    pub(crate) async fn history(&self, key: WorkflowKey) -> Vec<Record> {
        self.store
            .history(key, None, 10_000)
            .await
            .expect("a history can be read")
    }

    /// The stored forms of a history's places.
    pub(crate) async fn places(&self, key: WorkflowKey) -> Vec<String> {
        let records = self.history(key).await;
        records.iter().map(|record| record.place.encode()).collect()
    }

    /// The messages of a topic that wait, as values.
    pub(crate) async fn inbox(&self, key: WorkflowKey, topic: &str) -> Vec<Value> {
        let messages = self
            .store
            .inbox(key, topic, 100)
            .await
            .expect("an inbox can be read");
        values_of(messages.iter().map(|message| &message.payload))
    }

    /// The number of the oldest message without a topic.
    pub(crate) async fn first_message(&self, key: WorkflowKey) -> i64 {
        let inbox = self.store.inbox(key, "", 1).await;
        inbox
            .expect("an inbox can be read")
            .first()
            .expect("a message waits")
            .number
    }

    pub(crate) async fn event(&self, key: WorkflowKey, name: &str) -> Option<Value> {
        let event = self.store.event(key, name).await;
        event
            .expect("an event can be read")
            .map(|value| value.read().expect("an event is JSON"))
    }

    /// The values of a stream from its first on.
    pub(crate) async fn stream(&self, key: WorkflowKey, name: &str) -> Vec<Value> {
        let entries = self.store.stream(key, name, 0, 100).await;
        values_of(
            entries
                .expect("a stream can be read")
                .iter()
                .map(|entry| &entry.value),
        )
    }

    /// The ids that a filter lets through, in their order.
    pub(crate) async fn list(&self, filter: Filter) -> Vec<String> {
        let workflows = self.store.list(filter).await.expect("a list can be read");
        workflows.iter().map(|w| w.id.to_string()).collect()
    }
}

/// Whether two instants are the same, on a clock that may go on by itself while a case runs.
#[track_caller]
pub(crate) fn expect_about(actual: Timestamp, expected: Timestamp) {
    let apart = actual.duration_since(expected).abs();
    assert!(
        apart < jiff::SignedDuration::from_secs(10),
        "{actual} is not about {expected}"
    );
}
