//! Children: started once, by an operation of their parent.

use serde_json::json;
use stepwell_core::{
    State, WorkflowKey,
    store::{Effect, EffectOutcome, Launch, NewWorkflow, Progressed, Started, Workflow},
};

use crate::{
    Backend,
    fixture::{Case, child_of, id, limits, queued},
};

async fn children(case: &Case<'_>, key: WorkflowKey) -> Vec<Workflow> {
    case.store
        .children(key)
        .await
        .expect("children can be read")
}

fn started(progressed: Progressed) -> Started {
    match progressed {
        Progressed::Recorded(mut outcomes) => match outcomes.pop() {
            Some(EffectOutcome::Started(started)) => started,
            other => panic!("a child's start came to {other:?}"),
        },
        other => panic!("a child's start came to {other:?}"),
    }
}

/// The start and its record are one: the child runs with its parent's executor.
pub async fn a_child_is_started_with_its_record(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;

    let started = started(
        worker
            .start_child(parent, 0, child_of(parent, "child"))
            .await,
    );
    let row = case.find("child").await;
    assert_eq!(
        started,
        Started::New {
            key: row.key,
            replaced: None
        }
    );
    assert_eq!((row.state, row.executor), (State::Running, Some(worker.id)));
    assert_eq!(row.parent, Some(id("order-1")));
    assert_eq!(case.places(parent).await, ["", "0"]);
}

/// A child may go through a queue, to any executor.
pub async fn a_child_may_wait_in_a_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    let parent = worker.start("order-1").await;
    let child = NewWorkflow {
        parent: child_of(parent, "child").parent,
        ..queued("child", "mail", limits(None, None))
    };
    worker.start_child(parent, 0, child).await;

    assert_eq!(case.state("child").await, State::Enqueued);
    assert_eq!(other.claim_ids().await, ["child"]);
}

/// A child's input is its first record, as of any workflow.
pub async fn a_child_has_its_input(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    worker
        .start_child(parent, 0, child_of(parent, "child"))
        .await;

    let key = case.find("child").await.key;
    assert_eq!(case.places(key).await, [""]);
    worker.record(key, 0, "charge", json!(1)).await;
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// Of an operation that is handed in again, no second child comes.
pub async fn a_repeated_operation_starts_no_second_child(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    worker
        .start_child(parent, 0, child_of(parent, "child"))
        .await;

    let again = worker
        .start_child(parent, 0, child_of(parent, "another"))
        .await;
    assert_eq!(again, Progressed::Existing);
    assert_eq!(children(&case, parent).await.len(), 1);
}

/// A child whose id is taken by the same call is that workflow.
pub async fn a_child_that_is_there_is_found(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let key = case.enqueue("child").await;

    let started = started(
        worker
            .start_child(parent, 0, child_of(parent, "child"))
            .await,
    );
    let state = State::Enqueued;
    assert_eq!(
        started,
        Started::Existing {
            key,
            state,
            mine: false,
            nonce: None,
        }
    );
    assert_eq!(case.find("child").await.parent, None);
    assert_eq!(case.places(parent).await, ["", "0"]);
}

/// Several effects of one operation: what each came to, in their order.
pub async fn outcomes_of_effects_come_in_their_order(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let effects = vec![
        Effect::Start(child_of(parent, "child-1")),
        Effect::SetAttribute {
            name: "stage".to_owned(),
            value: "two".to_owned(),
        },
        Effect::Start(child_of(parent, "child-2")),
    ];

    let progressed = worker.effects(parent, 0, effects).await;
    let new = |row: Workflow| {
        EffectOutcome::Started(Started::New {
            key: row.key,
            replaced: None,
        })
    };
    let first = new(case.find("child-1").await);
    let second = new(case.find("child-2").await);
    let outcomes = vec![first, EffectOutcome::Done, second];
    assert_eq!(progressed, Progressed::Recorded(outcomes));
}

/// "The workflows that this one started, oldest first": not their children, and detached ones too.
pub async fn children_are_listed_oldest_first(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let second = worker.new_workflow(child_of(parent, "b")).await;
    let mut detached = child_of(parent, "a");
    detached.parent = detached.parent.map(|mut owner| {
        owner.detached = true;
        owner
    });
    worker.new_workflow(detached).await;
    worker.new_workflow(child_of(second, "grandchild")).await;

    let listed = children(&case, parent).await;
    let ids: Vec<_> = listed.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["b", "a"]);
    assert_eq!(listed[0], case.find("b").await);
}

/// Most workflows have no children.
pub async fn a_workflow_without_children_lists_none(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.enqueue("order-1").await;

    assert!(children(&case, key).await.is_empty());
}

/// A child goes its own way after its parent's end.
pub async fn a_child_outlives_its_parents_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let launch = Launch::Anywhere;
    let child = NewWorkflow {
        launch,
        ..child_of(parent, "child")
    };
    worker.start_child(parent, 0, child).await;
    worker.succeed(parent, json!(1)).await;

    assert_eq!(worker.claim_ids().await, ["child"]);
}
