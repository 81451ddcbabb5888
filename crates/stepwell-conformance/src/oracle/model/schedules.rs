//! Schedules are defined, steered, and tick.

use stepwell_core::{
    ExecutorId,
    store::{DeclaredBy, NewSchedule, Paused, ScheduleChange, ScheduleInfo, Scheduled, Tick},
};

use super::Model;

impl Model {
    pub(super) fn schedule(
        &mut self,
        by: Option<&ExecutorId>,
        change: &ScheduleChange,
    ) -> Scheduled {
        match change {
            ScheduleChange::Define(new) => self.define(new),
            ScheduleChange::Tick(tick) => self.tick(by, tick),
            ScheduleChange::Remove { name } => match self.schedules.remove(name) {
                Some(_) => Scheduled::Done,
                None => Scheduled::NoSuchSchedule,
            },
            ScheduleChange::Pause { name, .. } | ScheduleChange::Resume { name, .. } => {
                let now = self.now;
                let Some(known) = self.schedules.get_mut(name) else {
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
        }
    }

    /// What is told again as it is keeps its next tick; what is told anew keeps its pause.
    fn define(&mut self, new: &NewSchedule) -> Scheduled {
        let known = self.schedules.get(&new.name);
        let told = ScheduleInfo {
            name: new.name.clone(),
            workflow: new.workflow.clone(),
            spec: new.spec.clone(),
            timezone: new.timezone.clone(),
            missed: new.missed,
            arguments: new.arguments.clone(),
            queue: new.queue.as_ref().map(|queue| queue.name.clone()),
            declared_by: new.declared_by,
            next_at: new.next_at,
            last_at: known.and_then(|known| known.last_at),
            paused: known.and_then(|known| known.paused.clone()),
        };
        if let Some(known) = known {
            let as_it_is = ScheduleInfo {
                next_at: known.next_at,
                ..told.clone()
            };
            if *known == as_it_is {
                return Scheduled::Already;
            }
            if known.declared_by == DeclaredBy::Code && new.declared_by == DeclaredBy::Client {
                return Scheduled::OfCode;
            }
        }
        if let Some(queue) = &new.queue {
            self.know_queue(queue);
        }
        self.schedules.insert(new.name.clone(), told);
        Scheduled::Done
    }

    fn tick(&mut self, by: Option<&ExecutorId>, tick: &Tick) -> Scheduled {
        let Some(known) = self.schedules.get_mut(&tick.name) else {
            return Scheduled::NoSuchSchedule;
        };
        if known.paused.is_some() || known.next_at != Some(tick.at) {
            return Scheduled::TooLate;
        }
        known.next_at = tick.next_at;
        known.last_at = tick.last_at.or(known.last_at);
        for new in &tick.starts {
            self.start(by, new);
        }
        Scheduled::Done
    }
}
