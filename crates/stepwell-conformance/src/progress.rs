//! Records of a running workflow: written once, all or nothing, by its executor.

use std::time::Duration;

use serde_json::json;
use stepwell_core::{
    Outcome, Place, Position, RecordKind, State,
    store::{Applied, Change, Effect, NewRecord, Progress, Progressed, Refusal},
};

use crate::{
    Backend,
    fixture::{Case, child_of, expect_about, payload, step, with_name},
};

fn recorded() -> Progressed {
    Progressed::Recorded(Vec::new())
}

/// A record comes back as it was handed in.
pub async fn a_record_comes_back_as_it_was_made(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let made = NewRecord {
        attempts: 3,
        ..step(0, "charge", json!({"paid": true}))
    };

    assert_eq!(worker.records(key, vec![made.clone()]).await, recorded());
    let record = &case.history(key).await[1];
    assert_eq!((&record.place, record.kind), (&made.place, made.kind));
    assert_eq!((&record.name, &record.outcome), (&made.name, &made.outcome));
    assert_eq!(record.attempts, 3);
}

/// An operation's error is data, and stays an error.
pub async fn an_error_comes_back_as_an_error(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let outcome = Outcome::Err(payload(json!({"code": "declined"})));
    let made = NewRecord {
        outcome: outcome.clone(),
        ..step(0, "charge", json!(null))
    };

    worker.records(key, vec![made]).await;
    assert_eq!(case.history(key).await[1].outcome, outcome);
}

/// "How long the operation took; the store subtracts it from its clock."
pub async fn an_operation_began_as_long_ago_as_it_took(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let elapsed = Duration::from_millis(90_500);

    worker
        .records(
            key,
            vec![NewRecord {
                elapsed,
                ..step(0, "charge", json!(1))
            }],
        )
        .await;
    let record = &case.history(key).await[1];
    expect_about(record.recorded_at, case.now());
    let took = record.recorded_at.duration_since(record.started_at);
    assert_eq!(took.as_millis(), 90_500);
}

/// A step may run twice; the first record counts.
pub async fn the_first_outcome_wins(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert_eq!(
        worker.record(key, 0, "charge", json!("charged")).await,
        recorded()
    );
    let again = worker
        .record(key, 0, "charge", json!("charged twice"))
        .await;
    assert_eq!(again, Progressed::Existing);
    let outcome = &case.history(key).await[1].outcome;
    assert_eq!(*outcome, Outcome::Ok(payload(json!("charged"))));
}

/// Records that come together are all there.
pub async fn records_that_come_together_are_all_written(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let records = vec![
        step(0, "a", json!(0)),
        step(1, "b", json!(1)),
        step(2, "c", json!(2)),
    ];

    assert_eq!(worker.records(key, records).await, recorded());
    assert_eq!(case.places(key).await, ["", "0", "1", "2"]);
}

/// "The first one decides: if it is there already, nothing is written."
pub async fn if_the_first_record_is_there_none_is_written(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "a", json!(0)).await;

    let records = vec![step(0, "a", json!(0)), step(1, "b", json!(1))];
    assert_eq!(worker.records(key, records).await, Progressed::Existing);
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// Of a record that is there, nothing is brought about again.
pub async fn if_the_first_record_is_there_no_effect_happens(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "a", json!(0)).await;

    let again = worker.publish(key, 0, "status", json!("paid")).await;
    assert_eq!(again, Progressed::Existing);
    assert_eq!(case.event(key, "status").await, None);
}

/// A failed attempt stands under its step, which is recorded later at its own place.
pub async fn failed_attempts_stand_beside_their_step(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let attempt = |number| NewRecord {
        place: Place::Attempt(Position::top(0), number),
        kind: RecordKind::Attempt,
        outcome: Outcome::Err(payload(json!("timeout"))),
        ..step(0, "charge", json!(null))
    };

    assert_eq!(worker.records(key, vec![attempt(1)]).await, recorded());
    assert_eq!(worker.records(key, vec![attempt(2)]).await, recorded());
    assert_eq!(worker.record(key, 0, "charge", json!(1)).await, recorded());
    assert_eq!(
        case.places(key).await,
        ["", "0", "0!00000001", "0!00000002"]
    );
}

/// [`Refusal::NotMine`]: another executor runs it.
pub async fn progress_of_another_executors_workflow_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;

    let progressed = other.record(key, 0, "charge", json!(1)).await;
    assert_eq!(progressed, Progressed::Refused(Refusal::NotMine));
    assert_eq!(case.places(key).await, [""]);
}

/// A client runs no workflows.
pub async fn progress_of_a_client_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let change = Change::Progress(Progress {
        key,
        records: vec![step(0, "charge", json!(1))],
        effects: Vec::new(),
    });

    match case.commit(vec![change]).await.as_slice() {
        [Applied::Progress(it)] => assert_eq!(*it, Progressed::Refused(Refusal::NotMine)),
        other => panic!("progress of a client came to {other:?}"),
    }
    assert_eq!(case.places(key).await, [""]);
}

/// Before it is claimed a workflow makes no progress.
pub async fn progress_of_a_waiting_workflow_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.enqueue("order-1").await;

    let progressed = worker.record(key, 0, "charge", json!(1)).await;
    let refusal = Refusal::NotRunning(State::Enqueued);
    assert_eq!(progressed, Progressed::Refused(refusal));
    assert_eq!(case.places(key).await, [""]);
}

/// After its end a workflow makes no progress, and the refusal says how it stands.
pub async fn progress_after_the_end_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.fail(key, json!("no stock")).await;

    let progressed = worker.publish(key, 0, "status", json!("paid")).await;
    let refusal = Refusal::NotRunning(State::Failed);
    assert_eq!(progressed, Progressed::Refused(refusal));
    assert_eq!(case.places(key).await, ["", "~"]);
    assert_eq!(case.event(key, "status").await, None);
}

/// A stuck workflow left its executor: what that one still hands in is refused.
pub async fn progress_of_a_stuck_workflow_is_refused(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker
        .stick(key, "operation 0 was `charge` and is `bill` now")
        .await;

    let progressed = worker.record(key, 0, "bill", json!(1)).await;
    let refusal = Refusal::NotRunning(State::Stuck);
    assert_eq!(progressed, Progressed::Refused(refusal));
}

/// "An effect could not be had; nothing of this change was written."
pub async fn a_conflict_undoes_its_whole_change(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.new_workflow(with_name("child-1", "refund")).await;
    let event = Effect::SetEvent {
        name: "status".to_owned(),
        value: payload(json!("paid")),
    };
    let value = payload(json!("line"));
    let append = Effect::Append {
        stream: "log".to_owned(),
        value,
    };
    let clash = Effect::Start(child_of(key, "child-1"));

    let progressed = worker.effects(key, 0, vec![event, append, clash]).await;
    assert!(
        matches!(progressed, Progressed::Conflict { .. }),
        "{progressed:?}"
    );
    assert_eq!(case.places(key).await, [""]);
    assert_eq!(case.event(key, "status").await, None);
    assert!(case.stream(key, "log").await.is_empty());
}

/// A conflict's reason is for a person.
pub async fn a_conflict_says_which_id_it_is_about(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    case.new_workflow(with_name("child-1", "refund")).await;

    match worker.start_child(key, 0, child_of(key, "child-1")).await {
        Progressed::Conflict { reason } => assert!(reason.contains("child-1"), "{reason}"),
        other => panic!("a child whose id is another's came to {other:?}"),
    }
}
