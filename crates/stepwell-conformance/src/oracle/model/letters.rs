//! A dead letter is acknowledged; a workflow at rest is deleted.

use stepwell_core::{
    Acknowledgement, WorkflowId,
    store::{Acknowledge, Acknowledged, CancelCause, Deleted},
};

use super::{Model, start::place_of};

impl Model {
    pub(super) fn acknowledge(&mut self, letter: &Acknowledge) -> Acknowledged {
        let Some(key) = self.key_of(&letter.id) else {
            return Acknowledged::NoSuchWorkflow;
        };
        let at = self.now;
        let workflow = &mut self.workflows[place_of(key)].workflow;
        if !workflow.state.is_dead_letter() {
            return Acknowledged::Not(workflow.state);
        }
        if workflow.acknowledged.is_some() {
            return Acknowledged::Already;
        }
        let note = letter.note.clone();
        workflow.acknowledged = Some(Acknowledgement { at, note });
        Acknowledged::Now
    }

    pub(super) fn delete(&mut self, id: &WorkflowId) -> Deleted {
        let Some(key) = self.key_of(id) else {
            return Deleted::NoSuchWorkflow;
        };
        let state = self.workflows[place_of(key)].workflow.state;
        if !state.is_at_rest() {
            return Deleted::Not(state);
        }
        if !state.has_ended() {
            self.cancel_tree(key, CancelCause::Request);
        }
        let row = &mut self.workflows[place_of(key)];
        row.is_deleted = true;
        row.unique = None;
        self.wake_waiters(key);
        for child in &mut self.workflows {
            if child.parent == Some(key) {
                child.parent = None;
                child.workflow.parent = None;
            }
        }
        Deleted::Now
    }
}
