//! A workflow begins with another one's history.

use stepwell_core::{
    WorkflowKey,
    store::{Fork, Forked},
};

use super::{Model, Row, start::place_of};

impl Model {
    pub(super) fn fork(&mut self, fork: &Fork) -> Forked {
        if self.key_of(&fork.id).is_some() {
            return Forked::Existing;
        }
        let Some(source) = self.key_of(&fork.source) else {
            return Forked::NoSuchWorkflow;
        };
        let source = self.workflows[place_of(source)].clone();
        let from = fork.from.encode();
        let key = WorkflowKey(i64::try_from(self.workflows.len()).unwrap_or(i64::MAX) + 1);
        let named = (key, fork.id.clone(), source.workflow.name.clone());
        let input = source
            .input()
            .expect("every workflow has its input")
            .clone();
        let mut row = Row::new(named, input, self.now);
        row.records = source.records;
        row.records.retain(|place, _| *place < from);
        row.events = source.events;
        row.events.retain(|event| event.place < from);
        row.streams = source.streams;
        row.streams.retain(|value| value.place < from);
        row.workflow.attributes = source.workflow.attributes;
        row.workflow.queue = source.workflow.queue;
        row.workflow.origin = Some(format!("fork of {} at {}", fork.source, fork.from));
        row.queue_key = source.queue_key;
        self.workflows.push(row);
        Forked::New { key }
    }
}
