//! What happens to the entries of a batch: who is woken, who hears of an error.

use super::{Entry, Stand};
use crate::{
    hub::Hub,
    store::{
        Applied, Cancelled, Change, Deleted, Effect, EffectOutcome, Finish, Finished, Forked, News,
        Parked, Progressed, QueueChanged, Resumed, ScheduleChange, Scheduled, Sent, Started,
        StoreError, Wait,
    },
    workflow::{End, Outcome},
};

/// Answers those entries with the error that `whom` names, and keeps the others in their order.
pub(super) fn give_up(batch: &mut Vec<Entry>, error: &StoreError, whom: impl Fn(&Entry) -> bool) {
    for entry in batch.extract_if(.., |entry| whom(entry)) {
        entry.refuse(error.clone());
    }
}

/// Answers those that must not be written any more, and keeps the others in their order.
pub(super) fn drop_void(batch: &mut Vec<Entry>, stand: &Stand) {
    for entry in batch.extract_if(.., |entry| entry.is_void(stand).is_some()) {
        if let Some(error) = entry.is_void(stand) {
            entry.refuse(error);
        }
    }
}

/// The second half of a batch, cut off. None of a change alone.
pub(super) fn second_half(batch: &mut Vec<Entry>) -> Option<Vec<Entry>> {
    (batch.len() > 1).then(|| batch.split_off(batch.len() / 2))
}

/// Wakes those in this process who wait for what was just written.
pub(super) fn wake(hub: &Hub, change: &Change, applied: &Applied) {
    match (change, applied) {
        // One that is launched here at once needs nobody to claim it.
        (
            _,
            Applied::Start(Started::New {
                replaced: Some(replaced),
                ..
            }),
        ) => {
            hub.changed(*replaced);
            hub.work_arrived();
            // It waited, but descendants of it may run.
            hub.interrupts_arrived();
        }
        (_, Applied::Start(Started::Joined { key, .. })) => hub.changed(*key),
        (Change::Start(new), Applied::Start(Started::New { .. })) if new.runs_here() => {}
        (_, Applied::Start(Started::New { .. })) | (_, Applied::Resume(Resumed::Now)) => {
            hub.work_arrived()
        }
        (Change::Fork(fork), Applied::Fork(Forked::New { .. })) if fork.letter.is_none() => {
            hub.work_arrived();
        }
        // The letter is cancelled, perhaps with descendants.
        (_, Applied::Fork(Forked::New { .. })) => hub.hear(News::of_anything()),
        (_, Applied::Send(Sent::New { to })) => hub.changed(*to),
        (Change::Progress(progress), Applied::Progress(Progressed::Recorded(outcomes))) => {
            if progress.effects.iter().any(is_seen_by_others) {
                hub.changed(progress.key);
            } else {
                hub.recorded(progress.key);
            }
            for outcome in outcomes {
                match outcome {
                    EffectOutcome::Sent(Sent::New { to }) => hub.changed(*to),
                    EffectOutcome::Started(_) => hub.work_arrived(),
                    EffectOutcome::Cancelled(cancelled) => wake_cancelled(hub, cancelled),
                    EffectOutcome::Sent(_) | EffectOutcome::Done => {}
                }
            }
        }
        (Change::Finish(finish), Applied::Finish(finished)) => wake_at_end(hub, finish, *finished),
        (Change::Progress(progress), Applied::Progress(Progressed::Existing)) => {
            hub.changed(progress.key);
            hub.work_arrived();
            hub.interrupts_arrived();
        }
        (_, Applied::Start(Started::Existing { key, .. })) => {
            hub.changed(*key);
            hub.work_arrived();
        }
        // When the next one is due may be another instant now.
        (_, Applied::Park(Parked::Now)) => hub.work_arrived(),
        // It looks again: what it waits for is there, though nobody may have told it.
        (Change::Park(park), Applied::Park(Parked::NotYet)) => {
            hub.changed(park.key);
            let others = park.waits.iter().filter_map(Wait::of);
            others.for_each(|other| hub.changed(other));
        }
        (Change::Schedule(ScheduleChange::Tick(_)), Applied::Schedule(Scheduled::Done)) => {
            hub.work_arrived();
        }
        (_, Applied::Queue(QueueChanged::Done)) => hub.work_arrived(),
        (_, Applied::Schedule(Scheduled::Done)) => hub.schedules_change(),
        (_, Applied::Cancel(cancelled)) => wake_cancelled(hub, cancelled),
        // Descendants of it may be cancelled with it.
        (_, Applied::Delete(Deleted::Now)) => hub.hear(News::of_anything()),
        _ => {}
    }
}

/// Whoever asked may be gone, and the answer to the first of two that are alike may be lost: the runs
/// hear of it all the same, because it is in the interrupts of their executor.
fn wake_cancelled(hub: &Hub, cancelled: &Cancelled) {
    match cancelled {
        Cancelled::Now(keys) => {
            keys.iter().for_each(|key| hub.changed(*key));
            hub.work_arrived();
            hub.interrupts_arrived();
        }
        Cancelled::Already(_) => hub.interrupts_arrived(),
        Cancelled::NotDue | Cancelled::NoSuchWorkflow => {}
    }
}

fn wake_at_end(hub: &Hub, finish: &Finish, finished: Finished) {
    match (finished, &finish.end) {
        (Finished::Now, End::Succeeded(output)) => {
            hub.ended(finish.key, Outcome::Ok(output.clone()))
        }
        (Finished::Now, End::Failed { error, .. } | End::Declined { error, .. }) => {
            hub.ended(finish.key, Outcome::Err(error.clone()));
        }
        // Handed in again after the first answer, which would have woken them, was lost.
        (Finished::Now, End::Stuck { .. }) | (Finished::Already(_), _) => hub.changed(finish.key),
        (Finished::NotMine, _) => return,
    }
    if !finish.alerts.is_empty() {
        hub.work_arrived();
    }
}

fn is_seen_by_others(effect: &Effect) -> bool {
    matches!(effect, Effect::SetEvent { .. } | Effect::Append { .. })
}
