//! A run ends.

use stepwell_core::{
    Acknowledgement, DECLINED_NOTE, End, ExecutorId, Outcome, Place, RecordKind, State,
    store::{Finish, Finished, Refusal, Started},
};

use super::{Model, start::place_of};

impl Model {
    pub(super) fn finish(&mut self, by: Option<&ExecutorId>, finish: &Finish) -> Finished {
        let finished = self.end_run(by, finish);
        if finished == Finished::Now {
            for alert in &finish.alerts {
                // Other work may have its id.
                if let Started::Conflict { name } = self.ask(by, alert) {
                    self.ask(by, &alert.beside(&name));
                }
            }
        }
        finished
    }

    fn end_run(&mut self, by: Option<&ExecutorId>, finish: &Finish) -> Finished {
        match self.refuses(by, finish.key) {
            None => {}
            Some(Refusal::NotRunning(state)) if state.is_at_rest() => {
                return Finished::Already(state);
            }
            Some(_) => return Finished::NotMine,
        }
        let now = self.now;
        let row = &mut self.workflows[place_of(finish.key)];
        row.workflow.ended_at = Some(now);
        let result = |outcome| (Place::Result, RecordKind::Result, outcome);
        let (state, last) = match &finish.end {
            End::Succeeded(output) => (State::Succeeded, result(Outcome::Ok(output.clone()))),
            End::Failed {
                error,
                fingerprint,
                reason,
            } => {
                row.workflow.reason = Some(reason.clone());
                row.workflow.fingerprint = Some(fingerprint.clone());
                (State::Failed, result(Outcome::Err(error.clone())))
            }
            End::Declined {
                error,
                fingerprint,
                reason,
            } => {
                row.workflow.reason = Some(reason.clone());
                row.workflow.fingerprint = Some(fingerprint.clone());
                row.workflow.acknowledged = Some(Acknowledgement {
                    at: now,
                    note: DECLINED_NOTE.to_owned(),
                });
                (State::Failed, result(Outcome::Err(error.clone())))
            }
            End::Stuck { reason } => {
                row.workflow.state = State::Stuck;
                row.workflow.reason = Some(reason.clone());
                row.stuck_in.insert(finish.version.clone());
                return Finished::Now;
            }
        };
        row.workflow.state = state;
        row.record(last.0, last.1, last.2, now);
        self.wake_waiters(finish.key);
        Finished::Now
    }
}
