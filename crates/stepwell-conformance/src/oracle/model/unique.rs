//! A start that is one of a kind.

use stepwell_core::{
    ExecutorId, State, Unique, UniqueRule, UniqueScope, WorkflowKey,
    store::{CancelCause, NewWorkflow, Started},
};

use super::{Kind, Model, Row, start::place_of};

impl Model {
    /// Starts it, unless one of its kind counts in its place.
    pub(super) fn start_one(
        &mut self,
        by: Option<&ExecutorId>,
        new: &NewWorkflow,
        unique: &Unique,
    ) -> Started {
        let Some(known) = self.of_kind(new, unique) else {
            let started = self.enter(by, new);
            self.mark(&started, unique, None);
            return started;
        };
        let workflow = &self.workflows[place_of(known)].workflow;
        let (id, state) = (workflow.id.clone(), workflow.state);
        match unique.rule() {
            UniqueRule::Join(_) => Started::Joined {
                key: known,
                id,
                state,
            },
            UniqueRule::Reject(_) => Started::Taken { id },
            UniqueRule::Replace { .. } => self.replace(by, new, unique, known),
        }
    }

    fn of_kind(&self, new: &NewWorkflow, unique: &Unique) -> Option<WorkflowKey> {
        let is_kind = |row: &&Row| {
            let kind = row.unique.as_ref();
            row.workflow.name == new.name && kind.is_some_and(|kind| kind.key == unique.key())
        };
        let mut kind = self.workflows.iter().filter(is_kind);
        let scope = match unique.rule() {
            UniqueRule::Join(scope) | UniqueRule::Reject(scope) => scope,
            UniqueRule::Replace { .. } => UniqueScope::Waiting,
        };
        let found = match scope {
            UniqueScope::Waiting => kind.find(|row| {
                matches!(row.workflow.state, State::Delayed | State::Enqueued)
                    && row.workflow.started_at.is_none()
            }),
            UniqueScope::Unfinished => kind
                .find(|row| !row.workflow.state.has_ended() && row.workflow.state != State::Dead),
            UniqueScope::Within(period) => {
                kind.rfind(|row| row.workflow.created_at > self.now - period)
            }
        };
        found.map(|row| row.workflow.key)
    }

    /// Cancels the one that waits and starts the new one in its place: where that one stood in its
    /// queue, if its delay has passed.
    fn replace(
        &mut self,
        by: Option<&ExecutorId>,
        new: &NewWorkflow,
        unique: &Unique,
        known: WorkflowKey,
    ) -> Started {
        let old = self.workflows[place_of(known)].clone();
        self.cancel_tree(known, CancelCause::Replaced);
        let since = (old.unique.as_ref()).map_or(old.workflow.created_at, |kind| kind.since);
        let stood = old.workflow.state == State::Enqueued;
        let mut new = new.clone();
        new.delay = match stood {
            true => None,
            false => (unique.rule()).delay_of_replacement(new.delay, since, self.now),
        };
        let started = self.start(by, &new);
        self.mark(&started, unique, Some(since));
        match started {
            Started::New { key, .. } => {
                if stood {
                    self.workflows[place_of(key)].rank = old.rank;
                }
                let replaced = Some(known);
                Started::New { key, replaced }
            }
            other => other,
        }
    }

    fn mark(&mut self, started: &Started, unique: &Unique, since: Option<jiff::Timestamp>) {
        if let Started::New { key, .. } = started {
            self.workflows[place_of(*key)].unique = Some(Kind {
                key: unique.key().to_owned(),
                since: since.unwrap_or(self.now),
            });
        }
    }
}
