//! The store's keys and the model's.

use stepwell_core::{
    WorkflowKey,
    store::{
        Applied, Batch, Cancelled, Change, Claimed, Effect, EffectOutcome, Forked, Park, Progress,
        Progressed, Sent, Started, Wait,
    },
};

/// The store's keys, in the order of the model's.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<WorkflowKey>);

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes the store's keys of the next workflows, which one batch has started. They are higher
    /// than all before; in what order a batch gives them is the store's choice.
    pub(super) fn learn(&mut self, keys: &[WorkflowKey]) -> Result<(), String> {
        let last = self.0.iter().max().copied();
        if let Some(low) = keys
            .iter()
            .find(|key| last.is_some_and(|last| last >= **key))
        {
            return Err(format!("{low:?} was given after {last:?}"));
        }
        self.0.extend(keys);
        Ok(())
    }

    /// The store's key for one of the model.
    pub(super) fn outward(&self, key: WorkflowKey) -> WorkflowKey {
        let place = usize::try_from(key.0)
            .ok()
            .and_then(|key| key.checked_sub(1));
        let known = place.and_then(|place| self.0.get(place));
        known.copied().unwrap_or(WorkflowKey(1_000_000_000))
    }

    /// The model's key for one of the store; negative if the model has none.
    pub(super) fn inward(&self, key: WorkflowKey) -> WorkflowKey {
        let known = self.0.iter().zip(1..).find(|(known, _)| **known == key);
        known.map_or(WorkflowKey(-key.0), |(_, number)| WorkflowKey(number))
    }

    /// A batch for the store.
    pub(super) fn batch(&self, batch: &Batch) -> Batch {
        let mut batch = batch.clone();
        for change in &mut batch.changes {
            match change {
                Change::Progress(progress) => self.progress(progress),
                Change::Finish(finish) => finish.key = self.outward(finish.key),
                Change::Park(park) => self.park(park),
                _ => {}
            }
        }
        batch
    }

    fn park(&self, park: &mut Park) {
        park.key = self.outward(park.key);
        for wait in &mut park.waits {
            if let Wait::Event { of, .. } | Wait::End { of } = wait {
                *of = self.outward(*of);
            }
        }
    }

    fn progress(&self, progress: &mut Progress) {
        progress.key = self.outward(progress.key);
        for effect in &mut progress.effects {
            if let Effect::Start(child) = effect
                && let Some(owner) = &mut child.parent
            {
                owner.key = self.outward(owner.key);
            }
        }
    }

    /// What the store answered, for the model: of a conflict no words, of many keys no order.
    pub(super) fn applied(&self, applied: &Applied) -> Applied {
        let mut applied = applied.clone();
        match &mut applied {
            Applied::Start(started) => self.started(started),
            Applied::Progress(Progressed::Recorded(outcomes)) => {
                for outcome in outcomes {
                    match outcome {
                        EffectOutcome::Done => {}
                        EffectOutcome::Sent(sent) => self.sent(sent),
                        EffectOutcome::Started(started) => self.started(started),
                        EffectOutcome::Cancelled(cancelled) => self.cancelled(cancelled),
                    }
                }
            }
            Applied::Progress(Progressed::Conflict { reason }) => reason.clear(),
            Applied::Send(sent) => self.sent(sent),
            Applied::Cancel(cancelled) => self.cancelled(cancelled),
            Applied::Fork(Forked::New { key }) => *key = self.inward(*key),
            _ => {}
        }
        applied
    }

    fn started(&self, started: &mut Started) {
        match started {
            Started::New { key, replaced } => {
                *key = self.inward(*key);
                *replaced = replaced.map(|key| self.inward(key));
            }
            Started::Joined { key, .. } | Started::Existing { key, .. } => {
                *key = self.inward(*key);
            }
            Started::Conflict { .. } | Started::Full { .. } | Started::Taken { .. } => {}
        }
    }

    fn cancelled(&self, cancelled: &mut Cancelled) {
        if let Cancelled::Now(keys) = cancelled {
            for key in &mut *keys {
                *key = self.inward(*key);
            }
            keys.sort();
        }
    }

    fn sent(&self, sent: &mut Sent) {
        match sent {
            Sent::New { to } | Sent::Duplicate { to } => *to = self.inward(*to),
            Sent::Ended { .. } | Sent::NoSuchWorkflow => {}
        }
    }

    pub(super) fn claimed(&self, claimed: Claimed) -> Claimed {
        Claimed {
            key: self.inward(claimed.key),
            ..claimed
        }
    }
}
