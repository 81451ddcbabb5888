//! Records of a running workflow, and what they bring about.

use stepwell_core::{
    ExecutorId, Record, State, WorkflowKey,
    store::{
        Effect, EffectOutcome, NewMessage, NewRecord, Progress, Progressed, Refusal, Sent, Started,
    },
};

use super::{Model, Row, Value, start::place_of};

/// An effect could not be had.
struct Conflict;

impl Model {
    /// All of it or nothing: what was half done is thrown away.
    pub(super) fn progress(&mut self, by: Option<&ExecutorId>, progress: &Progress) -> Progressed {
        if let Some(refusal) = self.refuses(by, progress.key) {
            return Progressed::Refused(refusal);
        }
        let before = self.clone();
        let progressed = self.write(by, progress);
        if !matches!(progressed, Progressed::Recorded(_)) {
            *self = before;
        }
        progressed
    }

    /// Why an executor may not write to a workflow.
    pub(super) fn refuses(&self, by: Option<&ExecutorId>, key: WorkflowKey) -> Option<Refusal> {
        match self.row(key) {
            Some(row) if row.is_owned_by(by) => None,
            Some(row) if row.workflow.state != State::Running => {
                Some(Refusal::NotRunning(row.workflow.state))
            }
            _ => Some(Refusal::NotMine),
        }
    }

    fn write(&mut self, by: Option<&ExecutorId>, progress: &Progress) -> Progressed {
        let conflict = || Progressed::Conflict {
            reason: String::new(),
        };
        for (i, record) in progress.records.iter().enumerate() {
            let now = self.now;
            let row = &mut self.workflows[place_of(progress.key)];
            match (row.add(record, now), i) {
                (true, _) => {}
                (false, 0) => return Progressed::Existing,
                (false, _) => return conflict(),
            }
        }
        let mut outcomes = Vec::new();
        for effect in &progress.effects {
            match self.effect(by, progress, effect) {
                Ok(outcome) => outcomes.push(outcome),
                Err(Conflict) => return conflict(),
            }
        }
        Progressed::Recorded(outcomes)
    }

    fn effect(
        &mut self,
        by: Option<&ExecutorId>,
        progress: &Progress,
        effect: &Effect,
    ) -> Result<EffectOutcome, Conflict> {
        let place = progress.records[0].place.clone();
        let at = self.now;
        let row = &mut self.workflows[place_of(progress.key)];
        let said = |name: &str, value: &stepwell_core::Payload| Value {
            name: name.to_owned(),
            value: value.clone(),
            place: place.encode(),
            at,
        };
        match effect {
            Effect::SetEvent { name, value } => {
                row.events.push(said(name, value));
                self.wake_waiters(progress.key);
            }
            Effect::Append { stream, value } => row.streams.push(said(stream, value)),
            Effect::SetAttribute { name, value } => row.set_attribute(name, value),
            Effect::Receive { message } => row.receive(*message)?,
            Effect::Send(message) => {
                let position = place.position().expect("operations have positions");
                let own = format!("{}:{position}", row.workflow.id);
                let key = message.key.clone().or(Some(own));
                return Ok(EffectOutcome::Sent(self.send(message, key)));
            }
            Effect::Cancel(child) => return Ok(EffectOutcome::Cancelled(self.cancel(child))),
            Effect::Start(child) => {
                return match self.start(by, child) {
                    Started::Conflict { .. } => Err(Conflict),
                    started => Ok(EffectOutcome::Started(started)),
                };
            }
        }
        Ok(EffectOutcome::Done)
    }

    /// Puts a message into an inbox.
    pub(super) fn send(&mut self, message: &NewMessage, key: Option<String>) -> Sent {
        let Some(to) = self.key_of(&message.to) else {
            return Sent::NoSuchWorkflow;
        };
        let row = &self.workflows[place_of(to)];
        let state = row.workflow.state;
        let is_used = key.is_some() && row.messages.iter().any(|letter| letter.key == key);
        if state.has_ended() && !is_used {
            return Sent::Ended { state };
        }
        match self.put(to, message.topic.clone(), message.payload.clone(), key) {
            true => Sent::New { to },
            false => Sent::Duplicate { to },
        }
    }
}

impl Row {
    /// Makes a record where there is none. Says whether it did.
    fn add(&mut self, new: &NewRecord, now: jiff::Timestamp) -> bool {
        let place = new.place.encode();
        if self.records.contains_key(&place) {
            return false;
        }
        let record = Record {
            place: new.place.clone(),
            kind: new.kind,
            name: new.name.clone(),
            outcome: new.outcome.clone(),
            attempts: new.attempts,
            started_at: now - new.elapsed,
            recorded_at: now,
        };
        self.records.insert(place, record);
        true
    }

    fn receive(&mut self, number: i64) -> Result<(), Conflict> {
        let waits = |letter: &&mut super::Letter| letter.number == Some(number) && !letter.received;
        let letter = self.messages.iter_mut().find(waits).ok_or(Conflict)?;
        letter.received = true;
        Ok(())
    }
}
