//! What a sequence is made of: small numbers, so that names meet often and shrinking is quick.
//!
//! A step says nothing of keys, incarnations or instants; these are found when it is played (see
//! `resolve.rs`), so that a sequence stays meaningful when steps before are taken out.

use proptest::{collection::vec, option, prelude::*};

/// One call of a store.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Registers a new incarnation in a slot.
    Register {
        slot: u8,
        application: u8,
        version: u8,
        lease: u8,
    },
    /// Commits a batch: of the executor in a slot, or of a client.
    Commit { by: Option<u8>, changes: Vec<Draft> },
    /// Commits the last batch again, as after a lost answer.
    Repeat,
    /// Claims.
    Claim {
        slot: u8,
        names: u8,
        limit: u8,
        recoveries_max: u8,
    },
    /// Moves the clock by so many half minutes.
    Advance(u8),
    /// Takes over.
    TakeOver { slot: u8, most: u8 },
    /// Renews a lease.
    Renew(u8),
    /// Retires.
    Retire(u8),
    /// Registers the same incarnation again.
    RegisterAgain(u8),
    /// Takes interrupts.
    Interrupts(u8),
}

/// A change, as far as it is known before it is played.
#[derive(Debug, Clone)]
pub(super) enum Draft {
    Start(Plan),
    Progress {
        on: u8,
        places: Vec<u8>,
        effects: Vec<Deed>,
    },
    Finish {
        on: u8,
        how: u8,
        value: u8,
        alert: Option<Plan>,
    },
    Park {
        on: u8,
        until: Option<u8>,
        waits: Vec<(u8, u8, u8)>,
    },
    Send(Letter),
    Cancel {
        id: u8,
        cause: u8,
    },
    Resume {
        id: u8,
    },
    Fork {
        source: u8,
        id: u8,
        from: u8,
    },
    Acknowledge {
        id: u8,
    },
    Delete {
        id: u8,
    },
    Limit {
        queue: u8,
        limits: u8,
    },
    /// A client takes back what was set by hand.
    Declare {
        queue: u8,
        limits: u8,
    },
    PauseQueue {
        queue: u8,
        by: u8,
    },
    ResumeQueue {
        queue: u8,
    },
    Define {
        schedule: u8,
        spec: u8,
        queue: Option<u8>,
        by_code: bool,
        next: Option<u8>,
    },
    PauseSchedule {
        schedule: u8,
        by: u8,
    },
    ResumeSchedule {
        schedule: u8,
        next: Option<u8>,
    },
    RemoveSchedule {
        schedule: u8,
    },
    /// A client removes it.
    Withdraw {
        schedule: u8,
    },
    Tick {
        schedule: u8,
        in_time: bool,
        starts: Vec<Plan>,
        next: Option<u8>,
    },
}

/// A workflow to start.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) id: u8,
    pub(super) name: u8,
    pub(super) input: u8,
    /// 0: here, 1: anywhere, then: the queues.
    pub(super) launch: u8,
    pub(super) limits: u8,
    pub(super) queue_key: u8,
    pub(super) priority: i8,
    pub(super) delay: Option<u8>,
    pub(super) deadline: Option<u8>,
    pub(super) detached: bool,
    pub(super) attribute: Option<u8>,
    pub(super) unique: Option<(u8, u8)>,
    pub(super) message: Option<u8>,
}

/// An effect.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    SetEvent { name: u8, value: u8 },
    Send(Letter),
    Receive { topic: u8, number: u8 },
    Append { stream: u8, value: u8 },
    Start(Plan),
    SetAttribute { name: u8, value: u8 },
    Cancel { id: u8 },
}

/// A message.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) to: u8,
    pub(super) topic: u8,
    pub(super) key: Option<u8>,
    pub(super) value: u8,
}

/// How many ids, queues, slots there are.
pub(super) const IDS: u8 = 9;
pub(super) const QUEUES: u8 = 2;
const SLOTS: u8 = 3;

/// Sequences of nearly so many steps. Any step can be left out when one is made smaller.
pub(super) fn sequences(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    let first = vec(register(), 2);
    let rest = vec(option::weighted(0.97, step()), steps);
    (first, rest).prop_map(|(mut steps, rest)| {
        steps.extend(rest.into_iter().flatten());
        steps
    })
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..SLOTS;
    prop_oneof![
        2 => register(),
        14 => (option::weighted(0.7, slot()), vec(draft(), 1..=6))
            .prop_map(|(by, changes)| Step::Commit { by, changes }),
        // Alone: where in its batch a workflow is parked is the store's choice.
        3 => (0..SLOTS, park()).prop_map(|(slot, park)| Step::Commit {
            by: Some(slot),
            changes: vec![park],
        }),
        // Alone: of what is made and deleted in one batch nobody learns the key.
        1 => (0..IDS).prop_map(|id| Step::Commit {
            by: None,
            changes: vec![Draft::Delete { id }],
        }),
        2 => Just(Step::Repeat),
        8 => (slot(), 1..4u8, prop_oneof![4 => Just(9), 3 => 0..4u8], 0..5u8).prop_map(
            |(slot, names, limit, recoveries_max)| Step::Claim { slot, names, limit, recoveries_max }
        ),
        4 => (1..9u8).prop_map(Step::Advance),
        3 => (slot(), prop_oneof![2 => Just(9), 1 => 0..3u8])
            .prop_map(|(slot, most)| Step::TakeOver { slot, most }),
        2 => slot().prop_map(Step::Renew),
        1 => slot().prop_map(Step::Retire),
        1 => slot().prop_map(Step::RegisterAgain),
        2 => slot().prop_map(Step::Interrupts),
    ]
}

fn register() -> impl Strategy<Value = Step> {
    let application = prop_oneof![5 => Just(0u8), 1 => Just(1)];
    (0..SLOTS, application, 0..3u8, 1..8u8).prop_map(|(slot, application, version, lease)| {
        Step::Register {
            slot,
            application,
            version,
            lease,
        }
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let on = || any::<u8>();
    let effects = prop_oneof![2 => Just(Vec::new()).boxed(), 3 => vec(deed(), 1..4).boxed()];
    prop_oneof![
        10 => plan().prop_map(Draft::Start),
        10 => (on(), vec(0..7u8, 1..3), effects)
            .prop_map(|(on, places, effects)| Draft::Progress { on, places, effects }),
        4 => (on(), 0..4u8, 0..3u8, option::weighted(0.3, plan())).prop_map(
            |(on, how, value, alert)| Draft::Finish { on, how, value, alert },
        ),
        3 => letter().prop_map(Draft::Send),
        3 => (0..IDS, 0..4u8).prop_map(|(id, cause)| Draft::Cancel { id, cause }),
        3 => (0..IDS).prop_map(|id| Draft::Resume { id }),
        2 => (0..IDS, 0..IDS, 0..8u8)
            .prop_map(|(source, id, from)| Draft::Fork { source, id, from }),
        1 => (0..IDS).prop_map(|id| Draft::Acknowledge { id }),
        2 => steering(),
        2 => scheduling(),
    ]
}

fn park() -> impl Strategy<Value = Draft> {
    let wait = (0..3u8, any::<u8>(), 0..2u8);
    (any::<u8>(), option::of(0..6u8), vec(wait, 0..3)).prop_map(|(on, until, waits)| Draft::Park {
        on,
        until,
        waits,
    })
}

fn steering() -> impl Strategy<Value = Draft> {
    prop_oneof![
        2 => (0..QUEUES, 0..8u8).prop_map(|(queue, limits)| Draft::Limit { queue, limits }),
        2 => (0..QUEUES, 0..8u8).prop_map(|(queue, limits)| Draft::Declare { queue, limits }),
        1 => (0..QUEUES, 0..2u8).prop_map(|(queue, by)| Draft::PauseQueue { queue, by }),
        2 => (0..QUEUES).prop_map(|queue| Draft::ResumeQueue { queue }),
    ]
}

fn scheduling() -> impl Strategy<Value = Draft> {
    let next = || option::weighted(0.8, 0..6u8);
    let which = || 0..2u8;
    prop_oneof![
        3 => (which(), 0..3u8, option::of(0..QUEUES), any::<bool>(), next()).prop_map(
            |(schedule, spec, queue, by_code, next)| Draft::Define {
                schedule, spec, queue, by_code, next
            }
        ),
        1 => (which(), 0..2u8).prop_map(|(schedule, by)| Draft::PauseSchedule { schedule, by }),
        1 => (which(), next())
            .prop_map(|(schedule, next)| Draft::ResumeSchedule { schedule, next }),
        1 => which().prop_map(|schedule| Draft::RemoveSchedule { schedule }),
        1 => which().prop_map(|schedule| Draft::Withdraw { schedule }),
        4 => (which(), prop::bool::weighted(0.8), vec(plan(), 0..3), next()).prop_map(
            |(schedule, in_time, starts, next)| Draft::Tick { schedule, in_time, starts, next }
        ),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let what = (0..IDS, 0..2u8, prop_oneof![5 => Just(0u8), 1 => Just(1)]);
    let where_to = (0..4u8, 0..8u8, 0..3u8, -2..3i8);
    let when = (
        option::weighted(0.2, 0..6u8),
        option::weighted(0.2, 1..9u8),
        any::<bool>(),
    );
    let extras = (
        option::weighted(0.2, 0..2u8),
        option::weighted(0.3, (0..2u8, 0..8u8)),
        option::weighted(0.2, 0..2u8),
    );
    (what, where_to, when, extras).prop_map(|(what, where_to, when, extras)| Plan {
        id: what.0,
        name: what.1,
        input: what.2,
        launch: where_to.0,
        limits: where_to.1,
        queue_key: where_to.2,
        priority: where_to.3,
        delay: when.0,
        deadline: when.1,
        detached: when.2,
        attribute: extras.0,
        unique: extras.1,
        message: extras.2,
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0..2u8, 0..3u8).prop_map(|(name, value)| Deed::SetEvent { name, value }),
        letter().prop_map(Deed::Send),
        (0..2u8, 0..3u8).prop_map(|(topic, number)| Deed::Receive { topic, number }),
        (0..2u8, 0..3u8).prop_map(|(stream, value)| Deed::Append { stream, value }),
        plan().prop_map(Deed::Start),
        (0..2u8, 0..2u8).prop_map(|(name, value)| Deed::SetAttribute { name, value }),
        (0..IDS).prop_map(|id| Deed::Cancel { id }),
    ]
}

fn letter() -> impl Strategy<Value = Letter> {
    (0..IDS, 0..2u8, option::of(0..2u8), 0..3u8).prop_map(|(to, topic, key, value)| Letter {
        to,
        topic,
        key,
        value,
    })
}
