//! Attributes for search: set at the start, and by operations.

use serde_json::json;
use stepwell_core::{
    WorkflowKey,
    store::{Effect, EffectOutcome, Filter, NewWorkflow, Progressed},
};

use crate::{
    Backend,
    fixture::{Case, Worker, here},
};

async fn set(
    worker: &Worker,
    key: WorkflowKey,
    number: u32,
    name: &str,
    value: &str,
) -> Progressed {
    let (name, value) = (name.to_owned(), value.to_owned());
    worker
        .effects(key, number, vec![Effect::SetAttribute { name, value }])
        .await
}

async fn attributes(case: &Case<'_>) -> Vec<(String, String)> {
    let mut attributes = case.find("order-1").await.attributes;
    attributes.sort();
    attributes
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// An operation adds an attribute to those of the start.
pub async fn an_operation_adds_an_attribute(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let attributes_at_start = vec![pair("customer", "ada")];
    let new = NewWorkflow {
        attributes: attributes_at_start,
        ..here("order-1")
    };
    let key = worker.new_workflow(new).await;

    let progressed = set(&worker, key, 0, "stage", "paid").await;
    assert_eq!(progressed, Progressed::Recorded(vec![EffectOutcome::Done]));
    assert_eq!(
        attributes(&case).await,
        [pair("customer", "ada"), pair("stage", "paid")]
    );
}

/// An attribute has one value: the last one.
pub async fn the_last_value_of_an_attribute_counts(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    set(&worker, key, 0, "stage", "paid").await;
    set(&worker, key, 1, "stage", "shipped").await;

    assert_eq!(attributes(&case).await, [pair("stage", "shipped")]);
}

/// An operation that is handed in late again does not bring back an old value.
pub async fn a_repeated_operation_sets_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    set(&worker, key, 0, "stage", "paid").await;
    set(&worker, key, 1, "stage", "shipped").await;

    assert_eq!(
        set(&worker, key, 0, "stage", "paid").await,
        Progressed::Existing
    );
    assert_eq!(attributes(&case).await, [pair("stage", "shipped")]);
}

/// A search sees the value of now.
pub async fn a_search_sees_the_last_value(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let attributes = vec![pair("stage", "new")];
    let key = worker
        .new_workflow(NewWorkflow {
            attributes,
            ..here("order-1")
        })
        .await;
    set(&worker, key, 0, "stage", "paid").await;
    let with = |value: &str| Filter {
        attribute: Some(pair("stage", value)),
        ..Filter::default()
    };

    assert_eq!(case.list(with("paid")).await, ["order-1"]);
    assert!(case.list(with("new")).await.is_empty());
}

/// Attributes outlive the run.
pub async fn attributes_outlive_the_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    set(&worker, key, 0, "stage", "paid").await;
    worker.succeed(key, json!(1)).await;

    assert_eq!(attributes(&case).await, [pair("stage", "paid")]);
}
