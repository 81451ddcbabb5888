//! What did not do its work, and will not by itself.

use serde_json::json;
use stepwell_core::{
    DECLINED_NOTE, End, Outcome, State,
    store::{Acknowledged, DeadLetters, Filter, Finished, NewWorkflow, Resumed, Tally},
};

use crate::{
    Backend,
    fixture::{Case, Worker, here, payload},
};

async fn failed(worker: &Worker, workflow_id: &str) {
    let key = worker.start(workflow_id).await;
    worker.fail(key, json!("no stock")).await;
}

async fn stuck(worker: &Worker, workflow_id: &str) {
    let key = worker.start(workflow_id).await;
    worker.stick(key, "the code changed").await;
}

async fn groups(case: &Case<'_>) -> Vec<DeadLetters> {
    let groups = case.store.dead_letters().await;
    groups.expect("dead letters can be counted")
}

/// The states, how many there are, and the newest.
async fn counts(case: &Case<'_>) -> Vec<(State, u64, String)> {
    let groups = groups(case).await.into_iter();
    let count = |group: DeadLetters| (group.state, group.count, group.newest.to_string());
    groups.map(count).collect()
}

/// "Grouped by what they have in common: the largest groups first."
pub async fn dead_letters_are_grouped_by_what_they_have_in_common(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    assert_eq!(groups(&case).await, []);
    stuck(&worker, "stuck-1").await;
    failed(&worker, "failed-1").await;
    failed(&worker, "failed-2").await;
    worker.start("running").await;
    let key = worker.start("succeeded").await;
    worker.succeed(key, json!(1)).await;
    case.enqueue("cancelled").await;
    case.cancel("cancelled").await;

    let groups = groups(&case).await;
    let (first, last) = (case.find("failed-1").await, case.find("failed-2").await);
    let expected = DeadLetters {
        name: "checkout".to_owned(),
        state: State::Failed,
        fingerprint: Some("OutOfStock: no stock".to_owned()),
        count: 2,
        first_at: first.created_at,
        last_at: last.created_at,
        newest: last.id,
    };
    assert_eq!((groups.len(), &groups[0]), (2, &expected));
    assert_eq!(groups[1].state, State::Stuck);
    assert_eq!(groups[1].fingerprint, None);
    assert_eq!(first.fingerprint, expected.fingerprint);
}

/// It stays as it is, and keeps the note.
pub async fn an_acknowledged_letter_is_in_no_group_and_keeps_its_note(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    failed(&worker, "failed-1").await;
    failed(&worker, "failed-2").await;
    let now = case.acknowledge("failed-2", "refunded by hand").await;
    assert_eq!(now, Acknowledged::Now);

    let newest = "failed-1".to_owned();
    assert_eq!(counts(&case).await, [(State::Failed, 1, newest)]);
    let row = case.find("failed-2").await;
    assert_eq!(row.state, State::Failed);
    let acknowledged = row.acknowledged.expect("it is acknowledged");
    assert_eq!(acknowledged.note, "refunded by hand");
    assert!(acknowledged.at >= row.created_at);
}

/// The first note stays.
pub async fn a_letter_is_acknowledged_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    failed(&worker, "failed-1").await;
    case.acknowledge("failed-1", "first").await;
    let again = case.acknowledge("failed-1", "second").await;
    assert_eq!(again, Acknowledged::Already);
    let acknowledged = case.find("failed-1").await.acknowledged;
    assert_eq!(acknowledged.map(|it| it.note).as_deref(), Some("first"));
}

/// [`Acknowledged::Not`] and [`Acknowledged::NoSuchWorkflow`] write nothing.
pub async fn only_a_dead_letter_can_be_acknowledged(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.start("running").await;
    let not = Acknowledged::Not(State::Running);
    assert_eq!(case.acknowledge("running", "").await, not);
    assert_eq!(case.find("running").await.acknowledged, None);
    let nobody = case.acknowledge("nobody", "").await;
    assert_eq!(nobody, Acknowledged::NoSuchWorkflow);
}

/// [`End::Declined`]: it has its error, and is acknowledged in the moment of its end. Once.
pub async fn what_was_declined_has_failed_and_nobody_need_look_at_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("declined").await;
    let end = End::Declined {
        error: payload(json!("no money")),
        fingerprint: "Declined: no money".to_owned(),
        reason: "no money".to_owned(),
    };
    assert_eq!(worker.finish(key, end.clone()).await, Finished::Now);
    let again = worker.finish(key, end).await;
    assert_eq!(again, Finished::Already(State::Failed));

    assert_eq!(counts(&case).await, []);
    let result = case.store.result(key).await.expect("it can be read");
    let (row, outcome) = result.expect("it is there");
    assert_eq!(outcome, Some(Outcome::Err(payload(json!("no money")))));
    let expected = (State::Failed, Some("Declined: no money"));
    assert_eq!((row.state, row.fingerprint.as_deref()), expected);
    let acknowledged = row.acknowledged.expect("it is acknowledged");
    assert_eq!(acknowledged.note, DECLINED_NOTE);
    assert_eq!(Some(acknowledged.at), row.ended_at);
}

/// What goes on and fails once more must be looked at once more.
pub async fn a_letter_that_goes_on_is_acknowledged_no_more(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    stuck(&worker, "resumed").await;
    stuck(&worker, "tried").await;
    case.acknowledge("resumed", "the old version is gone").await;
    case.acknowledge("tried", "the old version is gone").await;
    assert_eq!(counts(&case).await, []);
    assert_eq!(case.resume("resumed").await, Resumed::Now);
    let other = case.register_version("v2").await;
    assert_eq!(other.claim(10).await.len(), 2);
    for workflow_id in ["resumed", "tried"] {
        let row = case.find(workflow_id).await;
        assert_eq!((row.state, &row.acknowledged), (State::Running, &None));
        other.fail(row.key, json!("no stock")).await;
    }
    let newest = "tried".to_owned();
    assert_eq!(counts(&case).await, [(State::Failed, 2, newest)]);
}

/// The fingerprint, and whether somebody has looked.
pub async fn a_list_may_be_of_letters_that_are_alike_and_new(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for workflow_id in ["failed-1", "failed-2", "failed-3"] {
        failed(&worker, workflow_id).await;
    }
    stuck(&worker, "stuck-1").await;
    worker.start("running").await;
    case.acknowledge("failed-2", "").await;
    let unacknowledged = Filter {
        unacknowledged: true,
        ..Filter::default()
    };
    let all = ["stuck-1", "failed-3", "failed-1"];
    assert_eq!(case.list(unacknowledged.clone()).await, all);
    let alike = Filter {
        fingerprint: Some("OutOfStock: no stock".to_owned()),
        ..unacknowledged
    };
    assert_eq!(case.list(alike.clone()).await, ["failed-3", "failed-1"]);
    let other = Filter {
        fingerprint: Some("OutOfStock".to_owned()),
        ..alike
    };
    assert!(case.list(other).await.is_empty());
}

/// The largest numbers come first; what has no origin is one of its own.
pub async fn workflows_are_tallied_by_origin_name_and_state(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let of = |id: &str| NewWorkflow {
        origin: Some("stripe/paid".to_owned()),
        ..here(id)
    };
    for id in ["a", "b", "c"] {
        let key = worker.new_workflow(of(id)).await;
        worker.succeed(key, json!(1)).await;
    }
    for id in ["d", "e"] {
        let key = worker.new_workflow(of(id)).await;
        worker.fail(key, json!("no")).await;
    }
    case.enqueue("f").await;
    let tallies = case.store.tallies().await.expect("workflows are counted");
    let tally = |origin: Option<&str>, state, count| Tally {
        origin: origin.map(str::to_owned),
        name: "checkout".to_owned(),
        state,
        count,
    };
    let expected = [
        tally(Some("stripe/paid"), State::Succeeded, 3),
        tally(Some("stripe/paid"), State::Failed, 2),
        tally(None, State::Enqueued, 1),
    ];
    assert_eq!(tallies, expected);
}
