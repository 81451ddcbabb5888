//! Events: the value that a workflow published last under a name.

use serde_json::json;
use stepwell_core::store::{Effect, EffectOutcome, Progressed};

use crate::{
    Backend,
    fixture::{Case, MINUTE, expect_about, payload},
};

/// Nothing was published.
pub async fn an_event_is_nothing_before_it_is_published(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert_eq!(case.event(key, "status").await, None);
    let all = case.store.events(key).await;
    assert!(all.expect("events can be read").is_empty());
}

/// A published value can be read.
pub async fn an_event_can_be_read(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    let progressed = worker.publish(key, 0, "status", json!("paid")).await;
    assert_eq!(progressed, Progressed::Recorded(vec![EffectOutcome::Done]));
    assert_eq!(case.event(key, "status").await, Some(json!("paid")));
}

/// A value comes "in place of the last one".
pub async fn the_last_value_of_an_event_counts(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.publish(key, 0, "status", json!("paid")).await;
    worker.publish(key, 1, "status", json!("shipped")).await;

    assert_eq!(case.event(key, "status").await, Some(json!("shipped")));
    let all = case.store.events(key).await.expect("events can be read");
    assert_eq!(all.len(), 1);
}

/// Of two values in one operation the later one counts.
pub async fn the_later_of_two_values_in_one_operation_counts(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let set = |value| Effect::SetEvent {
        name: "status".to_owned(),
        value: payload(value),
    };

    worker
        .effects(key, 0, vec![set(json!("paid")), set(json!("shipped"))])
        .await;
    assert_eq!(case.event(key, "status").await, Some(json!("shipped")));
}

/// An operation that is handed in late again does not bring back an old value.
pub async fn a_repeated_operation_does_not_bring_an_old_value_back(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.publish(key, 0, "status", json!("paid")).await;
    worker.publish(key, 1, "status", json!("shipped")).await;

    let again = worker.publish(key, 0, "status", json!("paid")).await;
    assert_eq!(again, Progressed::Existing);
    assert_eq!(case.event(key, "status").await, Some(json!("shipped")));
}

/// An event belongs to its workflow.
pub async fn events_of_two_workflows_are_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (one, other) = (worker.start("order-1").await, worker.start("order-2").await);
    worker.publish(one, 0, "status", json!("paid")).await;

    assert_eq!(case.event(other, "status").await, None);
}

/// "Everything that a workflow has published, by name", and when.
pub async fn all_events_are_listed_by_name(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.publish(key, 0, "status", json!("paid")).await;
    case.advance(MINUTE).await;
    worker.publish(key, 1, "address", json!("here")).await;

    let all = case.store.events(key).await.expect("events can be read");
    let names: Vec<_> = all.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["address", "status"]);
    assert_eq!(all[0].value, payload(json!("here")));
    expect_about(all[0].at, case.now());
    expect_about(all[1].at, case.now() - MINUTE);
}

/// What a workflow has published outlives its end.
pub async fn an_event_outlives_the_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.publish(key, 0, "status", json!("paid")).await;
    worker.succeed(key, json!(1)).await;

    assert_eq!(case.event(key, "status").await, Some(json!("paid")));
}
