//! Nothing is left of what was deleted.

use serde_json::json;
use stepwell_core::{
    State,
    store::{Delete, Deleted, Filter, Progressed, Wait},
};

use crate::{
    Backend,
    fixture::{Case, child_of, id, payload, workflow},
};

/// No record, event, entry, attribute or message of it can be read any more.
pub async fn nothing_is_left_of_what_was_deleted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.publish(key, 0, "status", json!("paid")).await;
    worker.append(key, 1, "log", json!(1)).await;
    worker.fail(key, json!("no stock")).await;
    worker.start("order-2").await;

    assert_eq!(case.delete("order-1").await, Deleted::Now);
    let found = case.store.find(&id("order-1")).await;
    assert_eq!(found.expect("it can be looked up"), None);
    assert!(case.history(key).await.is_empty());
    assert_eq!(case.event(key, "status").await, None);
    assert!(case.stream(key, "log").await.is_empty());
    let letters = case.store.dead_letters().await;
    assert_eq!(letters.expect("dead letters can be counted"), []);
    let all = case.list(Filter::default()).await;
    assert_eq!(all, ["order-2"]);
    // A run that has not heard of it writes nothing.
    let late = worker.record(key, 2, "ship", json!(1)).await;
    assert!(matches!(late, Progressed::Refused(_)), "{late:?}");
}

/// What may go on by itself is not deleted: it would be lost.
pub async fn only_what_is_at_rest_is_deleted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("waiting").await;
    worker.start("running").await;

    for (workflow_id, state) in [("waiting", State::Enqueued), ("running", State::Running)] {
        assert_eq!(case.delete(workflow_id).await, Deleted::Not(state));
        assert_eq!(case.state(workflow_id).await, state);
    }
}

/// Its end wakes a workflow that was parked until then, and cancels what is attached to it.
pub async fn what_is_stuck_ends_when_it_is_deleted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let stuck = worker.start("stuck").await;
    worker.start_child(stuck, 0, child_of(stuck, "child")).await;
    worker.parked("waits", Wait::End { of: stuck }).await;
    worker.stick(stuck, "the code changed").await;
    assert_eq!(case.state("waits").await, State::Parked);

    assert_eq!(case.delete("stuck").await, Deleted::Now);
    assert_eq!(case.state("child").await, State::Cancelled);
    assert_eq!(case.state("waits").await, State::Enqueued);
    assert_eq!(
        case.store.find(&id("stuck")).await.expect("it answers"),
        None
    );
}

/// It was deleted already, and its id used again, when this deletion comes (once more).
pub async fn a_later_one_of_the_id_is_not_deleted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let first = worker.start("order-1").await;
    worker.fail(first, json!("no stock")).await;
    let delete = Delete {
        id: id("order-1"),
        key: Some(first),
    };
    assert_eq!(case.delete_as(delete.clone()).await, Deleted::Now);
    assert_eq!(
        case.delete_as(delete.clone()).await,
        Deleted::NoSuchWorkflow
    );
    let second = worker.start("order-1").await;
    worker.fail(second, json!("no stock")).await;

    assert_eq!(case.delete_as(delete).await, Deleted::NoSuchWorkflow);
    assert_eq!(case.find("order-1").await.key, second);
}

/// Whoever comes with the id again starts something new.
pub async fn a_deleted_id_is_free(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let before = worker.start("order-1").await;
    worker.succeed(before, json!(1)).await;
    case.delete("order-1").await;

    let mut new = workflow("order-1");
    new.input = payload(json!(["other"]));
    let key = case.new_workflow(new).await;
    assert_ne!(key, before);
    assert_eq!(case.places(key).await, [""]);
}

/// [`Deleted::NoSuchWorkflow`].
pub async fn what_is_gone_is_not_deleted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.succeed(key, json!(1)).await;

    assert_eq!(case.delete("order-1").await, Deleted::Now);
    assert_eq!(case.delete("order-1").await, Deleted::NoSuchWorkflow);
}

/// They are what they were, but for the parent.
pub async fn children_stay_when_their_parent_is_deleted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = child_of(parent, "child");
    worker.start_child(parent, 0, child).await;
    let key = case.find("child").await.key;
    worker.succeed(key, json!(1)).await;
    worker.succeed(parent, json!(1)).await;
    let before = case.find("child").await;

    assert_eq!(case.delete("order-1").await, Deleted::Now);
    let expected = stepwell_core::store::Workflow {
        parent: None,
        ..before
    };
    assert_eq!(case.find("child").await, expected);
}
