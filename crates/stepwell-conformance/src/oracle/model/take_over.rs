//! Work goes back from executors that ended.

use std::time::Duration;

use stepwell_core::{
    ExecutorId, State,
    store::{Executor, TakenOver},
};

use super::{Incarnation, Lost, Model, Seen, start::place_of};

impl Model {
    /// Which of the lost workflows come back first is the store's choice: where there are more than
    /// `workflows_max`, those count that it was seen to hand back.
    pub(in crate::oracle) fn take_over(
        &mut self,
        me: &ExecutorId,
        workflows_max: u32,
        seen: &Seen,
    ) -> TakenOver {
        let mine = self.executors.iter().find(|it| it.executor.id == *me);
        let (application, mine) = mine
            .map(|it| (it.executor.application.clone(), it.lease))
            .unzip();
        let mine = mine.unwrap_or_default();
        let others = (self.executors.iter())
            .filter(|it| Some(&it.executor.application) == application.as_ref())
            .filter(|it| it.executor.id != *me);
        let others: Vec<(Executor, Duration)> = others
            .map(|it| (it.executor.clone(), mine.saturating_sub(it.lease)))
            .collect();
        let mut taken = TakenOver::default();
        let mut lost = Vec::new();
        for (other, more) in &others {
            if other.ended_at.is_none() && other.lease_expires_at + *more <= self.now {
                self.end(&other.id, "lease ended");
                taken.executors.push(other.id.clone());
            }
            if !self.is_live(&other.id) {
                lost.extend(
                    self.owned(&other.id)
                        .into_iter()
                        .map(|key| (key, other.id.clone())),
                );
            }
        }
        let most = usize::try_from(workflows_max).unwrap_or(usize::MAX);
        taken.more = lost.len() > most;
        if taken.more {
            let runs = |seen: &stepwell_core::store::Workflow| seen.state == State::Running;
            lost.retain(|(key, _)| seen.get(key).is_some_and(|seen| !runs(seen)));
            // A store that hands back too many differs in this number.
            lost.truncate(most);
        }
        taken.workflows = u32::try_from(lost.len()).unwrap_or(u32::MAX);
        for (key, from) in lost {
            self.hand_back(key, &from);
        }
        for (other, _) in &others {
            self.drain(&other.id);
        }
        taken
    }

    /// Ends an executor by its own wish and hands back all that it has.
    pub(in crate::oracle) fn retire(&mut self, id: &ExecutorId) {
        self.end(id, "handed back");
        for key in self.owned(id) {
            self.hand_back(key, id);
        }
        self.drain(id);
    }

    /// Notes that an ended executor has nothing left, if it has not.
    fn drain(&mut self, id: &ExecutorId) {
        let has_work = !self.owned(id).is_empty();
        if let Some(known) = self.incarnation(id) {
            known.drained |= known.executor.ended_at.is_some() && !has_work;
        }
    }

    /// Ends an executor, once.
    fn end(&mut self, id: &ExecutorId, why: &'static str) {
        let now = self.now;
        if let Some(known) = self.incarnation(id)
            && known.executor.ended_at.is_none()
        {
            known.executor.ended_at = Some(now);
            known.why_ended = why;
        }
        self.take_interrupts(id);
    }

    fn hand_back(&mut self, key: stepwell_core::WorkflowKey, from: &ExecutorId) {
        let lost = self.incarnation(from).and_then(|known| {
            Some(Lost {
                from: from.clone(),
                at: known.executor.ended_at?,
                why: known.why_ended,
            })
        });
        let row = &mut self.workflows[place_of(key)];
        row.workflow.state = State::Enqueued;
        row.lost = lost;
    }

    fn incarnation(&mut self, id: &ExecutorId) -> Option<&mut Incarnation> {
        (self.executors.iter_mut()).find(|known| known.executor.id == *id)
    }
}
