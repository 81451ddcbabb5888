//! Queues are steered, and how much of one is used.

use stepwell_core::{
    ExecutorId, State,
    store::{Paused, QueueChange, QueueChanged, QueueInfo, QueueLimits, QueueUsed},
};

use super::{Model, Row};

impl super::Queue {
    /// What began is forgotten where no rate counts it.
    fn set(&mut self, limits: QueueLimits) {
        self.limits = limits;
        if limits.rate.is_none() {
            self.starts.clear();
        }
    }
}

impl Model {
    pub(super) fn steer(&mut self, change: &QueueChange) -> QueueChanged {
        let now = self.now;
        if let QueueChange::Declare {
            name,
            limits,
            executor,
            declaring: _,
        } = change
        {
            return self.declare(name, *limits, executor);
        }
        let Some(queue) = self.queues.get_mut(change.name()) else {
            return QueueChanged::NoSuchQueue;
        };
        let before = queue.clone();
        match change {
            QueueChange::Declare { .. } => {}
            QueueChange::Limit { limits, .. } => {
                let is_so = queue.limited_at.is_some() && queue.limits == *limits;
                if !is_so {
                    queue.set(*limits);
                    queue.limited_at = Some(now);
                    queue.release = 0;
                }
            }
            QueueChange::Unlimit { .. } => {
                if queue.limited_at.take().is_some() {
                    queue.release = 0;
                }
            }
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

    fn declare(&mut self, name: &str, limits: QueueLimits, executor: &ExecutorId) -> QueueChanged {
        let declared = self.queues.get(name).map_or(0, |queue| queue.release);
        let Some(live) = self.counts(executor, 0) else {
            return QueueChanged::Outdated;
        };
        let mine = self.counts(executor, declared);
        let is_new = !self.queues.contains_key(name);
        let queue = self.queues.entry(name.to_owned()).or_default();
        let is_same = !is_new && queue.limits == limits;
        match (queue.limited_at, mine) {
            (Some(_), _) if !is_same => return QueueChanged::SetByHand,
            (None, None) if !is_same => return QueueChanged::Outdated,
            (None, Some(_)) => {
                queue.set(limits);
                queue.release = live;
            }
            _ => {}
        }
        match is_same {
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
            limited_at: queue.limited_at,
            paused: queue.paused.clone(),
            waiting: self.count(name, |row| row.workflow.state == State::Enqueued),
            running: self.count(name, |row| row.workflow.state == State::Running),
        };
        self.queues.iter().map(info).collect()
    }
}
