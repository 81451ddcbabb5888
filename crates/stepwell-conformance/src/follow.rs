//! What those read who watch workflows while they run.

use serde_json::{Value, json};
use stepwell_core::{
    Outcome, Place, Position, RecordKind, State, WorkflowKey,
    store::{Mark, Moment, NewRecord, Recorded, Values},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, Worker, expect_about, payload, step},
};

async fn recorded(
    case: &Case<'_>,
    key: WorkflowKey,
    after: Option<Moment>,
    values: Values,
    limit: u32,
) -> Vec<Recorded> {
    let found = case.store.recorded(key, after, values, limit).await;
    found.expect("what a workflow has recorded can be read")
}

async fn names(case: &Case<'_>, key: WorkflowKey) -> Vec<String> {
    let found = recorded(case, key, None, Values::LeftOut, 100).await;
    found.into_iter().map(|it| it.name).collect()
}

async fn marks(case: &Case<'_>, keys: &[WorkflowKey]) -> Vec<Mark> {
    let found = case.store.marks(keys.to_vec()).await;
    let mut found = found.expect("marks can be read");
    found.sort_by_key(|mark| mark.key.0);
    found
}

/// Records that stand at these places of the history.
async fn at(worker: &Worker, key: WorkflowKey, places: &[(u32, &str)]) {
    let records = places.iter().map(|(number, name)| NewRecord {
        place: Place::At(Position::top(*number)),
        ..step(*number, name, json!("large and secret"))
    });
    worker.records(key, records.collect()).await;
}

/// The state, and how many operations there are: neither the arguments nor the result is one.
pub async fn a_mark_says_how_far_a_workflow_is(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (one, two) = (worker.start("order-1").await, worker.start("order-2").await);
    at(&worker, one, &[(0, "a"), (1, "b")]).await;
    worker.succeed(one, json!(1)).await;

    let mark = |key, state, operations| Mark {
        key,
        state,
        operations,
    };
    let expected = [mark(one, State::Succeeded, 2), mark(two, State::Running, 0)];
    assert_eq!(marks(&case, &[two, one]).await, expected);
}

/// A workflow that is not there has no mark, and does not hide those of others.
pub async fn a_workflow_that_is_not_there_has_no_mark(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert_eq!(marks(&case, &[WorkflowKey(key.0 + 1)]).await, []);
    assert_eq!(marks(&case, &[key, WorkflowKey(key.0 + 1)]).await.len(), 1);
    assert_eq!(marks(&case, &[]).await, []);
}

/// In the order of the writing, not of the history; within one moment in that of the history.
pub async fn what_is_recorded_is_read_in_the_order_of_the_writing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    at(&worker, key, &[(5, "first")]).await;
    case.advance(MINUTE).await;
    at(&worker, key, &[(3, "third"), (2, "second")]).await;
    case.advance(MINUTE).await;
    at(&worker, key, &[(1, "fourth")]).await;

    assert_eq!(
        names(&case, key).await,
        ["first", "second", "third", "fourth"]
    );
}

/// From each record the rest is read, once and whole.
pub async fn what_is_recorded_is_read_after_any_moment(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    for number in 0..3 {
        at(&worker, key, &[(2 * number, "x"), (2 * number + 1, "y")]).await;
        case.advance(MINUTE).await;
    }

    let all = recorded(&case, key, None, Values::LeftOut, 100).await;
    assert_eq!(all.len(), 6);
    for (number, record) in all.iter().enumerate() {
        let after = Some(record.moment());
        let rest = recorded(&case, key, after.clone(), Values::LeftOut, 100).await;
        assert_eq!(rest, all[number + 1..]);
        let next = recorded(&case, key, after, Values::LeftOut, 1).await;
        assert_eq!(next.first(), all.get(number + 1));
    }
}

/// Only what was published comes with its value, and only if it is asked for.
pub async fn only_what_is_published_is_read_with_its_value(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let published = NewRecord {
        kind: RecordKind::SetEvent,
        ..step(0, "progress", json!(7))
    };
    let secret = step(1, "charge", json!("secret"));
    let failed = NewRecord {
        outcome: Outcome::Err(payload(json!("secret"))),
        ..step(2, "refund", Value::Null)
    };
    worker.records(key, vec![published, secret, failed]).await;

    let found = recorded(&case, key, None, Values::Published, 100).await;
    let values: Vec<_> = found.iter().map(|it| it.published.clone()).collect();
    assert_eq!(values, [Some(payload(json!(7))), None, None]);
    let outcomes: Vec<_> = found.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, ["ok", "ok", "error"]);
    expect_about(found[0].recorded_at, case.now());
    let found = recorded(&case, key, None, Values::LeftOut, 100).await;
    assert!(found.iter().all(|it| it.published.is_none()));
}
