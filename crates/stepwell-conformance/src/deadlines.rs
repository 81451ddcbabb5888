//! Deadlines: durable instants at which a workflow is cancelled.

use serde_json::json;
use stepwell_core::{
    End, State,
    store::{Applied, Cancel, CancelCause, Cancelled, Change, Finished, Launch, NewWorkflow},
};

use crate::{
    Backend,
    fixture::{Case, DAY, MINUTE, child_of, expect_about, here, id, payload, with_delay, workflow},
};

fn due_in_a_minute(new: NewWorkflow) -> NewWorkflow {
    NewWorkflow {
        deadline: Some(MINUTE),
        ..new
    }
}

/// "When it is cancelled, counted from its start."
pub async fn a_deadline_counts_from_the_start(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(due_in_a_minute(workflow("order-1")))
        .await;
    case.enqueue("order-2").await;

    let row = case.find("order-1").await;
    let deadline = row.deadline_at.expect("it has a deadline");
    expect_about(deadline, row.created_at + MINUTE);
    assert_eq!(case.find("order-2").await.deadline_at, None);
}

/// "The store refuses it while the deadline is ahead."
pub async fn a_deadline_ahead_cancels_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let deadline = Some(DAY);
    worker
        .new_workflow(NewWorkflow {
            deadline,
            ..here("order-1")
        })
        .await;
    case.advance(MINUTE).await;

    let cancelled = case.cancel_for("order-1", CancelCause::Deadline).await;
    assert_eq!(cancelled, Cancelled::NotDue);
    assert_eq!(case.state("order-1").await, State::Running);
}

/// Without a deadline none passes.
pub async fn a_workflow_without_a_deadline_is_never_due(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-1").await;
    case.advance(DAY).await;

    let cancelled = case.cancel_for("order-1", CancelCause::Deadline).await;
    assert_eq!(cancelled, Cancelled::NotDue);
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// At the deadline's instant it is no longer ahead.
pub async fn a_deadline_cancels_at_its_instant(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.new_workflow(due_in_a_minute(here("order-1"))).await;
    case.advance(MINUTE).await;

    let cancelled = case.cancel_for("order-1", CancelCause::Deadline).await;
    assert_eq!(cancelled, Cancelled::Now(vec![key]));
    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Cancelled);
    assert_eq!(row.reason.as_deref(), Some("its deadline passed"));
}

/// A person need not wait for the deadline.
pub async fn a_request_cancels_before_the_deadline(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case
        .new_workflow(due_in_a_minute(workflow("order-1")))
        .await;

    assert_eq!(case.cancel("order-1").await, Cancelled::Now(vec![key]));
    let reason = case.find("order-1").await.reason;
    assert_eq!(reason.as_deref(), Some("cancelled on request"));
}

/// A deadline cancels children as any cancellation does.
pub async fn a_deadline_cancels_children_too(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.new_workflow(due_in_a_minute(here("order-1"))).await;
    worker.new_workflow(child_of(parent, "child")).await;
    case.advance(MINUTE).await;
    case.cancel_for("order-1", CancelCause::Deadline).await;

    assert_eq!(case.state("child").await, State::Cancelled);
}

/// Trap 9: a result before the deadline's cancellation stays.
pub async fn a_result_before_the_deadline_wins(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.new_workflow(due_in_a_minute(here("order-1"))).await;
    case.advance(MINUTE).await;
    let finish = worker.finish_of(key, End::Succeeded(payload(json!(1))));
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Deadline,
    };

    let applied = worker
        .commit(vec![Change::Finish(finish), Change::Cancel(cancel)])
        .await;
    assert!(
        matches!(applied[0], Applied::Finish(Finished::Now)),
        "{applied:?}"
    );
    let already = Cancelled::Already(State::Succeeded);
    assert!(
        matches!(&applied[1], Applied::Cancel(it) if *it == already),
        "{applied:?}"
    );
    assert_eq!(case.places(key).await, ["", "~"]);
}

/// Trap 9: a result after the deadline's cancellation comes too late.
pub async fn a_deadline_before_the_result_wins(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.new_workflow(due_in_a_minute(here("order-1"))).await;
    case.advance(MINUTE).await;
    let finish = worker.finish_of(key, End::Succeeded(payload(json!(1))));
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Deadline,
    };

    let applied = worker
        .commit(vec![Change::Cancel(cancel), Change::Finish(finish)])
        .await;
    assert!(
        matches!(applied[0], Applied::Cancel(Cancelled::Now(_))),
        "{applied:?}"
    );
    let already = Finished::Already(State::Cancelled);
    assert!(
        matches!(applied[1], Applied::Finish(it) if it == already),
        "{applied:?}"
    );
    assert_eq!(case.places(key).await, [""]);
}

/// "A claimed workflow … whose deadline passed becomes cancelled."
pub async fn a_claim_cancels_what_is_past_its_deadline(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(due_in_a_minute(workflow("order-1")))
        .await;
    case.enqueue("order-2").await;
    case.advance(MINUTE * 2).await;

    assert_eq!(worker.claim_ids().await, ["order-2"]);
    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Cancelled);
    assert_eq!(row.reason.as_deref(), Some("its deadline passed"));
    assert!(row.ended_at.is_some());
}

/// Children are cancelled with their parent, whoever finds that its deadline passed.
pub async fn a_claim_cancels_the_children_of_what_is_past_its_deadline(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = case.register().await;
    let parent = one.new_workflow(due_in_a_minute(here("order-1"))).await;
    let launch = Launch::Anywhere;
    let child = NewWorkflow {
        launch,
        name: "refund".to_owned(),
        ..child_of(parent, "child")
    };
    one.new_workflow(child).await;
    one.retire().await;
    case.advance(MINUTE * 2).await;

    assert!(case.register().await.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Cancelled);
    assert_eq!(case.state("child").await, State::Cancelled);
}

/// A deadline outlives the executor: who takes over inherits it.
pub async fn a_deadline_survives_a_take_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = case.register().await;
    let deadline = Some(DAY);
    one.new_workflow(NewWorkflow {
        deadline,
        ..here("order-1")
    })
    .await;
    let before = case.find("order-1").await.deadline_at;
    one.retire().await;

    let claimed = case.register().await.claim(1).await;
    assert_eq!(claimed[0].deadline_at, before);
}

/// What a claim cancels on its way is not handed out by the same claim.
pub async fn a_claim_does_not_hand_out_what_it_has_just_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = case.register().await;
    let parent = one.new_workflow(due_in_a_minute(here("order-1"))).await;
    one.new_workflow(child_of(parent, "child")).await;
    one.retire().await;
    case.advance(MINUTE * 2).await;
    let other = case.register().await;

    assert!(other.claim_ids().await.is_empty());
    assert_eq!(case.state("child").await, State::Cancelled);
}

/// Executors look for them, whoever has a place free: the earliest first.
pub async fn the_deadlines_of_what_nobody_runs_are_told(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let in_a_day = |new| NewWorkflow {
        deadline: Some(DAY),
        ..new
    };
    case.new_workflow(in_a_day(workflow("enqueued"))).await;
    let delayed = with_delay("delayed", DAY * 2);
    case.new_workflow(due_in_a_minute(delayed)).await;
    worker.new_workflow(due_in_a_minute(here("running"))).await;
    case.new_workflow(workflow("without")).await;

    let deadlines = case.store.deadlines(10).await.expect("deadlines are read");
    let ids: Vec<_> = deadlines.iter().map(|it| it.id.to_string()).collect();
    assert_eq!(ids, ["delayed", "enqueued"]);
    let first = case.find("delayed").await.deadline_at;
    assert_eq!(Some(deadlines[0].at), first);
    let one = case.store.deadlines(1).await.expect("deadlines are read");
    assert_eq!(one.len(), 1);
    case.advance(MINUTE * 2).await;
    let cancelled = case.cancel_for("delayed", CancelCause::Deadline).await;
    assert!(matches!(cancelled, Cancelled::Now(_)), "{cancelled:?}");
    let left = case.store.deadlines(10).await.expect("deadlines are read");
    assert_eq!(left.len(), 1);
}
