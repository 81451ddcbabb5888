//! A new workflow that begins with another one's history before a position.

use serde_json::json;
use stepwell_core::{
    Outcome, Place, Position, State,
    store::{Fork, Forked, NewRecord, Progressed},
};

use crate::{
    Backend,
    fixture::{Case, Worker, id, payload, step, workflow},
};

/// Records three steps and ends.
async fn run(worker: &Worker, workflow_id: &str) {
    let key = worker.start(workflow_id).await;
    for number in 0..3 {
        worker.record(key, number, "step", json!(number)).await;
    }
    worker.succeed(key, json!("shipped")).await;
}

/// A fork is a workflow of the same name that waits for an executor, with a key of its own.
pub async fn a_fork_waits_for_an_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;

    let forked = case.fork("order-1", "order-1-again", 2).await;
    let row = case.find("order-1-again").await;
    assert_eq!(forked, Forked::New { key: row.key });
    assert_eq!(
        (row.state, row.name.as_str()),
        (State::Enqueued, "checkout")
    );
    assert_eq!((row.ended_at, row.recoveries), (None, 0));
}

/// "The first operation that runs anew; everything before it is copied."
pub async fn a_fork_has_the_history_before_its_position(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;
    case.fork("order-1", "order-1-again", 2).await;

    let key = case.find("order-1-again").await.key;
    let source = case.find("order-1").await.key;
    let (copy, original) = (case.history(key).await, case.history(source).await);
    assert_eq!(copy.len(), 3);
    for (copied, record) in copy.iter().zip(&original) {
        assert_eq!((&copied.place, copied.kind), (&record.place, record.kind));
        assert_eq!(copied.outcome, record.outcome);
        assert_eq!(
            (&copied.name, copied.attempts),
            (&record.name, record.attempts)
        );
    }
}

/// A fork from the first operation has the input alone.
pub async fn a_fork_from_the_start_has_only_the_input(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;
    case.fork("order-1", "order-1-again", 0).await;

    let key = case.find("order-1-again").await.key;
    assert_eq!(case.places(key).await, [""]);
}

/// A result is of a run, not of its first part.
pub async fn a_fork_from_behind_the_end_has_no_result(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;
    case.fork("order-1", "order-1-again", 9).await;

    let key = case.find("order-1-again").await.key;
    assert_eq!(case.places(key).await, ["", "0", "1", "2"]);
    assert_eq!(case.state("order-1-again").await, State::Enqueued);
}

/// Positions are paths: what lies below an operation comes after it and before the next one; the
/// tenth comes after the ninth.
pub async fn a_fork_cuts_between_paths(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let at = |position: Position| NewRecord {
        place: Place::At(position),
        ..step(0, "operation", json!(1))
    };
    let below = Position::top(9).child(1);
    let places = [
        Position::top(9),
        below,
        Position::top(10),
        Position::top(11),
    ];
    worker.records(key, places.map(at).to_vec()).await;

    case.fork("order-1", "from-10", 10).await;
    case.fork("order-1", "from-9", 9).await;
    let copied = case.places(case.find("from-10").await.key).await;
    assert_eq!(copied, ["", "9", "9.1"]);
    assert_eq!(case.places(case.find("from-9").await.key).await, [""]);
}

/// The source is read, not changed, whatever its state.
pub async fn a_fork_leaves_its_source_alone(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;
    let before = case.find("order-1").await;

    case.fork("order-1", "order-1-again", 0).await;
    assert_eq!(case.find("order-1").await, before);
    let progressed = worker.record(key, 1, "ship", json!(1)).await;
    assert_eq!(progressed, Progressed::Recorded(Vec::new()));
}

/// Who claims a fork replays what was copied and goes on behind it.
pub async fn a_fork_is_claimed_with_its_history(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;
    case.fork("order-1", "order-1-again", 1).await;

    let claimed = worker.claim(10).await;
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].has_history);
    let key = claimed[0].key;
    assert_eq!(
        worker.record(key, 0, "step", json!(9)).await,
        Progressed::Existing
    );
    let progressed = worker.record(key, 1, "step", json!(9)).await;
    assert_eq!(progressed, Progressed::Recorded(Vec::new()));
}

/// "A workflow with the new id is there; nothing was written."
pub async fn an_id_that_is_taken_is_not_forked_to(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;
    case.enqueue("order-2").await;
    let before = case.find("order-2").await;

    assert_eq!(case.fork("order-1", "order-2", 2).await, Forked::Taken);
    assert_eq!(case.find("order-2").await, before);
    assert_eq!(case.places(before.key).await, [""]);
}

/// The id of a fork is the fork's alone: from another place, or of another workflow, is another fork.
pub async fn a_fork_is_found_by_the_same_fork_alone(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;
    run(&worker, "order-2").await;
    case.fork("order-1", "again", 2).await;

    assert_eq!(case.fork("order-1", "again", 2).await, Forked::Existing);
    assert_eq!(case.fork("order-1", "again", 1).await, Forked::Taken);
    assert_eq!(case.fork("order-2", "again", 2).await, Forked::Taken);
    // The fork outlives what it was made of, but not for another one that has that id.
    case.delete("order-1").await;
    assert_eq!(case.fork("order-1", "again", 2).await, Forked::Existing);
    run(&worker, "order-1").await;
    assert_eq!(case.fork("order-1", "again", 2).await, Forked::Taken);
}

/// A workflow is no fork of itself.
pub async fn a_workflow_is_not_forked_onto_itself(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    run(&worker, "order-1").await;

    assert_eq!(case.fork("order-1", "order-1", 1).await, Forked::Taken);
    assert_eq!(case.state("order-1").await, State::Succeeded);
}

/// [`Forked::NoSuchWorkflow`].
pub async fn what_does_not_exist_is_not_forked(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    let forked = case.fork("order-1", "order-1-again", 0).await;
    assert_eq!(forked, Forked::NoSuchWorkflow);
    assert!(
        case.list(stepwell_core::store::Filter::default())
            .await
            .is_empty()
    );
}

/// What the copied operations published is the fork's too: replay does not publish it again.
pub async fn a_fork_has_the_events_before_its_position(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let source = worker.start("order-1").await;
    worker.publish(source, 0, "status", json!("paid")).await;
    worker.publish(source, 1, "status", json!("shipped")).await;
    case.fork("order-1", "fork", 1).await;

    let fork = case.find("fork").await.key;
    assert_eq!(case.event(fork, "status").await, Some(json!("paid")));
    assert_eq!(case.event(source, "status").await, Some(json!("shipped")));
}

/// What the copied operations appended is the fork's too, and it goes on behind it.
pub async fn a_fork_has_the_stream_before_its_position(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let source = worker.start("order-1").await;
    worker.append(source, 0, "log", json!(0)).await;
    worker.append(source, 1, "log", json!(1)).await;
    case.fork("order-1", "fork", 1).await;
    let fork = worker.claim(1).await[0].key;
    worker.append(fork, 1, "log", json!(2)).await;

    assert_eq!(case.stream(fork, "log").await, [json!(0), json!(2)]);
    assert_eq!(case.stream(source, "log").await, [json!(0), json!(1)]);
}

/// "Records before it that run anew too", with what they published and appended.
pub async fn a_fork_leaves_out_what_is_named(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let source = worker.start("order-1").await;
    for number in 0..3 {
        worker
            .publish(source, number, "status", json!(number))
            .await;
        worker
            .append(source, number + 3, "log", json!(number))
            .await;
    }
    let fork = Fork {
        without: vec![Place::At(Position::top(2)), Place::At(Position::top(4))],
        ..Fork::new(id("order-1"), id("fork"), Position::top(9))
    };
    case.forked(fork).await;

    let fork = case.find("fork").await.key;
    assert_eq!(case.places(fork).await, ["", "0", "1", "3", "5"]);
    assert_eq!(case.event(fork, "status").await, Some(json!(1)));
    assert_eq!(case.stream(fork, "log").await, [json!(0), json!(2)]);
}

/// "The arguments in place of the copied ones", and attributes beside them or in their place. Where
/// it came from stays.
pub async fn a_fork_has_arguments_and_attributes_of_its_own(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let attribute = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut new = workflow("order-1");
    new.attributes = vec![attribute("customer", "ann"), attribute("try", "1")];
    new.origin = Some("stripe/paid".to_owned());
    case.new_workflow(new).await;
    let fork = Fork {
        input: Some(payload(json!(["mended"]))),
        attributes: vec![attribute("job", "7"), attribute("try", "2")],
        ..Fork::new(id("order-1"), id("fork"), Position::top(0))
    };
    case.forked(fork).await;

    let fork = case.find("fork").await;
    let records = case.history(fork.key).await;
    assert_eq!(records[0].outcome, Outcome::Ok(payload(json!(["mended"]))));
    let expected = [
        attribute("customer", "ann"),
        attribute("job", "7"),
        attribute("try", "2"),
    ];
    assert_eq!(fork.attributes, expected);
    assert_eq!(fork.origin.as_deref(), Some("stripe/paid"));
    assert_eq!(fork.forked_from, Some(id("order-1")));
}
