//! A cancellation: from outside, at any time, children with it.

use futures_util::future::join;
use serde_json::json;
use stepwell_core::{
    State, WorkflowKey,
    store::{
        Applied, Cancel, CancelCause, Cancelled, Change, Finished, NewWorkflow, Owner, Progress,
        Progressed, Refusal,
    },
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, child_of, expect_about, id, step, with_delay},
};

/// The keys that a cancellation stopped, in the order of their starts.
fn now(cancelled: Cancelled) -> Vec<WorkflowKey> {
    match cancelled {
        Cancelled::Now(mut keys) => {
            keys.sort();
            keys
        }
        other => panic!("a cancellation came to {other:?}"),
    }
}

/// A running workflow ends, and the row says why and when.
pub async fn a_running_workflow_is_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert_eq!(case.cancel("order-1").await, Cancelled::Now(vec![key]));
    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Cancelled);
    assert_eq!(row.reason.as_deref(), Some("cancelled on request"));
    expect_about(row.ended_at.expect("it has ended"), case.now());
}

/// What waits for an executor never gets to one.
pub async fn a_cancelled_workflow_is_not_claimed(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.enqueue("order-1").await;

    assert_eq!(case.cancel("order-1").await, Cancelled::Now(vec![key]));
    assert!(worker.claim_ids().await.is_empty());
}

/// What waits for its time never gets to it.
pub async fn a_cancelled_delay_never_ends(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.new_workflow(with_delay("order-1", MINUTE)).await;

    assert_eq!(case.cancel("order-1").await, Cancelled::Now(vec![key]));
    case.advance(MINUTE * 2).await;
    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Cancelled);
}

/// A result that is there stays.
pub async fn an_end_is_not_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.succeed(key, json!(1)).await;
    let before = case.find("order-1").await;

    let cancelled = case.cancel("order-1").await;
    assert_eq!(cancelled, Cancelled::Already(State::Succeeded));
    assert_eq!(case.find("order-1").await, before);
}

/// What is stuck has not ended, and no version goes on with it once it is cancelled.
pub async fn a_stuck_workflow_is_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.stick(key, "the code changed").await;

    let cancelled = case.cancel("order-1").await;
    assert_eq!(cancelled, Cancelled::Now(vec![key]));
    let other = case.register_version("2").await;
    assert!(other.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Cancelled);
}

/// [`Cancelled::NoSuchWorkflow`].
pub async fn what_does_not_exist_is_not_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert_eq!(case.cancel("order-1").await, Cancelled::NoSuchWorkflow);
}

/// The row keeps the cause.
pub async fn a_lost_race_is_the_reason(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;

    now(case.cancel_for("order-1", CancelCause::LostRace).await);
    let reason = case.find("order-1").await.reason;
    assert_eq!(reason.as_deref(), Some(CancelCause::LostRace.as_str()));
}

/// "The one, and its attached descendants."
pub async fn children_and_their_children_are_cancelled_with_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;
    let grandchild = worker.new_workflow(child_of(child, "grandchild")).await;
    worker.start("bystander").await;

    assert_eq!(
        now(case.cancel("order-1").await),
        [parent, child, grandchild]
    );
    assert_eq!(case.state("grandchild").await, State::Cancelled);
    assert_eq!(case.state("bystander").await, State::Running);
}

/// "A detached child is not cancelled with its parent", nor are that child's own children.
pub async fn a_detached_child_goes_on(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let owner = Owner {
        key: parent,
        detached: true,
    };
    let detached = NewWorkflow {
        parent: Some(owner),
        ..child_of(parent, "child")
    };
    let child = worker.new_workflow(detached).await;
    worker.new_workflow(child_of(child, "grandchild")).await;

    assert_eq!(now(case.cancel("order-1").await), [parent]);
    assert_eq!(case.state("child").await, State::Running);
    assert_eq!(case.state("grandchild").await, State::Running);
}

/// A child that has its result keeps it.
pub async fn a_child_that_has_ended_keeps_its_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;
    worker.succeed(child, json!(1)).await;

    assert_eq!(now(case.cancel("order-1").await), [parent]);
    assert_eq!(case.state("child").await, State::Succeeded);
}

/// A child's cancellation is not its parent's.
pub async fn a_parent_goes_on_without_its_child(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;

    assert_eq!(now(case.cancel("child").await), [child]);
    assert_eq!(case.state("order-1").await, State::Running);
}

/// Trap 8: a record that was in flight before the cancellation stays readable.
pub async fn a_record_before_the_cancellation_stays(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;
    case.cancel("order-1").await;

    assert_eq!(case.state("order-1").await, State::Cancelled);
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// Trap 8: a record that comes after the cancellation is refused.
pub async fn a_record_after_the_cancellation_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.cancel("order-1").await;

    let progressed = worker.record(key, 0, "charge", json!(1)).await;
    let refusal = Refusal::NotRunning(State::Cancelled);
    assert_eq!(progressed, Progressed::Refused(refusal));
    assert_eq!(case.places(key).await, [""]);
}

/// Trap 8 inside one batch: the order of the changes decides.
pub async fn a_cancellation_in_a_batch_comes_in_its_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let record = |number| {
        let records = vec![step(number, "operation", json!(number))];
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        })
    };
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Request,
    };

    let applied = worker
        .commit(vec![record(0), Change::Cancel(cancel), record(1)])
        .await;
    assert!(matches!(
        applied[0],
        Applied::Progress(Progressed::Recorded(_))
    ));
    assert!(matches!(applied[1], Applied::Cancel(Cancelled::Now(_))));
    assert!(matches!(
        applied[2],
        Applied::Progress(Progressed::Refused(_))
    ));
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// A cancellation and an end at the same time: one of them wins, and the other one hears of it.
pub async fn a_cancellation_and_an_end_at_once_have_one_winner(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    for number in 0..10 {
        let workflow_id = format!("order-{number}");
        let key = worker.start(&workflow_id).await;
        let (cancelled, finished) =
            join(case.cancel(&workflow_id), worker.succeed(key, json!(1))).await;
        match case.state(&workflow_id).await {
            State::Cancelled => {
                assert_eq!(finished, Finished::Already(State::Cancelled));
                assert_eq!(case.places(key).await, [""]);
            }
            state => {
                assert_eq!((state, finished), (State::Succeeded, Finished::Now));
                assert_eq!(cancelled, Cancelled::Already(State::Succeeded));
            }
        }
    }
}

/// "Its attached descendants": also below a child that has ended.
pub async fn a_grandchild_of_an_ended_child_is_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;
    let grandchild = worker.new_workflow(child_of(child, "grandchild")).await;
    worker.succeed(child, json!(1)).await;

    assert_eq!(now(case.cancel("order-1").await), [parent, grandchild]);
    assert_eq!(case.state("grandchild").await, State::Cancelled);
}
