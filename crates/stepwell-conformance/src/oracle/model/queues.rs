//! Queues are steered, and how much of one is used.

use stepwell_core::{
    ExecutorId, State,
    store::{Paused, QueueChange, QueueChanged, QueueInfo, QueueUsed},
};

use super::{Model, Row};

impl Model {
    pub(super) fn steer(&mut self, change: &QueueChange) -> QueueChanged {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(change.name()) else {
            return QueueChanged::NoSuchQueue;
        };
        let before = queue.clone();
        match change {
            QueueChange::Limit { limits, .. } => queue.limits = *limits,
            QueueChange::Pause { by, why, .. } => {
                let paused = Paused {
                    at: now,
                    by: by.clone(),
                    why: why.clone(),
                };
                queue.paused.get_or_insert(paused);
            }
            QueueChange::Resume { .. } => queue.paused = None,
        }
        match *queue == before {
            true => QueueChanged::Already,
            false => QueueChanged::Done,
        }
    }

    /// How many workflows of a queue fit.
    pub(super) fn count(&self, queue: &str, fits: impl Fn(&Row) -> bool) -> u32 {
        let of_queue = |row: &&Row| row.workflow.queue.as_deref() == Some(queue) && fits(row);
        u32::try_from(self.workflows.iter().filter(of_queue).count()).unwrap_or(u32::MAX)
    }

    /// How many more of a queue an executor may take, of one key.
    pub(super) fn places(&self, queue: &str, key: &str, executor: &ExecutorId) -> u32 {
        let Some(known) = self.queues.get(queue) else {
            return u32::MAX;
        };
        if known.paused.is_some() {
            return 0;
        }
        let limits = known.limits;
        let runs = |row: &Row| row.workflow.state == State::Running;
        let began = limits.rate.map_or(0, |rate| {
            let since = self.now - rate.period();
            known.starts.iter().filter(|at| **at > since).count()
        });
        let used = QueueUsed {
            running: self.count(queue, runs),
            running_here: self.count(queue, |row| row.is_owned_by(Some(executor))),
            started: u32::try_from(began).unwrap_or(u32::MAX),
        };
        let of_key = self.count(queue, |row| runs(row) && row.queue_key == key);
        let key_places =
            (limits.key_concurrency).map_or(u32::MAX, |most| most.saturating_sub(of_key));
        limits.free_places(used).min(key_places)
    }

    pub(in crate::oracle) fn queue_infos(&self) -> Vec<QueueInfo> {
        let info = |(name, queue): (&String, &super::Queue)| QueueInfo {
            name: name.clone(),
            limits: queue.limits,
            paused: queue.paused.clone(),
            waiting: self.count(name, |row| row.workflow.state == State::Enqueued),
            running: self.count(name, |row| row.workflow.state == State::Running),
        };
        self.queues.iter().map(info).collect()
    }
}
