//! From a drawn workflow or message to one for a store.

use serde_json::json;
use stepwell_core::{
    Unique,
    store::{Launch, NewMessage, NewWorkflow, QueueLimits, QueueUse, Rate, StartMessage},
};

use super::{
    resolve::{NAMES, TOPICS, half_minutes, queue_name, value, workflow_id},
    steps::{Letter, Plan},
};
use crate::fixture::payload;

pub(super) fn start(plan: &Plan) -> NewWorkflow {
    let name = NAMES[usize::from(plan.name) % NAMES.len()];
    let input = payload(json!([plan.input]));
    NewWorkflow {
        launch: match plan.launch {
            0 => Launch::Here,
            1 => Launch::Anywhere,
            queue => Launch::Queue(QueueUse {
                name: queue_name(queue),
                limits: limits(plan.limits),
                key: ["", "ann", "bob"][usize::from(plan.queue_key) % 3].to_owned(),
                priority: i32::from(plan.priority),
            }),
        },
        delay: plan.delay.map(half_minutes),
        deadline: plan.deadline.map(half_minutes),
        attributes: (plan.attribute.iter())
            .map(|value| ("a0".to_owned(), value.to_string()))
            .collect(),
        origin: plan.attribute.map(|_| "a test".to_owned()),
        unique: plan.unique.map(|(key, rule)| Box::new(unique(key, rule))),
        message: plan.message.map(|key| {
            Box::new(StartMessage {
                topic: TOPICS[0].to_owned(),
                payload: value(key),
                key: format!("m{key}"),
            })
        }),
        ..NewWorkflow::new(workflow_id(plan.id), name, input)
    }
}

fn unique(key: u8, rule: u8) -> Unique {
    let key = format!("u{key}");
    match rule {
        0 => Unique::new(key),
        1 => Unique::new(key).while_waiting(),
        2 => Unique::new(key).within(half_minutes(4)),
        3 => Unique::new(key).reject(),
        4 => Unique::new(key).while_waiting().reject(),
        5 => Unique::new(key).within(half_minutes(4)).reject(),
        6 => Unique::debounce(key),
        _ => Unique::debounce(key).at_most(half_minutes(6)),
    }
}

/// One period for all rates: what began before a queue had its rate is not counted by it.
pub(super) fn limits(number: u8) -> QueueLimits {
    let rate = |starts| {
        Some(Rate {
            starts,
            period_ms: 90_000,
        })
    };
    let mut limits = QueueLimits::default();
    match number {
        0 => limits.concurrency = Some(1),
        1 => limits.executor_concurrency = Some(1),
        2 => limits.key_concurrency = Some(1),
        3 => limits.rate = rate(2),
        4 => limits.waiting_max = Some(1),
        5 => (limits.waiting_max, limits.concurrency) = (Some(2), Some(2)),
        6 => (limits.rate, limits.key_concurrency) = (rate(1), Some(2)),
        _ => {}
    }
    limits
}

pub(super) fn message(letter: &Letter) -> NewMessage {
    NewMessage {
        to: workflow_id(letter.to),
        topic: TOPICS[usize::from(letter.topic) % 2].to_owned(),
        payload: value(letter.value),
        key: letter.key.map(|key| format!("m{key}")),
    }
}
