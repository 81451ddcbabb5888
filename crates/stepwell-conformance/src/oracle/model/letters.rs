//! Somebody has looked at a dead letter.

use stepwell_core::{
    Acknowledgement,
    store::{Acknowledge, Acknowledged},
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
}
