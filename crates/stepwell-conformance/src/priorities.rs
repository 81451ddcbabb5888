//! Priorities: who is first in line in a queue.

use std::time::Duration;

use stepwell_core::store::{NewWorkflow, PRIORITY_STEP};

use crate::{
    Backend,
    fixture::{Case, MINUTE, Worker, in_queue, limits, queued, with_name},
};

/// A workflow in the queue `mail`, of this priority.
fn of_priority(workflow_id: &str, priority: i32) -> NewWorkflow {
    in_queue(workflow_id, limits(None, None), |queue| {
        queue.priority = priority;
    })
}

/// The ids in the order in which they are handed out one by one.
async fn order(worker: &Worker) -> Vec<String> {
    let mut ids = Vec::new();
    while let [next] = &worker.claim(1).await[..] {
        ids.push(next.id.to_string());
    }
    ids
}

/// Whoever is more urgent is first.
pub async fn a_higher_priority_comes_first(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for (id, priority) in [("low", -3), ("plain", 0), ("high", 7), ("higher", 8)] {
        case.new_workflow(of_priority(id, priority)).await;
    }

    assert_eq!(order(&worker).await, ["higher", "high", "plain", "low"]);
}

/// Among equals the first is first.
pub async fn equal_priorities_keep_the_order(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for id in ["a", "b", "c"] {
        case.new_workflow(of_priority(id, 5)).await;
    }

    assert_eq!(order(&worker).await, ["a", "b", "c"]);
}

/// A point of priority is worth [`PRIORITY_STEP`] of waiting: nothing waits for ever.
pub async fn waiting_counts_like_priority(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(of_priority("patient", 0)).await;
    case.advance(PRIORITY_STEP * 2 + Duration::from_secs(30))
        .await;
    case.new_workflow(of_priority("urgent", 2)).await;
    case.new_workflow(of_priority("most urgent", 3)).await;

    assert_eq!(order(&worker).await, ["most urgent", "patient", "urgent"]);
}

/// One claim takes the most urgent ones, not the oldest.
pub async fn a_claim_takes_the_most_urgent(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for (id, priority) in [("a", 0), ("b", 9), ("c", 0), ("d", 9)] {
        case.new_workflow(of_priority(id, priority)).await;
    }

    let mut ids: Vec<_> = worker.claim(2).await.into_iter().map(|it| it.id).collect();
    ids.sort();
    assert_eq!([ids[0].as_str(), ids[1].as_str()], ["b", "d"]);
}

/// Priority counts among workflows of all names in the queue.
pub async fn a_priority_counts_across_names(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(of_priority("plain", 0)).await;
    let mut refund = of_priority("refund-1", 4);
    refund.name = with_name("refund-1", "refund").name;
    case.new_workflow(refund).await;

    let mut claim = worker.claim_of(1);
    claim.names.push("refund".to_owned());
    assert_eq!(worker.claim_as(claim).await[0].id.as_str(), "refund-1");
}

/// What was delayed stands in line from the moment on at which it may run.
pub async fn a_delay_counts_from_its_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let mut delayed = queued("delayed", "mail", limits(None, None));
    delayed.delay = Some(MINUTE);
    case.new_workflow(delayed).await;
    case.advance(MINUTE / 2).await;
    case.new_workflow(of_priority("earlier", 0)).await;
    case.advance(MINUTE).await;

    assert_eq!(order(&worker).await, ["earlier", "delayed"]);
}

/// What is handed back is where it was, not at the end.
pub async fn work_that_was_handed_back_keeps_its_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = case.register().await;
    case.new_workflow(of_priority("first", 0)).await;
    one.claim(1).await;
    case.advance(MINUTE).await;
    case.new_workflow(of_priority("second", 0)).await;
    one.retire().await;

    let other = case.register().await;
    assert_eq!(order(&other).await, ["first", "second"]);
}
