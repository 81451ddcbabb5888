//! An executor takes what waits.
//!
//! Which of several candidates it gets is the store's choice, within rules. So the model is told
//! what the store chose, says whether it may, and goes the same way.

mod rules;

use std::collections::BTreeMap;

use stepwell_core::{
    State, Takeover, WorkflowKey,
    store::{CancelCause, Claim, Claimed, Workflow},
};

use super::{Model, Row, start::place_of};

/// The workflows as the store has them after a call whose outcome is its choice.
pub(in crate::oracle) type Seen = BTreeMap<WorkflowKey, Workflow>;

/// What a claim did, as far as it was the store's choice.
struct Chosen<'a> {
    claim: &'a Claim,
    taken: Vec<WorkflowKey>,
    /// Waited, and are dead now.
    dead: Vec<WorkflowKey>,
    /// Waited, and are cancelled now for their own deadlines; children before their parents.
    late: Vec<WorkflowKey>,
}

impl Model {
    /// Checks what the store chose, goes the same way, and says what it must have answered.
    pub(in crate::oracle) fn claim(
        &mut self,
        claim: &Claim,
        taken: &[WorkflowKey],
        seen: &Seen,
    ) -> Result<Vec<Claimed>, String> {
        self.end_delays();
        let chosen = Chosen {
            claim,
            taken: taken.to_vec(),
            dead: self.now_dead(seen),
            late: self.now_late(seen),
        };
        self.wake_for(&chosen);
        self.check_choice(&chosen)?;
        let before = self.clone();
        for key in &chosen.taken {
            self.run(claim, *key);
        }
        for key in &chosen.late {
            self.cancel_tree(*key, CancelCause::Deadline);
        }
        for key in &chosen.dead {
            self.die(*key, seen);
        }
        self.check_order(&before, &chosen)?;
        self.check_turns(&before, &chosen)?;
        self.check_nothing_left(&before, &chosen)?;
        Ok(taken.iter().map(|key| before.claimed(*key)).collect())
    }

    /// Wakes those that the store has taken because the end of one that is too late woke them: that
    /// one is cancelled on the way.
    fn wake_for(&mut self, chosen: &Chosen<'_>) {
        let mut cancelled = self.clone();
        for key in &chosen.late {
            cancelled.cancel_tree(*key, CancelCause::Deadline);
        }
        for key in &chosen.taken {
            if cancelled.workflows[place_of(*key)].workflow.state == State::Enqueued {
                self.wake(*key);
            }
        }
    }

    /// What an executor is told of a workflow that it has.
    pub(in crate::oracle) fn claimed(&self, key: WorkflowKey) -> Claimed {
        let row = &self.workflows[place_of(key)];
        Claimed {
            key,
            id: row.workflow.id.clone(),
            nonce: row.nonce,
            name: row.workflow.name.clone(),
            input: row.input().expect("every workflow has its input").clone(),
            deadline_at: row.workflow.deadline_at,
            origin: row.workflow.origin.clone(),
            created_at: row.workflow.created_at,
            has_history: row.records.len() > 1,
        }
    }

    /// Lets the delays end whose time has come.
    fn end_delays(&mut self) {
        for row in &mut self.workflows {
            if row.workflow.wake_at.is_some_and(|at| at <= self.now) {
                row.workflow.state = State::Enqueued;
                row.workflow.reason = None;
                row.workflow.wake_at = None;
            }
        }
    }

    fn now_dead(&self, seen: &Seen) -> Vec<WorkflowKey> {
        let died = |row: &&Row| {
            let now = seen.get(&row.workflow.key);
            row.waits() && now.is_some_and(|now| now.state == State::Dead)
        };
        let dead = self.workflows.iter().filter(died);
        dead.map(|row| row.workflow.key).collect()
    }

    fn now_late(&self, seen: &Seen) -> Vec<WorkflowKey> {
        let deadline = CancelCause::Deadline.as_str();
        let ended = |row: &&Row| {
            let now = seen.get(&row.workflow.key);
            row.waits() && now.is_some_and(|now| now.reason.as_deref() == Some(deadline))
        };
        let late = self.workflows.iter().rev().filter(ended);
        late.map(|row| row.workflow.key).collect()
    }

    fn run(&mut self, claim: &Claim, key: WorkflowKey) {
        let now = self.now;
        let me = &claim.executor;
        let row = &mut self.workflows[place_of(key)];
        row.workflow.recoveries = row.recoveries_if_claimed();
        row.workflow.state = State::Running;
        row.workflow.reason = None;
        row.workflow.acknowledged = None;
        row.workflow.executor = Some(me.clone());
        row.workflow.started_at.get_or_insert(now);
        row.workflow.ended_at = None;
        row.records_at_claim = row.records.len();
        if let Some(lost) = row.lost.take() {
            row.takeovers.push(Takeover {
                workflow: row.workflow.id.clone(),
                lost_at: lost.at,
                at: now,
                from: lost.from,
                to: me.clone(),
                replayed: u32::try_from(row.records.len() - 1).unwrap_or(u32::MAX),
                why: lost.why.to_owned(),
            });
        }
        let queue = row.workflow.queue.clone();
        self.interrupts.remove(&(me.as_str().to_owned(), key));
        if let Some(queue) = queue.and_then(|queue| self.queues.get_mut(&queue))
            && queue.limits.rate.is_some()
        {
            queue.starts.push(now);
        }
    }

    /// The words of the reason are the store's.
    fn die(&mut self, key: WorkflowKey, seen: &Seen) {
        let now = self.now;
        let row = &mut self.workflows[place_of(key)];
        row.workflow.recoveries = row.recoveries_if_claimed();
        row.workflow.state = State::Dead;
        row.workflow.acknowledged = None;
        row.workflow.ended_at = Some(now);
        row.workflow.reason = seen.get(&key).and_then(|seen| seen.reason.clone());
    }
}

impl Row {
    fn waits(&self) -> bool {
        matches!(self.workflow.state, State::Enqueued | State::Stuck)
    }

    /// Progress resets the count, and what was handed back in order was no loss.
    fn recoveries_if_claimed(&self) -> u32 {
        let before = self.workflow.recoveries;
        match &self.lost {
            None => before,
            Some(lost) if lost.why == "handed back" => before,
            Some(_) if self.records.len() > self.records_at_claim => 1,
            Some(_) => before + 1,
        }
    }
}
