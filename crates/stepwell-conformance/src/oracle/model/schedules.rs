//! Schedules are defined, steered, and tick.

use stepwell_core::{
    ExecutorId,
    store::{
        DeclaredBy, NewSchedule, Paused, ScheduleChange, ScheduleInfo, Scheduled, Started, Tick,
    },
};

use super::Model;

/// A schedule.
#[derive(Debug, Clone)]
pub(in crate::oracle) struct Known {
    pub(in crate::oracle) info: ScheduleInfo,
    /// The release that has declared or withdrawn it; 0 for a client.
    release: usize,
    withdrawn: bool,
}

impl Model {
    pub(in crate::oracle) fn schedule_infos(&self) -> Vec<ScheduleInfo> {
        let there = self.schedules.values().filter(|known| !known.withdrawn);
        there.map(|known| known.info.clone()).collect()
    }

    pub(super) fn schedule(
        &mut self,
        by: Option<&ExecutorId>,
        change: &ScheduleChange,
    ) -> Scheduled {
        if let ScheduleChange::Define(new) | ScheduleChange::Redeclare(new) = change {
            return self.define(new);
        }
        let there = self.schedules.get(change.name());
        if there.is_none_or(|known| known.withdrawn) {
            return Scheduled::NoSuchSchedule;
        }
        match change {
            ScheduleChange::Tick(tick) => self.tick(by, tick),
            ScheduleChange::Withdraw { name, executor } => self.withdraw(name, executor),
            ScheduleChange::Remove { name } => {
                self.schedules.remove(name);
                Scheduled::Done
            }
            _ => self.pause_or_resume(change),
        }
    }

    fn pause_or_resume(&mut self, change: &ScheduleChange) -> Scheduled {
        let now = self.now;
        let Some(Known { info: known, .. }) = self.schedules.get_mut(change.name()) else {
            return Scheduled::NoSuchSchedule;
        };
        match (change, &known.paused) {
            (ScheduleChange::Pause { by, why, .. }, None) => {
                known.paused = Some(Paused {
                    at: now,
                    by: by.clone(),
                    why: why.clone(),
                });
            }
            (ScheduleChange::Resume { next_at, .. }, Some(_)) => {
                known.paused = None;
                known.next_at = *next_at;
            }
            _ => return Scheduled::Already,
        }
        Scheduled::Done
    }

    /// What is told again as it is keeps its next tick; what is told anew keeps its pause.
    fn define(&mut self, new: &NewSchedule) -> Scheduled {
        let known = self.schedules.get(&new.name);
        let of_code = known.filter(|known| known.info.declared_by == DeclaredBy::Code);
        let release = match &new.executor {
            None if of_code.is_some_and(|known| !known.withdrawn) => return Scheduled::OfCode,
            None => 0,
            Some(_) if known.is_some() && of_code.is_none() => return Scheduled::OfClient,
            Some(executor) => {
                let declared = of_code.map_or(0, |known| known.release);
                match self.counts(executor, declared) {
                    Some(mine) => mine,
                    None => return Scheduled::Outdated,
                }
            }
        };
        let before = known.map(|known| &known.info);
        let told = ScheduleInfo {
            name: new.name.clone(),
            workflow: new.workflow.clone(),
            spec: new.spec.clone(),
            timezone: new.timezone.clone(),
            missed: new.missed,
            arguments: new.arguments.clone(),
            queue: new.queue.as_ref().map(|queue| queue.name.clone()),
            declared_by: new.declared_by(),
            revision: before.map_or(0, |before| before.revision),
            next_at: new.next_at,
            last_at: before.and_then(|before| before.last_at),
            paused: before.and_then(|before| before.paused.clone()),
            trouble: None,
        };
        let is_same = known.is_some_and(|known| {
            let next_at = known.info.next_at;
            !known.withdrawn
                && known.info
                    == ScheduleInfo {
                        next_at,
                        ..told.clone()
                    }
        });
        let revision = told.revision + i64::from(known.is_some());
        if is_same {
            if let Some(known) = self.schedules.get_mut(&new.name) {
                known.release = known.release.max(release);
            }
            return Scheduled::Already;
        }
        if let Some(queue) = &new.queue {
            self.know_queue(queue);
        }
        let known = Known {
            info: ScheduleInfo { revision, ..told },
            release,
            withdrawn: false,
        };
        self.schedules.insert(new.name.clone(), known);
        Scheduled::Done
    }

    /// Executors of the model declare nothing for as long as they live.
    fn withdraw(&mut self, name: &str, executor: &ExecutorId) -> Scheduled {
        let Some(known) = self.schedules.get(name) else {
            return Scheduled::NoSuchSchedule;
        };
        if known.info.declared_by == DeclaredBy::Client {
            return Scheduled::OfClient;
        }
        let Some(mine) = self.counts(executor, known.release) else {
            return Scheduled::Outdated;
        };
        if let Some(known) = self.schedules.get_mut(name) {
            known.withdrawn = true;
            known.release = mine;
            known.info.revision += 1;
        }
        Scheduled::Done
    }

    fn tick(&mut self, by: Option<&ExecutorId>, tick: &Tick) -> Scheduled {
        let Some(Known { info: known, .. }) = self.schedules.get_mut(&tick.name) else {
            return Scheduled::NoSuchSchedule;
        };
        let is_as_read = known.next_at == tick.at && known.revision == tick.revision;
        if known.paused.is_some() || !is_as_read {
            return Scheduled::TooLate;
        }
        known.next_at = tick.next_at;
        known.last_at = tick.last_at.or(known.last_at);
        for new in &tick.starts {
            // Other work may have its id.
            if let Started::Conflict { name } = self.start(by, new) {
                self.start(by, &new.beside(&name));
            }
        }
        Scheduled::Done
    }
}
