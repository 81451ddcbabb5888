//! What is cancelled, stuck or dead goes on.

use serde_json::json;
use stepwell_core::{
    State,
    store::{CancelCause, NewWorkflow, Progressed, RecoveryRules, Refusal, Resumed},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, here, limits, queued, with_delay},
};

/// A resumed workflow waits like a new one: without reason and end.
pub async fn a_cancelled_workflow_can_go_on(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.start("order-1").await;
    case.cancel("order-1").await;

    assert_eq!(case.resume("order-1").await, Resumed::Now);
    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Enqueued);
    assert_eq!((row.reason, row.ended_at), (None, None));
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// It goes on where it stopped.
pub async fn a_resumed_workflow_keeps_its_history(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;
    one.record(key, 0, "charge", json!(1)).await;
    case.cancel("order-1").await;
    case.resume("order-1").await;

    assert!(other.claim(1).await[0].has_history);
    let progressed = other.record(key, 1, "ship", json!(2)).await;
    assert_eq!(progressed, Progressed::Recorded(Vec::new()));
    assert_eq!(case.places(key).await, ["", "0", "1"]);
}

/// A person who knows better lets the same version try again.
pub async fn a_stuck_workflow_can_try_the_same_version_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.stick(key, "the code changed").await;

    assert_eq!(case.resume("order-1").await, Resumed::Now);
    assert_eq!(case.find("order-1").await.reason, None);
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// A dead workflow "can be resumed by hand", and does not die at once again.
pub async fn a_dead_workflow_can_go_on(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.register().await.start("order-1").await;
    case.let_leases_end().await;
    let worker = case.register().await;
    worker.take_over().await;
    let mut claim = worker.claim_of(1);
    claim.rules = RecoveryRules { recoveries_max: 0 };
    worker.claim_as(claim).await;
    assert_eq!(case.state("order-1").await, State::Dead);

    assert_eq!(case.resume("order-1").await, Resumed::Now);
    let row = case.find("order-1").await;
    assert_eq!((row.recoveries, row.reason), (0, None));
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// A deadline that has cancelled a workflow does not cancel it again when it goes on.
pub async fn a_workflow_can_go_on_after_its_deadline(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let deadline = Some(MINUTE);
    worker
        .new_workflow(NewWorkflow {
            deadline,
            ..here("order-1")
        })
        .await;
    case.advance(MINUTE * 2).await;
    case.cancel_for("order-1", CancelCause::Deadline).await;

    assert_eq!(case.resume("order-1").await, Resumed::Now);
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// [`Resumed::Not`]: it is on its way.
pub async fn what_is_on_its_way_needs_no_resumption(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.start("running").await;
    case.enqueue("enqueued").await;
    case.new_workflow(with_delay("delayed", MINUTE)).await;
    let before = case.find("running").await;

    assert_eq!(case.resume("running").await, Resumed::Not(State::Running));
    assert_eq!(case.resume("enqueued").await, Resumed::Not(State::Enqueued));
    assert_eq!(case.resume("delayed").await, Resumed::Not(State::Delayed));
    assert_eq!(case.find("running").await, before);
    assert!(worker.interrupts().await.is_empty());
}

/// [`Resumed::Not`]: it has a result.
pub async fn what_has_a_result_does_not_go_on(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (good, bad) = (worker.start("good").await, worker.start("bad").await);
    worker.succeed(good, json!(1)).await;
    worker.fail(bad, json!(1)).await;

    assert_eq!(case.resume("good").await, Resumed::Not(State::Succeeded));
    assert_eq!(case.resume("bad").await, Resumed::Not(State::Failed));
    assert!(worker.claim_ids().await.is_empty());
}

/// [`Resumed::NoSuchWorkflow`].
pub async fn what_does_not_exist_does_not_go_on(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert_eq!(case.resume("order-1").await, Resumed::NoSuchWorkflow);
}

/// A resumed workflow goes through its queue again, whose limit holds.
pub async fn a_resumed_workflow_waits_for_a_place_in_its_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = limits(Some(1), None);
    case.new_workflow(queued("order-1", "mail", one)).await;
    worker.claim(1).await;
    case.cancel("order-1").await;
    let second = case.new_workflow(queued("order-2", "mail", one)).await;
    worker.claim(1).await;

    case.resume("order-1").await;
    assert!(worker.claim_ids().await.is_empty());
    worker.succeed(second, json!(1)).await;
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// Trap 7: the task that ran before the cancellation writes nothing once another executor has it.
pub async fn the_run_before_the_cancellation_is_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;
    case.cancel("order-1").await;
    case.resume("order-1").await;

    let early = one.record(key, 0, "charge", json!(1)).await;
    let refusal = Refusal::NotRunning(State::Enqueued);
    assert_eq!(early, Progressed::Refused(refusal));
    other.claim(1).await;
    let late = one.record(key, 0, "charge", json!(1)).await;
    assert_eq!(late, Progressed::Refused(Refusal::NotMine));
    assert_eq!(case.places(key).await, [""]);
}

/// What was cancelled and goes on can be cancelled again.
pub async fn a_resumed_workflow_can_be_cancelled_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.cancel("order-1").await;
    case.resume("order-1").await;
    worker.claim(1).await;
    worker.interrupts().await;

    case.cancel("order-1").await;
    assert_eq!(case.state("order-1").await, State::Cancelled);
    assert_eq!(worker.interrupts().await, [key]);
}
