//! How heavy a change is: what it brings into a batch, in bytes.
//!
//! Pure, and only about: what counts is that a batch is bounded whatever its payloads are.

use crate::{
    store::{Change, Effect, NewMessage, NewWorkflow, Progress, ScheduleChange},
    workflow::End,
};

/// What a change brings beside its payloads: keys, names, times.
const BARE: usize = 256;

/// About how many bytes a change is.
pub(super) fn bytes(change: &Change) -> usize {
    BARE + match change {
        Change::Start(new) => start(new),
        Change::Progress(it) => progress(it),
        Change::Finish(finish) => {
            let end = match &finish.end {
                End::Succeeded(payload)
                | End::Failed { error: payload, .. }
                | End::Declined { error: payload, .. } => payload.as_str().len(),
                End::Stuck { reason } => reason.len(),
            };
            end + finish.alerts.iter().map(start).sum::<usize>()
        }
        Change::Park(park) => park.waits.len() * BARE,
        Change::Send(it) => message(it),
        Change::Fork(fork) => {
            fork.input.as_ref().map_or(0, |input| input.as_str().len())
                + attributes(&fork.attributes)
        }
        Change::Acknowledge(it) => it.note.len(),
        Change::Schedule(ScheduleChange::Tick(tick)) => tick.starts.iter().map(start).sum(),
        Change::Schedule(ScheduleChange::Define(new)) => new.arguments.as_str().len(),
        _ => 0,
    }
}

fn start(new: &NewWorkflow) -> usize {
    let message = new.message.as_ref();
    BARE + new.input.as_str().len()
        + attributes(&new.attributes)
        + message.map_or(0, |message| message.payload.as_str().len())
}

fn progress(progress: &Progress) -> usize {
    let records = progress.records.iter();
    let records = records.map(|record| BARE + record.outcome.payload().as_str().len());
    records.sum::<usize>() + progress.effects.iter().map(effect).sum::<usize>()
}

fn effect(effect: &Effect) -> usize {
    BARE + match effect {
        Effect::SetEvent { value, .. } | Effect::Append { value, .. } => value.as_str().len(),
        Effect::Send(it) => message(it),
        Effect::Start(new) => start(new),
        Effect::SetAttribute { name, value } => name.len() + value.len(),
        Effect::Receive { .. } | Effect::Cancel(_) => 0,
    }
}

fn message(message: &NewMessage) -> usize {
    message.topic.len() + message.payload.as_str().len()
}

fn attributes(attributes: &[(String, String)]) -> usize {
    let bytes = attributes
        .iter()
        .map(|(name, value)| name.len() + value.len());
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Payload, WorkflowId};

    #[test]
    fn a_change_weighs_what_its_payloads_weigh() {
        let payload = Payload::from_stored(format!("\"{}\"", "x".repeat(10_000)));
        let mut new = NewWorkflow::new(WorkflowId::generate(), "w", payload.clone());
        let alone = bytes(&Change::Start(new.clone()));
        assert!((10_000..11_000).contains(&alone), "{alone}");
        new.attributes.push(("a".repeat(100), "b".repeat(100)));
        assert_eq!(bytes(&Change::Start(new.clone())), alone + 200);
        let effects = vec![
            Effect::Start(new),
            Effect::SetEvent {
                name: "e".into(),
                value: payload,
            },
        ];
        let key = crate::WorkflowKey(1);
        let records = Vec::new();
        let progress = Progress {
            key,
            records,
            effects,
        };
        assert!(bytes(&Change::Progress(progress)) > 20_000);
    }
}
