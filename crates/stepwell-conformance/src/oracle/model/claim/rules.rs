//! What a claim may choose, and what it may not leave.

use stepwell_core::{
    State, WorkflowKey,
    store::{Claim, Workflow},
};

use super::{super::start::place_of, Chosen, Model, Row};

impl Model {
    /// Each one that was taken, is dead or is late now had to be, and no limit was passed.
    pub(super) fn check_choice(&self, chosen: &Chosen<'_>) -> Result<(), String> {
        let claim = chosen.claim;
        if chosen.taken.len() > usize::try_from(claim.limit).unwrap_or(usize::MAX) {
            return Err(format!(
                "{} came, {} were asked for",
                chosen.taken.len(),
                claim.limit
            ));
        }
        for key in &chosen.taken {
            let row = self.wanted(claim, *key)?;
            if row.is_late(self.now) || row.is_worn_out(claim) {
                return Err(format!("{} is late or dead: {row:?}", row.workflow.id));
            }
        }
        for key in &chosen.dead {
            let row = self.wanted(claim, *key)?;
            if !row.is_worn_out(claim) || row.is_late(self.now) {
                return Err(format!("{} died too early: {row:?}", row.workflow.id));
            }
        }
        for key in &chosen.late {
            let row = self.wanted(claim, *key)?;
            if !row.is_late(self.now) {
                return Err(format!("{} is in time: {row:?}", row.workflow.id));
            }
        }
        self.check_limits(chosen)
    }

    /// A workflow that the claim may look at.
    fn wanted(&self, claim: &Claim, key: WorkflowKey) -> Result<&Row, String> {
        let row = self.row(key).ok_or("the store took what is not there")?;
        if !row.fits(claim) {
            return Err(format!("{} is not to be had: {row:?}", row.workflow.id));
        }
        Ok(row)
    }

    /// What ends in a claim leaves its places to what is taken in it.
    fn check_limits(&self, chosen: &Chosen<'_>) -> Result<(), String> {
        let mut left = self.clone();
        for key in &chosen.late {
            left.cancel_tree(*key, stepwell_core::store::CancelCause::Deadline);
        }
        for key in &chosen.taken {
            let row = &self.workflows[place_of(*key)];
            if !left.has_place(row, chosen.claim) {
                return Err(format!("{} has no place in its queue", row.workflow.id));
            }
            left.run(chosen.claim, *key);
        }
        Ok(())
    }

    fn has_place(&self, row: &Row, claim: &Claim) -> bool {
        let queue = row.workflow.queue.as_deref();
        queue.is_none_or(|queue| self.places(queue, &row.queue_key, &claim.executor) > 0)
    }

    /// In a queue and under a key, nobody is passed over. Equal ranks are equals.
    pub(super) fn check_order(&self, before: &Self, chosen: &Chosen<'_>) -> Result<(), String> {
        for taken in before.enqueued(&chosen.taken) {
            for left in self.left(chosen.claim) {
                let same_lane = left.workflow.queue == taken.workflow.queue
                    && left.queue_key == taken.queue_key;
                if same_lane && left.rank < taken.rank {
                    let (first, second) = (&left.workflow.id, &taken.workflow.id);
                    return Err(format!("{second} was taken before {first}"));
                }
            }
        }
        Ok(())
    }

    /// Keys of a queue take turns: a key that got something has not more than one more than a key
    /// that still waits. Only where nothing else gave or took places.
    pub(super) fn check_turns(&self, before: &Self, chosen: &Chosen<'_>) -> Result<(), String> {
        let stuck_too = before.enqueued(&chosen.taken).count() < chosen.taken.len();
        if stuck_too || !chosen.late.is_empty() || !chosen.dead.is_empty() {
            return Ok(());
        }
        for taken in before.enqueued(&chosen.taken) {
            let Some(queue) = &taken.workflow.queue else {
                continue;
            };
            let runs = |key: &str| {
                let of_key =
                    |row: &Row| row.workflow.state == State::Running && row.queue_key == key;
                self.count(queue, of_key)
            };
            for left in self.left(chosen.claim) {
                let same_queue = left.workflow.queue.as_ref() == Some(queue);
                let most = self.queues[queue].limits.key_concurrency;
                let can_run = most.is_none_or(|most| runs(&left.queue_key) < most);
                if same_queue && can_run && runs(&taken.queue_key) > runs(&left.queue_key) + 1 {
                    let (first, second) = (&left.workflow.id, &taken.workflow.id);
                    return Err(format!("it was the turn of {first}, not of {second}"));
                }
            }
        }
        Ok(())
    }

    /// A claim that could have had more got all that there was. Of what is stuck a store may leave
    /// something for the next claim where one ended or a key was full.
    pub(super) fn check_nothing_left(
        &self,
        before: &Self,
        chosen: &Chosen<'_>,
    ) -> Result<(), String> {
        let limit = usize::try_from(chosen.claim.limit).unwrap_or(usize::MAX);
        if chosen.taken.len() >= limit {
            return Ok(());
        }
        let mut ended = chosen.dead.iter().chain(&chosen.late);
        let stuck_ended = ended.any(|key| before.workflows[place_of(*key)].is_stuck());
        for row in &self.workflows {
            if !row.fits(chosen.claim) || !self.has_place(row, chosen.claim) {
                continue;
            }
            if row.is_stuck() && (stuck_ended || self.limits_keys(&row.workflow)) {
                continue;
            }
            return Err(format!("{} could have been had: {row:?}", row.workflow.id));
        }
        Ok(())
    }

    fn limits_keys(&self, workflow: &Workflow) -> bool {
        let queue = workflow
            .queue
            .as_ref()
            .and_then(|queue| self.queues.get(queue));
        queue.is_some_and(|queue| queue.limits.key_concurrency.is_some())
    }

    fn enqueued<'a>(&'a self, keys: &'a [WorkflowKey]) -> impl Iterator<Item = &'a Row> {
        let rows = keys.iter().map(|key| &self.workflows[place_of(*key)]);
        rows.filter(|row| row.workflow.state == State::Enqueued)
    }

    /// What waits still and fits a claim.
    fn left<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = &'a Row> {
        let waits = |row: &&Row| row.workflow.state == State::Enqueued && row.fits(claim);
        self.workflows.iter().filter(waits)
    }
}

impl Row {
    /// Whether the executor knows its name, and did not get stuck in it.
    fn fits(&self, claim: &Claim) -> bool {
        let tried = self.is_stuck() && self.stuck_in.contains(&claim.version);
        self.waits() && claim.names.contains(&self.workflow.name) && !tried
    }

    fn is_stuck(&self) -> bool {
        self.workflow.state == State::Stuck
    }

    fn is_late(&self, now: jiff::Timestamp) -> bool {
        self.workflow.deadline_at.is_some_and(|at| at <= now)
    }

    fn is_worn_out(&self, claim: &Claim) -> bool {
        self.recoveries_if_claimed() > claim.rules.recoveries_max
    }
}
