//! A workflow that this code cannot run waits for code that can.

use serde_json::json;
use stepwell_core::{State, WorkflowKey, store::NewWorkflow};

use crate::{
    Backend,
    fixture::{Case, MINUTE, Worker, here, limits, queued, with_name},
};

const REASON: &str = "operation 3 was `charge` when it first ran and is `bill` now";

async fn stuck(worker: &Worker) -> WorkflowKey {
    let key = worker.start("order-1").await;
    worker.stick(key, REASON).await;
    key
}

/// The version that cannot run it does not try again, in any process.
pub async fn the_same_version_does_not_try_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    stuck(&worker).await;

    assert!(worker.claim_ids().await.is_empty());
    assert!(case.register().await.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Stuck);
}

/// "Also lets those that are stuck in another version try this one."
pub async fn another_version_tries(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register().await;
    let key = stuck(&old).await;
    let new = case.register_version("v2").await;

    assert_eq!(new.claim_ids().await, ["order-1"]);
    let row = case.find("order-1").await;
    assert_eq!((row.state, row.reason), (State::Running, None));
    new.succeed(key, json!(1)).await;
    assert_eq!(case.state("order-1").await, State::Succeeded);
}

/// "An older or newer executor that can will pick it up."
pub async fn an_older_version_tries_too(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = case.register_version("v2").await;
    stuck(&new).await;

    assert_eq!(
        case.register_version("v1").await.claim_ids().await,
        ["order-1"]
    );
}

/// Two versions that both cannot run it do not throw it to and fro.
pub async fn what_is_stuck_in_two_versions_rests(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (old, new) = (case.register().await, case.register_version("v2").await);
    let key = stuck(&old).await;
    new.claim(1).await;
    new.stick(key, REASON).await;

    assert!(new.claim_ids().await.is_empty());
    assert!(old.claim_ids().await.is_empty());
    assert_eq!(
        case.register_version("v3").await.claim_ids().await,
        ["order-1"]
    );
}

/// Another version must know the name as well.
pub async fn another_version_must_know_the_name(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register().await;
    stuck(&old).await;
    let new = case.register_version("v2").await;
    let mut claim = new.claim_of(10);
    claim.names = vec![with_name("order-1", "refund").name];

    assert!(new.claim_as(claim).await.is_empty());
    assert_eq!(case.state("order-1").await, State::Stuck);
}

/// What tries another version waits for a place in its queue like all others.
pub async fn another_version_keeps_to_the_queues_limit(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (old, new) = (case.register().await, case.register_version("v2").await);
    let one = limits(Some(1), None);
    let key = case.new_workflow(queued("mail-1", "mail", one)).await;
    old.claim(1).await;
    old.stick(key, REASON).await;
    case.new_workflow(queued("mail-2", "mail", one)).await;

    assert_eq!(old.claim_ids().await, ["mail-2"]);
    assert!(new.claim_ids().await.is_empty());
    case.cancel("mail-2").await;
    assert_eq!(new.claim_ids().await, ["mail-1"]);
}

/// What is stuck is nobody's: it is not taken over.
pub async fn a_stuck_workflow_is_not_taken_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    stuck(&case.register().await).await;
    case.let_leases_end().await;

    let taken = case.register().await.take_over().await;
    assert_eq!(taken.workflows, 0);
    assert_eq!(case.find("order-1").await.reason.as_deref(), Some(REASON));
}

/// A resumption forgets which versions could not run it: each may try again.
pub async fn a_resumption_forgets_the_versions(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (old, new) = (case.register().await, case.register_version("v2").await);
    let key = stuck(&old).await;
    new.claim(1).await;
    new.stick(key, REASON).await;
    case.resume("order-1").await;
    old.claim(1).await;
    old.stick(key, "once more").await;

    assert!(old.claim_ids().await.is_empty());
    assert_eq!(new.claim_ids().await, ["order-1"]);
}

/// Another version tries all that are stuck, as many at a time as it asks for.
pub async fn another_version_tries_them_step_by_step(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (old, new) = (case.register().await, case.register_version("v2").await);
    for number in 0..5 {
        let key = old.start(&format!("order-{number}")).await;
        old.stick(key, REASON).await;
    }

    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(new.claim(2).await.len());
    }
    assert_eq!(counts, [2, 2, 1, 0]);
}

/// A version that comes to know a name later tries what is stuck under it.
pub async fn a_name_that_is_learnt_later_is_tried(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register().await;
    stuck(&old).await;
    let new = case.register_version("v2").await;
    let mut claim = new.claim_of(10);
    claim.names = vec!["refund".to_owned()];
    new.claim_as(claim).await;

    assert_eq!(new.claim_ids().await, ["order-1"]);
}

async fn is_untried(case: &Case<'_>, key: WorkflowKey) -> bool {
    let untried = case.store.is_untried(key, MINUTE).await;
    untried.expect("the store can be asked")
}

/// "A live executor has a version that did not get stuck in it and has not come past it yet."
pub async fn a_stuck_workflow_is_untried_while_another_live_version_may_try_it(
    backend: &dyn Backend,
) {
    let case = Case::new(backend).await;
    let old = case.register().await;
    let key = stuck(&old).await;
    assert!(!is_untried(&case, key).await);
    let new = case.register_version("v2").await;
    assert!(is_untried(&case, key).await);

    assert_eq!(new.claim_ids().await, ["order-1"]);
    assert!(!is_untried(&case, key).await, "it runs");
    new.stick(key, REASON).await;
    assert!(!is_untried(&case, key).await, "both have tried");
    case.register_version("v3").await;
    assert!(is_untried(&case, key).await);
    case.let_leases_end().await;
    assert!(!is_untried(&case, key).await, "nobody is there");
}

/// "Of an executor that never looked at anything of its name nobody knows whether it will."
pub async fn who_may_not_know_the_name_is_waited_for_with_patience(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register().await;
    let first = old.start("order-0").await;
    old.stick(first, REASON).await;
    let new = case.register_version("v2").await;
    new.claim(1).await;
    let known = stuck(&old).await;
    let refund = NewWorkflow {
        name: "refund".to_owned(),
        ..here("refund-1")
    };
    let unknown = old.new_workflow(refund).await;
    old.stick(unknown, REASON).await;
    assert!(is_untried(&case, known).await);
    assert!(is_untried(&case, unknown).await);

    case.advance(MINUTE).await;
    old.renew().await;
    new.renew().await;
    assert!(is_untried(&case, known).await, "it knows the name");
    assert!(!is_untried(&case, unknown).await);
}
