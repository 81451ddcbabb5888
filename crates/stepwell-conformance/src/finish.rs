//! A run ends: once, by its executor.

use serde_json::json;
use stepwell_core::{
    End, Outcome, Place, RecordKind, State, WorkflowKey,
    store::{Applied, Change, Finished, Progress, Progressed, Workflow},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, expect_about, payload, step},
};

async fn result(case: &Case<'_>, key: WorkflowKey) -> Option<(Workflow, Option<Outcome>)> {
    case.store.result(key).await.expect("a result can be read")
}

async fn outcome(case: &Case<'_>, key: WorkflowKey) -> Option<Outcome> {
    result(case, key).await.and_then(|(_, outcome)| outcome)
}

/// The output is the same on every later read.
pub async fn an_output_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert_eq!(worker.succeed(key, json!("shipped")).await, Finished::Now);
    assert_eq!(case.state("order-1").await, State::Succeeded);
    let output = Outcome::Ok(payload(json!("shipped")));
    assert_eq!(outcome(&case, key).await, Some(output));
}

/// The error is the same on every later read, and stays an error.
pub async fn an_error_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert_eq!(worker.fail(key, json!({"code": 7})).await, Finished::Now);
    assert_eq!(case.state("order-1").await, State::Failed);
    let error = Outcome::Err(payload(json!({"code": 7})));
    assert_eq!(outcome(&case, key).await, Some(error));
}

/// "The payload becomes its last record."
pub async fn the_result_is_the_last_record(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;
    worker.succeed(key, json!("shipped")).await;

    let history = case.history(key).await;
    let last = history.last().expect("the history has records");
    assert_eq!((history.len(), last.kind), (3, RecordKind::Result));
    assert_eq!(last.place, Place::Result);
    assert_eq!(last.outcome, Outcome::Ok(payload(json!("shipped"))));
}

/// The row says when it ended, and who ran it last.
pub async fn an_end_has_its_time_and_its_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.advance(MINUTE).await;
    worker.succeed(key, json!(1)).await;

    let row = case.find("order-1").await;
    expect_about(row.ended_at.expect("it has ended"), case.now());
    expect_about(row.created_at, row.ended_at.expect("it has ended") - MINUTE);
    assert_eq!(row.executor, Some(worker.id));
}

/// A list can say why: one that is declined no less. A fork is work of its own, and says nothing of it.
pub async fn a_failed_workflow_says_its_message(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (failed, declined) = (worker.start("order-1").await, worker.start("order-2").await);
    worker.fail(failed, json!({"code": 7})).await;
    let end = End::Declined {
        error: payload(json!({"code": 8})),
        fingerprint: "Declined: no money".to_owned(),
        reason: "no money".to_owned(),
    };
    worker.finish(declined, end).await;
    let succeeded = worker.start("order-3").await;
    worker.succeed(succeeded, json!(1)).await;
    case.fork("order-1", "order-1b", 0).await;

    for (id, reason) in [
        ("order-1", Some("no stock")),
        ("order-2", Some("no money")),
        ("order-3", None),
        ("order-1b", None),
    ] {
        assert_eq!(case.find(id).await.reason.as_deref(), reason, "{id}");
    }
}

/// A stuck workflow keeps its reason and has no result.
pub async fn a_stuck_workflow_has_a_reason_and_no_result(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let reason = "operation 3 was `charge` when it first ran and is `bill` now";

    assert_eq!(worker.stick(key, reason).await, Finished::Now);
    let (row, outcome) = result(&case, key).await.expect("it is there");
    assert_eq!(
        (row.state, row.reason.as_deref()),
        (State::Stuck, Some(reason))
    );
    assert_eq!(outcome, None);
    assert_eq!(case.places(key).await, [""]);
}

/// A running workflow has no result yet.
pub async fn a_running_workflow_has_no_result_yet(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;

    let row = case.find("order-1").await;
    assert_eq!(result(&case, key).await, Some((row, None)));
}

/// A cancelled workflow has ended, but not with a result.
pub async fn a_cancelled_workflow_has_no_result(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.enqueue("order-1").await;
    case.cancel("order-1").await;

    let (row, outcome) = result(&case, key).await.expect("it is there");
    assert_eq!((row.state, outcome), (State::Cancelled, None));
}

/// What was never started has no result to be read.
pub async fn an_unknown_key_has_no_result(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert_eq!(result(&case, WorkflowKey(4_711)).await, None);
}

/// The first end counts, and the second one hears how the first was.
pub async fn the_first_end_wins(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.fail(key, json!("no stock")).await;
    let before = case.find("order-1").await;

    let second = worker.succeed(key, json!("shipped")).await;
    assert_eq!(second, Finished::Already(State::Failed));
    assert_eq!(case.find("order-1").await, before);
    let error = Outcome::Err(payload(json!("no stock")));
    assert_eq!(outcome(&case, key).await, Some(error));
}

/// A stuck workflow is at rest: its run is over.
pub async fn an_end_after_being_stuck_comes_too_late(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.stick(key, "the code changed").await;

    let second = worker.succeed(key, json!("shipped")).await;
    assert_eq!(second, Finished::Already(State::Stuck));
    assert_eq!(outcome(&case, key).await, None);
}

/// A cancelled workflow has no end of its own any more.
pub async fn an_end_after_a_cancellation_comes_too_late(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.cancel("order-1").await;

    let finished = worker.succeed(key, json!("shipped")).await;
    assert_eq!(finished, Finished::Already(State::Cancelled));
    assert_eq!(outcome(&case, key).await, None);
}

/// [`Finished::NotMine`]: another executor runs it.
pub async fn an_end_of_another_executors_workflow_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;

    assert_eq!(other.succeed(key, json!(1)).await, Finished::NotMine);
    assert_eq!(other.stick(key, "no").await, Finished::NotMine);
    assert_eq!(case.state("order-1").await, State::Running);
    assert_eq!(outcome(&case, key).await, None);
}

/// [`Finished::NotMine`]: "… or nobody does".
pub async fn an_end_of_a_waiting_workflow_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.enqueue("order-1").await;

    assert_eq!(worker.succeed(key, json!(1)).await, Finished::NotMine);
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// "It may ride in the same batch as the last record."
pub async fn an_end_rides_with_the_last_record(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let records = vec![step(0, "charge", json!(1))];
    let end = End::Succeeded(payload(json!("shipped")));
    let batch = vec![
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        }),
        Change::Finish(worker.finish_of(key, end)),
    ];

    match worker.commit(batch).await.as_slice() {
        [Applied::Progress(first), Applied::Finish(second)] => {
            assert_eq!(*first, Progressed::Recorded(Vec::new()));
            assert_eq!(*second, Finished::Now);
        }
        other => panic!("a record and an end came to {other:?}"),
    }
    assert_eq!(case.places(key).await, ["", "0", "~"]);
}

/// The changes of a batch are applied in their order: after the end comes no record.
pub async fn a_record_behind_the_end_of_its_batch_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let records = vec![step(0, "charge", json!(1))];
    let end = End::Succeeded(payload(json!("shipped")));
    let batch = vec![
        Change::Finish(worker.finish_of(key, end)),
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        }),
    ];

    let applied = worker.commit(batch).await;
    assert!(
        matches!(applied[1], Applied::Progress(Progressed::Refused(_))),
        "{applied:?}"
    );
    assert_eq!(case.places(key).await, ["", "~"]);
}
