//! A workflow begins with another one's history.

use stepwell_core::{
    Outcome, Place, WorkflowKey,
    store::{Fork, Forked},
};

use super::{Model, Row, start::place_of};

impl Model {
    pub(super) fn fork(&mut self, fork: &Fork) -> Forked {
        let source = self.key_of(&fork.source);
        if let Some(known) = self.key_of(&fork.id) {
            let known = &self.workflows[place_of(known)];
            let same = known.workflow.forked_from.as_ref() == Some(&fork.source)
                && source.is_none_or(|source| known.workflow.key > source)
                && known.forked_place.as_ref() == Some(&fork.from.encode());
            return match same {
                true => Forked::Existing,
                false => Forked::Taken,
            };
        }
        let Some(source) = source else {
            return Forked::NoSuchWorkflow;
        };
        let source = self.workflows[place_of(source)].clone();
        let from = fork.from.encode();
        let without: Vec<String> = fork.without.iter().map(Place::encode).collect();
        let is_kept = |place: &String| *place < from && !without.contains(place);
        let key = WorkflowKey(i64::try_from(self.workflows.len()).unwrap_or(i64::MAX) + 1);
        let named = (key, fork.id.clone(), source.workflow.name.clone());
        let input = source.input().expect("every workflow has its input");
        let mut row = Row::new(named, input.clone(), self.now);
        row.nonce = Some(fork.nonce);
        row.records = source.records;
        row.records.retain(|place, _| is_kept(place));
        if let (Some(input), Some(record)) = (&fork.input, row.records.get_mut("")) {
            record.outcome = Outcome::Ok(input.clone());
        }
        row.events = source.events;
        row.events.retain(|event| is_kept(&event.place));
        row.streams = source.streams;
        row.streams.retain(|value| is_kept(&value.place));
        row.workflow.attributes = source.workflow.attributes;
        for (name, value) in &fork.attributes {
            row.set_attribute(name, value);
        }
        row.workflow.queue = source.workflow.queue;
        row.workflow.origin = source.workflow.origin;
        row.workflow.forked_from = Some(fork.source.clone());
        row.forked_place = Some(fork.from.encode());
        row.queue_key = source.queue_key;
        self.workflows.push(row);
        Forked::New { key }
    }
}
