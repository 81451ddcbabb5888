//! Workflows are cancelled, and go on.

use std::collections::BTreeSet;

use stepwell_core::{
    State, WorkflowId, WorkflowKey,
    store::{Cancel, CancelCause, Cancelled, Resumed},
};

use super::{Model, start::place_of};

impl Model {
    pub(super) fn cancel(&mut self, cancel: &Cancel) -> Cancelled {
        let Some(key) = self.key_of(&cancel.id) else {
            return Cancelled::NoSuchWorkflow;
        };
        let workflow = &self.workflows[place_of(key)].workflow;
        if workflow.state.has_ended() {
            return Cancelled::Already(workflow.state);
        }
        let is_due = workflow.deadline_at.is_some_and(|at| at <= self.now);
        if cancel.cause == CancelCause::Deadline && !is_due {
            return Cancelled::NotDue;
        }
        Cancelled::Now(self.cancel_tree(key, cancel.cause))
    }

    /// Cancels a workflow and its attached descendants. The executors of those that run are
    /// interrupted.
    pub(super) fn cancel_tree(
        &mut self,
        root: WorkflowKey,
        cause: CancelCause,
    ) -> Vec<WorkflowKey> {
        let now = self.now;
        let mut cancelled = Vec::new();
        for key in self.attached(root) {
            let row = &mut self.workflows[place_of(key)];
            if row.workflow.state.has_ended() {
                continue;
            }
            let was_running = row.workflow.state == State::Running;
            row.workflow.state = State::Cancelled;
            row.workflow.ended_at = Some(now);
            row.workflow.wake_at = None;
            row.workflow.reason = Some(match key == root {
                true => cause.as_str().to_owned(),
                false => "its parent was cancelled".to_owned(),
            });
            let owner = row.workflow.executor.clone().filter(|_| was_running);
            if let Some(owner) = owner {
                self.interrupts.insert((owner.as_str().to_owned(), key));
            }
            cancelled.push(key);
        }
        for key in &cancelled {
            self.wake_waiters(*key);
        }
        cancelled
    }

    /// A workflow and everything below it, also below what has ended.
    fn attached(&self, root: WorkflowKey) -> BTreeSet<WorkflowKey> {
        let mut tree = BTreeSet::from([root]);
        loop {
            let before = tree.len();
            for row in &self.workflows {
                if !row.detached && row.parent.is_some_and(|parent| tree.contains(&parent)) {
                    tree.insert(row.workflow.key);
                }
            }
            if tree.len() == before {
                return tree;
            }
        }
    }

    pub(super) fn resume(&mut self, id: &WorkflowId) -> Resumed {
        let Some(key) = self.key_of(id) else {
            return Resumed::NoSuchWorkflow;
        };
        let now = self.now;
        let row = &mut self.workflows[place_of(key)];
        let workflow = &mut row.workflow;
        if !matches!(
            workflow.state,
            State::Cancelled | State::Stuck | State::Dead
        ) {
            return Resumed::Not(workflow.state);
        }
        workflow.state = State::Enqueued;
        workflow.reason = None;
        workflow.acknowledged = None;
        workflow.recoveries = 0;
        workflow.ended_at = None;
        workflow.wake_at = None;
        // A deadline that has passed has done its work.
        workflow.deadline_at = workflow.deadline_at.filter(|at| *at > now);
        row.lost = None;
        row.stuck_in.clear();
        Resumed::Now
    }
}
