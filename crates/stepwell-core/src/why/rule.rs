//! The rule that says why, from what was read. It reads nothing itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Home, Release, Why};
use crate::{
    doing::Doing,
    store::{Executor, NameWaiting, QueueSeen, Workflow},
    workflow::State,
};

/// The facts about a workflow that were read, as far as its state asks for them.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) workflow: Workflow,
    /// Every executor that is live or has work.
    pub(crate) executors: Vec<Executor>,
    /// Of one that waits for an executor in a queue.
    pub(crate) queue: Option<QueueSeen>,
    /// Of one that runs.
    pub(crate) doing: Vec<Doing>,
    pub(crate) now: Timestamp,
}

/// Says why a workflow does not go on, or what it does.
///
/// Of several reasons the one is said that a person can do something about, or that lasts for longer: a
/// pause before a missing executor before a full queue.
pub(crate) fn explain(facts: Facts) -> Why {
    let Workflow { state, wake_at, .. } = facts.workflow;
    let reason = |facts: Facts| facts.workflow.reason.unwrap_or_default();
    match state {
        State::Delayed => Why::Delayed { until: wake_at },
        State::Enqueued => waits(&facts),
        State::Running => runs(facts),
        State::Parked => Why::Parked {
            reason: reason(facts),
            until: wake_at,
        },
        State::Stuck => Why::Stuck {
            reason: reason(facts),
        },
        State::Dead => Why::Dead {
            reason: reason(facts),
        },
        State::Succeeded | State::Failed | State::Cancelled => Why::Ended {
            state,
            reason: facts.workflow.reason,
        },
        State::Unknown => Why::Unknown {
            reason: reason(facts),
        },
    }
}

fn runs(facts: Facts) -> Why {
    let Some(id) = &facts.workflow.executor else {
        return Why::ChangesHands;
    };
    match facts.executors.iter().find(|it| it.id == *id) {
        None => Why::ChangesHands,
        Some(executor) if executor.is_live(facts.now) => Why::Running {
            on: Home::of(executor),
            doing: facts.doing,
        },
        Some(executor) => Why::ExecutorSilent {
            on: Home::of(executor),
        },
    }
}

fn waits(facts: &Facts) -> Why {
    if let Some(queue) = &facts.queue
        && let Some(paused) = &queue.paused
    {
        return Why::QueuePaused {
            queue: queue.name.clone(),
            paused: paused.clone(),
        };
    }
    let (live, silent): (Vec<_>, Vec<_>) = (facts.executors.iter())
        .filter(|it| it.ended_at.is_none())
        .partition(|it| it.is_live(facts.now));
    let name = &facts.workflow.name;
    let able = live.iter().filter(|it| may_register(it, name)).count();
    if live.is_empty() {
        return Why::NoExecutor {
            silent: silent.len(),
        };
    }
    if able == 0 {
        return Why::Unregistered {
            name: name.clone(),
            live: releases(&live),
        };
    }
    let held_up = facts.queue.as_ref().and_then(held_up);
    held_up.unwrap_or(Why::Waiting { executors: able })
}

/// Whether an executor registers a name. One that does not say what it registers may.
fn may_register(executor: &Executor, name: &str) -> bool {
    (executor.names.as_ref()).is_none_or(|names| names.iter().any(|known| known == name))
}

/// The limit of a queue that has no place left.
fn held_up(queue: &QueueSeen) -> Option<Why> {
    let name = || queue.name.clone();
    let limits = queue.limits;
    if let Some(concurrency) = limits.concurrency.filter(|max| queue.running >= *max) {
        return Some(Why::QueueFull {
            queue: name(),
            concurrency,
        });
    }
    let of_key = limits.key_concurrency;
    if let Some(key_concurrency) = of_key.filter(|max| queue.running_of_key >= *max) {
        return Some(Why::KeyFull {
            queue: name(),
            key: queue.key.clone(),
            key_concurrency,
        });
    }
    let reached = limits.rate.filter(|rate| queue.started >= rate.starts);
    reached.map(|rate| Why::RateReached {
        queue: name(),
        rate,
    })
}

fn releases(live: &[&Executor]) -> Vec<Release> {
    let mut releases: BTreeMap<(&str, &str), Release> = BTreeMap::new();
    for executor in live {
        let (application, version) = (executor.application.as_str(), executor.version.as_str());
        let release = releases
            .entry((application, version))
            .or_insert_with(|| Release {
                application: application.to_owned(),
                version: version.to_owned(),
                executors: 0,
                names: Vec::new(),
            });
        release.executors += 1;
        release
            .names
            .extend(executor.names.iter().flatten().cloned());
    }
    let mut releases: Vec<_> = releases.into_values().collect();
    for release in &mut releases {
        release.names.sort();
        release.names.dedup();
    }
    releases
}

/// The names of workflows that wait and that no live executor registers. None is named while an
/// executor lives that does not say what it registers.
pub(crate) fn unregistered(
    waiting: Vec<NameWaiting>,
    executors: &[Executor],
    now: Timestamp,
) -> Vec<NameWaiting> {
    let is_missing = |it: &NameWaiting| {
        let mut live = executors.iter().filter(|executor| executor.is_live(now));
        !live.any(|executor| may_register(executor, &it.name))
    };
    waiting.into_iter().filter(is_missing).collect()
}

#[cfg(test)]
mod tests;
