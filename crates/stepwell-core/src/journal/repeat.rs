//! Answers to changes that were handed in before, and whose first answer was lost.

use crate::{
    store::{Applied, Change, Deleted, Resumed, ScheduleChange, Scheduled},
    workflow::State,
};

/// The answer to a change that may find its own work. Where things are as it wanted them, it is done,
/// also if another client was first. All other changes say so themselves, by their ids and positions.
pub(super) fn answer(change: &Change, again: Applied) -> Applied {
    match (change, again) {
        (_, Applied::Resume(Resumed::Not(state))) if is_on_its_way(state) => {
            Applied::Resume(Resumed::Now)
        }
        (_, Applied::Delete(Deleted::NoSuchWorkflow)) => Applied::Delete(Deleted::Now),
        (
            Change::Schedule(ScheduleChange::Remove { .. }),
            Applied::Schedule(Scheduled::NoSuchSchedule),
        ) => Applied::Schedule(Scheduled::Done),
        (_, again) => again,
    }
}

fn is_on_its_way(state: State) -> bool {
    use State::{Delayed, Enqueued, Parked, Running};
    matches!(state, Delayed | Enqueued | Running | Parked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WorkflowId;

    #[test]
    fn what_is_as_it_was_wanted_is_no_refusal() {
        let id = WorkflowId::generate();
        let resume = Change::Resume(id);
        for (found, is_done) in [
            (State::Running, true),
            (State::Parked, true),
            (State::Succeeded, false),
            (State::Unknown, false),
        ] {
            let again = answer(&resume, Applied::Resume(Resumed::Not(found)));
            let now = matches!(again, Applied::Resume(Resumed::Now));
            assert_eq!(now, is_done, "{found}");
        }
        let name = "nightly".to_owned();
        let remove = Change::Schedule(ScheduleChange::Remove { name });
        let again = answer(&remove, Applied::Schedule(Scheduled::NoSuchSchedule));
        assert!(matches!(again, Applied::Schedule(Scheduled::Done)));
    }
}
