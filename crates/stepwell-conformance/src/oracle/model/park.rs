//! A run leaves memory, and is woken.

use stepwell_core::{
    ExecutorId, State, WorkflowKey,
    store::{Park, Parked, Refusal, Wait},
};

use super::{Model, start::place_of};

impl Model {
    pub(super) fn park(&mut self, by: Option<&ExecutorId>, park: &Park) -> Parked {
        match self.refuses(by, park.key) {
            None => {}
            Some(Refusal::NotRunning(State::Parked)) => return Parked::Now,
            Some(refusal) => return Parked::Refused(refusal),
        }
        if self.workflows[place_of(park.key)].workflow.queue.is_some() {
            return Parked::Never;
        }
        if park.waits.iter().any(|wait| self.has_come(park.key, wait)) {
            return Parked::NotYet;
        }
        for of in park.waits.iter().filter_map(Wait::of) {
            self.workflows[place_of(of)].waiters.insert(park.key);
        }
        let workflow = &mut self.workflows[place_of(park.key)].workflow;
        workflow.state = State::Parked;
        workflow.reason = Some(park.reason.clone());
        workflow.wake_at = park.until.into_iter().chain(workflow.deadline_at).min();
        Parked::Now
    }

    fn has_come(&self, key: WorkflowKey, wait: &Wait) -> bool {
        match wait {
            Wait::Message { topic } => !self.workflows[place_of(key)].inbox(topic).is_empty(),
            Wait::Event { of, name } => {
                let of = &self.workflows[place_of(*of)];
                of.is_deleted || of.events.iter().any(|event| event.name == *name)
            }
            Wait::End { of } => self.workflows[place_of(*of)].workflow.state.has_ended(),
        }
    }

    /// Wakes a workflow, if it is parked.
    pub(super) fn wake(&mut self, key: WorkflowKey) {
        let workflow = &mut self.workflows[place_of(key)].workflow;
        if workflow.state == State::Parked {
            workflow.state = State::Enqueued;
            workflow.reason = None;
            workflow.wake_at = None;
        }
    }

    /// Wakes those that wait for what a workflow publishes, or for its end.
    pub(super) fn wake_waiters(&mut self, key: WorkflowKey) {
        let waiters = std::mem::take(&mut self.workflows[place_of(key)].waiters);
        waiters.into_iter().for_each(|waiter| self.wake(waiter));
    }
}
