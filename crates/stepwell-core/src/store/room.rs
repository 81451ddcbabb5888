//! Whether queues let more in.

use std::collections::HashMap;

use super::{Applied, EffectOutcome, Launch, NewWorkflow, Progressed, QueueUse, Started};

/// How full the bounded queues are that a transaction has met. Each is counted once: the count reads
/// as many entries of an index as may wait. Whoever counts holds off the others.
#[derive(Debug, Default)]
pub struct Room(HashMap<String, Option<Bound>>);

/// How much of a queue may wait, and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// How many may wait.
    pub waiting_max: u32,
    /// How many do.
    pub waiting: u32,
}

impl Room {
    /// The queue that must have room for a start: none for a child, whose parent may hold the place
    /// that the queue waits for, and for what is delayed, which does not wait there yet.
    #[must_use]
    pub fn needed(new: &NewWorkflow) -> Option<&QueueUse> {
        match &new.launch {
            Launch::Queue(queue) if new.parent.is_none() && waits_at_once(new) => Some(queue),
            _ => None,
        }
    }

    /// Whether what was counted is still right after a change of the same transaction. Whoever
    /// cancels, resumes, forks or takes back changes how many wait, and is not noted here; a start
    /// that found itself counted a queue by limits that may never become the queue's.
    #[must_use]
    pub fn holds_after(applied: &Applied) -> bool {
        match applied {
            Applied::Start(Started::New { replaced, .. }) => replaced.is_none(),
            Applied::Start(started) => {
                !matches!(started, Started::Existing { .. } | Started::Conflict { .. })
            }
            Applied::Progress(Progressed::Recorded(outcomes)) => {
                let cancels =
                    |outcome: &EffectOutcome| matches!(outcome, EffectOutcome::Cancelled(_));
                !outcomes.iter().any(cancels)
            }
            Applied::Progress(progressed) => !matches!(progressed, Progressed::Conflict { .. }),
            Applied::Finish(_)
            | Applied::Park(_)
            | Applied::Send(_)
            | Applied::Acknowledge(_)
            | Applied::Edit(_)
            | Applied::Delete(_) => true,
            Applied::Cancel(_)
            | Applied::Resume(_)
            | Applied::Fork(_)
            | Applied::Schedule(_)
            | Applied::Queue(_) => false,
        }
    }

    /// Whether a queue was counted.
    #[must_use]
    pub fn knows(&self, queue: &str) -> bool {
        self.0.contains_key(queue)
    }

    /// Notes how full a queue is; none if it has no bound.
    pub fn learn(&mut self, queue: &str, bound: Option<Bound>) {
        self.0.insert(queue.to_owned(), bound);
    }

    /// How many may wait in a queue, if that many do.
    #[must_use]
    pub fn refusal(&self, queue: &str) -> Option<u32> {
        let bound = self.0.get(queue)?.as_ref()?;
        (bound.waiting >= bound.waiting_max).then_some(bound.waiting_max)
    }

    /// Counts what the transaction itself puts into queues.
    pub fn note(&mut self, new: &NewWorkflow) {
        if let Launch::Queue(queue) = &new.launch
            && waits_at_once(new)
            && let Some(Some(bound)) = self.0.get_mut(&queue.name)
        {
            bound.waiting = bound.waiting.saturating_add(1);
        }
    }
}

fn waits_at_once(new: &NewWorkflow) -> bool {
    new.delay.is_none_or(|delay| delay.is_zero())
}
