//! Work comes to executors: to each its own, of the names that it knows.

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::{
    ExecutorId, State,
    store::{NewWorkflow, StoreErrorKind},
};

use crate::{
    Backend,
    fixture::{Case, DAY, expect_about, payload, with_name, workflow},
};

/// A claimed workflow comes with all that its first run needs.
pub async fn a_claim_brings_what_a_run_needs(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let input = payload(json!(["widget"]));
    let new = NewWorkflow {
        input: input.clone(),
        deadline: Some(DAY),
        ..workflow("order-1")
    };
    let key = case.new_workflow(new).await;

    let claimed = worker.claim(10).await;
    assert_eq!(claimed.len(), 1);
    let it = &claimed[0];
    assert_eq!(
        (it.key, it.id.as_str(), it.name.as_str()),
        (key, "order-1", "checkout")
    );
    assert_eq!((&it.input, it.has_history), (&input, false));
    assert_eq!(it.deadline_at, case.find("order-1").await.deadline_at);
    assert!(it.deadline_at.is_some());
}

/// For whoever measures; the same when it is asked what the executor owns.
pub async fn a_claim_says_where_it_came_from_and_when(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let new = NewWorkflow {
        origin: Some("stripe/paid".to_owned()),
        ..workflow("order-1")
    };
    case.new_workflow(new).await;

    let claimed = worker.claim(10).await;
    assert_eq!(claimed[0].origin.as_deref(), Some("stripe/paid"));
    assert_eq!(claimed[0].created_at, case.find("order-1").await.created_at);
    assert_eq!(worker.owned().await, claimed);
}

/// A claimed workflow runs in its executor from then on.
pub async fn a_claimed_workflow_runs_in_its_executor(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    worker.claim(10).await;

    let row = case.find("order-1").await;
    assert_eq!((row.state, row.executor), (State::Running, Some(worker.id)));
    expect_about(row.started_at.expect("an executor took it"), case.now());
    assert_eq!(row.recoveries, 0);
}

/// What one executor has taken, no executor takes again.
pub async fn a_workflow_is_claimed_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    case.enqueue("order-1").await;

    assert_eq!(one.claim_ids().await, ["order-1"]);
    assert!(other.claim_ids().await.is_empty());
    assert!(one.claim_ids().await.is_empty());
}

/// "How many at most."
pub async fn a_claim_takes_no_more_than_it_asks_for(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for number in 0..5 {
        case.enqueue(&format!("order-{number}")).await;
    }

    assert!(worker.claim(0).await.is_empty());
    assert_eq!(worker.claim(2).await.len(), 2);
    assert_eq!(worker.claim(u32::MAX).await.len(), 3);
}

/// The oldest come first.
pub async fn a_claim_takes_the_oldest_first(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for workflow_id in ["order-3", "order-1", "order-2"] {
        case.enqueue(workflow_id).await;
    }

    for expected in ["order-3", "order-1", "order-2"] {
        assert_eq!(worker.claim(1).await[0].id.as_str(), expected);
    }
}

/// Trap 17: a name is never claimed by an executor that does not know it, and stays visible.
pub async fn an_unknown_name_is_not_claimed(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(with_name("order-1", "refund")).await;

    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// Older work of an unknown name does not hide younger work of a known one.
pub async fn unknown_names_do_not_stand_in_the_way(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for number in 0..20 {
        let refund = with_name(&format!("refund-{number}"), "refund");
        case.new_workflow(refund).await;
    }
    case.enqueue("order-1").await;

    assert_eq!(worker.claim(1).await[0].id.as_str(), "order-1");
}

/// An executor claims every name that it knows.
pub async fn a_claim_takes_every_name_that_it_names(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for name in ["refund", "checkout", "ship"] {
        case.new_workflow(with_name(name, name)).await;
    }
    let mut claim = worker.claim_of(10);
    claim.names = vec!["ship".to_owned(), "refund".to_owned()];

    let mut names: Vec<_> = worker
        .claim_as(claim)
        .await
        .into_iter()
        .map(|it| it.name)
        .collect();
    names.sort();
    assert_eq!(names, ["refund", "ship"]);
}

/// An executor that knows no name gets nothing.
pub async fn a_claim_without_names_takes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    let mut claim = worker.claim_of(10);
    claim.names.clear();

    assert!(worker.claim_as(claim).await.is_empty());
}

/// "Any executor that knows its name": applications bound take-overs, not claims.
pub async fn any_application_that_knows_the_name_may_claim(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register_as("back office", "v1").await;
    case.enqueue("order-1").await;

    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// "The executor; it must be live."
pub async fn a_retired_executor_claims_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    worker.retire().await;

    let claimed = case.store.claim(worker.claim_of(10)).await;
    let error = claimed.expect_err("it is not live");
    assert_eq!(error.kind(), StoreErrorKind::Fenced);
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// "The executor; it must be live": one that was declared dead is not.
pub async fn a_dead_executor_claims_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let zombie = case.register().await;
    case.enqueue("order-1").await;
    case.let_leases_end().await;
    case.register().await.take_over().await;

    let claimed = case.store.claim(zombie.claim_of(10)).await;
    let error = claimed.expect_err("it is not live");
    assert_eq!(error.kind(), StoreErrorKind::Fenced);
    assert_eq!(case.state("order-1").await, State::Enqueued);
}

/// Executors that claim at the same time get disjoint work, and nothing is left over.
pub async fn claims_at_once_get_disjoint_work(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(case.register().await);
    }
    for number in 0..40 {
        case.enqueue(&format!("order-{number:02}")).await;
    }

    let mut claimed = join_all(workers.iter().map(|worker| worker.claim_ids()))
        .await
        .concat();
    claimed.sort();
    let all: Vec<_> = (0..40).map(|number| format!("order-{number:02}")).collect();
    assert_eq!(claimed, all);
}

/// "When an executor first took it": a later one does not change it.
pub async fn the_first_claim_is_when_it_started(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    worker.claim(1).await;
    let first = case.find("order-1").await.started_at;
    worker.retire().await;
    case.advance(DAY).await;
    case.register().await.claim(1).await;

    assert_eq!(case.find("order-1").await.started_at, first);
}

/// What an executor has claimed or started, it can ask for again after an answer was lost.
pub async fn what_is_owned_can_be_asked_for(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    case.enqueue("order-1").await;
    case.enqueue("order-2").await;
    let claimed = worker.claim(1).await;

    assert_eq!(worker.owned().await, claimed);
    // Of some workflows, those that are its own.
    let keys = vec![claimed[0].key, case.find("order-2").await.key];
    let asked = async |of: &ExecutorId| case.store.owned(of, keys.clone()).await;
    assert_eq!(asked(&worker.id).await.expect("owned"), claimed);
    assert!(asked(&other.id).await.expect("owned").is_empty());
}

/// What an executor owns can be asked for without what belongs to it, which is compared often.
pub async fn the_keys_of_what_is_owned_can_be_asked_for(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    for id in ["order-1", "order-2", "order-3"] {
        case.enqueue(id).await;
    }
    let claimed = worker.claim(2).await;
    let keys = async |of: &ExecutorId| {
        let mut keys = case.store.owned_keys(of).await.expect("owned keys");
        keys.sort();
        keys
    };
    let mut expected: Vec<_> = claimed.iter().map(|it| it.key).collect();
    expected.sort();
    assert_eq!(keys(&worker.id).await, expected);
    assert!(keys(&other.id).await.is_empty());
    worker.succeed(expected[0], json!(1)).await;
    assert_eq!(keys(&worker.id).await, expected[1..]);
}

/// What has ended, or was handed back, is owned by nobody.
pub async fn what_was_handed_back_is_not_owned(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    worker.claim(1).await;

    case.store.retire(&worker.id).await.expect("retire");
    assert!(worker.owned().await.is_empty());
}
