//! What happens to the entries of a batch: who is woken, who hears of an error.

use super::Entry;
use crate::{
    hub::Hub,
    store::{
        Applied, Cancelled, Change, Effect, EffectOutcome, Finish, Finished, Forked, Parked,
        Progressed, QueueChanged, Resumed, ScheduleChange, Scheduled, Sent, Started, StoreError,
        Wait,
    },
    workflow::{End, Outcome},
};

/// Answers those entries with the error that `whom` names, and keeps the others in their order.
pub(super) fn give_up(batch: &mut Vec<Entry>, error: &StoreError, whom: impl Fn(&Entry) -> bool) {
    let (given_up, kept): (Vec<_>, Vec<_>) = batch.drain(..).partition(|entry| whom(entry));
    *batch = kept;
    for entry in given_up {
        entry.refuse(error.clone());
    }
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
        }
        (_, Applied::Start(Started::Joined { key, .. })) => hub.changed(*key),
        (Change::Start(new), Applied::Start(Started::New { .. })) if new.runs_here() => {}
        (_, Applied::Start(Started::New { .. }))
        | (_, Applied::Resume(Resumed::Now))
        | (_, Applied::Fork(Forked::New { .. })) => hub.work_arrived(),
        // Also when it is handed in again: the answer that would have woken the receiver was lost.
        (_, Applied::Send(Sent::New { to } | Sent::Duplicate { to })) => hub.changed(*to),
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
                    EffectOutcome::Sent(_) | EffectOutcome::Done => {}
                }
            }
        }
        (Change::Finish(finish), Applied::Finish(finished)) => wake_at_end(hub, finish, *finished),
        (Change::Progress(progress), Applied::Progress(Progressed::Existing)) => {
            hub.changed(progress.key);
            hub.work_arrived();
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
        (_, Applied::Cancel(Cancelled::Now(keys))) => {
            keys.iter().for_each(|key| hub.changed(*key));
            hub.work_arrived();
        }
        _ => {}
    }
}

fn wake_at_end(hub: &Hub, finish: &Finish, finished: Finished) {
    match (finished, &finish.end) {
        (Finished::Now, End::Succeeded(output)) => {
            hub.ended(finish.key, Outcome::Ok(output.clone()))
        }
        (Finished::Now, End::Failed { error, .. }) => {
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
