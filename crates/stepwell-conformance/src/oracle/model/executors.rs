//! Executors and their leases.

use stepwell_core::{
    ExecutorId, State, WorkflowKey,
    store::{Executor, NewExecutor, RELEASE_KEPT, Renewed},
};

use super::{Fenced, Incarnation, Model, Row};

impl Model {
    /// An executor whose lease has ended is live until another one declares it dead.
    pub(super) fn fence(&self, executor: &ExecutorId) -> Result<(), Fenced> {
        match self.is_live(executor) {
            true => Ok(()),
            false => Err(Fenced),
        }
    }

    pub(in crate::oracle) fn is_live(&self, id: &ExecutorId) -> bool {
        let live =
            |known: &Incarnation| known.executor.id == *id && known.executor.ended_at.is_none();
        self.executors.iter().any(live)
    }

    /// The same incarnation again is the same registration, unless it has ended.
    pub(in crate::oracle) fn register(&mut self, new: &NewExecutor) -> Result<(), Fenced> {
        if self
            .executors
            .iter()
            .any(|known| known.executor.id == new.id)
        {
            return self.fence(&new.id);
        }
        let executor = Executor {
            id: new.id.clone(),
            application: new.application.clone(),
            version: new.version.clone(),
            host: new.host.clone(),
            pid: new.pid,
            started_at: self.now,
            lease_expires_at: self.now + new.lease,
            ended_at: None,
            names: Some(new.names.clone()),
        };
        let release = self.release_of(new);
        self.executors.push(Incarnation {
            release,
            executor,
            lease: new.lease,
            why_ended: "",
            drained: false,
        });
        Ok(())
    }

    /// The place of a release among those that have come.
    fn release_of(&mut self, new: &NewExecutor) -> usize {
        let release = (new.application.clone(), new.version.clone());
        let known = self.releases.iter().position(|known| *known == release);
        known.map_or_else(
            || {
                self.releases.push(release);
                self.releases.len()
            },
            |place| place + 1,
        )
    }

    /// The release of a living executor, if it counts before the one that has declared something.
    pub(super) fn counts(&self, executor: &ExecutorId, declared: usize) -> Option<usize> {
        let lives = |known: &&Incarnation| known.executor.ended_at.is_none();
        let mut executors = self.executors.iter().filter(lives);
        let mine = executors
            .find(|known| known.executor.id == *executor)?
            .release;
        let since = self.now - RELEASE_KEPT;
        let is_there = self.executors.iter().any(|known| {
            let ended_at = known.executor.ended_at;
            known.release == declared && ended_at.is_none_or(|at| at > since)
        });
        (mine >= declared || !is_there).then_some(mine)
    }

    pub(in crate::oracle) fn renew(&mut self, id: &ExecutorId) -> Renewed {
        if !self.is_live(id) {
            return Renewed::Lost;
        }
        let now = self.now;
        for known in self
            .executors
            .iter_mut()
            .filter(|known| known.executor.id == *id)
        {
            known.executor.lease_expires_at = now + known.lease;
        }
        Renewed::Live
    }

    pub(in crate::oracle) fn owned(&self, executor: &ExecutorId) -> Vec<WorkflowKey> {
        let mine = |row: &&Row| row.is_owned_by(Some(executor));
        let owned = self.workflows.iter().filter(mine);
        owned.map(|row| row.workflow.key).collect()
    }

    pub(in crate::oracle) fn take_interrupts(&mut self, executor: &ExecutorId) -> Vec<WorkflowKey> {
        let mine = |(whose, _): &&(String, WorkflowKey)| whose == executor.as_str();
        let taken = self
            .interrupts
            .iter()
            .filter(mine)
            .map(|(_, key)| *key)
            .collect();
        self.interrupts
            .retain(|(whose, _)| whose != executor.as_str());
        taken
    }

    /// Every executor that is live or may have work, by id.
    pub(in crate::oracle) fn active(&self) -> Vec<Executor> {
        let active = self.executors.iter().filter(|known| !known.drained);
        let mut active: Vec<_> = active.map(|known| known.executor.clone()).collect();
        active.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        active
    }

    /// When something is due by itself: a delay, or a place of a rate that somebody waits for.
    pub(in crate::oracle) fn next_wake(&self) -> Option<jiff::Timestamp> {
        let delays = self.workflows.iter().filter_map(|row| row.workflow.wake_at);
        let rates = self.queues.iter().filter_map(|(name, queue)| {
            let rate = queue.limits.rate?;
            let waits = self.count(name, |row| row.workflow.state == State::Enqueued) > 0;
            let since = self.now - rate.period();
            let counts = |at: &&jiff::Timestamp| **at > since;
            let first = queue.starts.iter().filter(counts).min()?;
            (waits && queue.paused.is_none()).then(|| *first + rate.period())
        });
        delays.chain(rates).min()
    }
}
