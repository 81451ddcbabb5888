//! Recovery: a workflow goes on in another executor, its log says how, and it dies in the end.

use jiff::Timestamp;
use serde_json::json;
use stepwell_core::{
    State, Takeover, WorkflowKey,
    store::{Claimed, RecoveryRules},
};

use crate::{
    Backend,
    fixture::{Case, LEASE, Worker, expect_about, limits, queued},
};

/// Everybody dies; a new executor takes over and claims, with patience for so many recoveries.
async fn recover(case: &Case<'_>, recoveries_max: u32) -> (Worker, Vec<Claimed>) {
    case.let_leases_end().await;
    let worker = case.register().await;
    worker.take_over().await;
    let mut claim = worker.claim_of(10);
    claim.rules = RecoveryRules { recoveries_max };
    let claimed = worker.claim_as(claim).await;
    (worker, claimed)
}

async fn takeovers(case: &Case<'_>, key: WorkflowKey) -> Vec<Takeover> {
    let takeovers = case.store.takeovers(key).await;
    takeovers.expect("take-overs can be read")
}

/// What was recorded is there to be replayed, and the run goes on behind it.
pub async fn a_recovered_workflow_has_its_history(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let key = dead.start("order-1").await;
    dead.record(key, 0, "charge", json!(1)).await;

    let (worker, claimed) = recover(&case, 9).await;
    assert_eq!((claimed.len(), claimed[0].key), (1, key));
    assert!(claimed[0].has_history);
    worker.record(key, 1, "ship", json!(2)).await;
    assert_eq!(case.places(key).await, ["", "0", "1"]);
}

/// Every recovery counts until there is a new record.
pub async fn recoveries_are_counted(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.register().await.start("order-1").await;
    assert_eq!(case.find("order-1").await.recoveries, 0);

    recover(&case, 9).await;
    assert_eq!(case.find("order-1").await.recoveries, 1);
    recover(&case, 9).await;
    assert_eq!(case.find("order-1").await.recoveries, 2);
}

/// "Progress resets the count": the next recovery is the first one again.
pub async fn progress_resets_the_count(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.register().await.start("order-1").await;
    recover(&case, 2).await;
    let (worker, _) = recover(&case, 2).await;
    worker.record(key, 0, "charge", json!(1)).await;

    for expected in [1, 2] {
        recover(&case, 2).await;
        let row = case.find("order-1").await;
        assert_eq!((row.state, row.recoveries), (State::Running, expected));
    }
}

/// A workflow is dead as soon as [`RecoveryRules::is_dead`] says so, and not before.
pub async fn a_workflow_without_progress_dies(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let rules = RecoveryRules { recoveries_max: 2 };
    case.register().await.start("order-1").await;

    for recoveries in 1..=3 {
        let (_, claimed) = recover(&case, rules.recoveries_max).await;
        let dead = rules.is_dead(recoveries);
        assert_eq!(claimed.is_empty(), dead, "after {recoveries} recoveries");
        assert_eq!(case.state("order-1").await == State::Dead, dead);
    }
    assert!(case.find("order-1").await.reason.is_some());
}

/// A dead workflow is at rest: nobody gets it, nobody takes it over.
pub async fn a_dead_workflow_stays_dead(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.register().await.start("order-1").await;
    let (worker, claimed) = recover(&case, 0).await;
    assert!(claimed.is_empty());

    assert!(worker.claim_ids().await.is_empty());
    let (_, claimed) = recover(&case, 9).await;
    assert!(claimed.is_empty());
    assert_eq!(case.state("order-1").await, State::Dead);
}

/// What is found dead does not use up what a claim may take.
pub async fn the_dead_do_not_stand_in_the_way(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let first = case.register().await;
    let one = limits(Some(1), None);
    case.new_workflow(queued("mail-1", "mail", one)).await;
    first.claim(1).await;
    case.new_workflow(queued("mail-2", "mail", one)).await;
    recover(&case, 0).await;

    let worker = case.register().await;
    let left = worker.claim_ids().await;
    assert_eq!(case.state("mail-1").await, State::Dead);
    assert_eq!(case.state("mail-2").await, State::Running, "{left:?}");
}

/// An end of the dying executor that was in time is not recovered.
pub async fn what_has_ended_is_not_recovered(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let key = dead.start("order-1").await;
    dead.succeed(key, json!(1)).await;

    let (_, claimed) = recover(&case, 9).await;
    assert!(claimed.is_empty());
    assert!(takeovers(&case, key).await.is_empty());
}

/// A first claim takes nothing over.
pub async fn a_first_claim_is_no_take_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.enqueue("order-1").await;
    case.register().await.claim(1).await;

    assert!(takeovers(&case, key).await.is_empty());
}

/// The log says whose workflow went from whom to whom, when and why.
pub async fn a_take_over_is_logged(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let key = dead.start("order-1").await;
    let (worker, _) = recover(&case, 9).await;

    let log = takeovers(&case, key).await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0].from, &log[0].to), (&dead.id, &worker.id));
    assert_eq!(log[0].workflow.as_str(), "order-1");
    assert_eq!(log[0].why, "lease ended");
}

/// A take-over is in the log when somebody goes on, with both instants.
pub async fn a_take_over_has_two_instants(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.register().await.start("order-1").await;
    case.let_leases_end().await;
    let worker = case.register().await;
    let declared: Timestamp = case.now();
    worker.take_over().await;
    case.advance(LEASE / 2).await;
    worker.claim(1).await;

    let log = takeovers(&case, key).await;
    expect_about(log[0].lost_at, declared);
    expect_about(log[0].at, declared + LEASE / 2);
}

/// "How many records were there to be replayed": what the operations left, without the input.
pub async fn a_take_over_counts_what_is_replayed(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let dead = case.register().await;
    let key = dead.start("order-1").await;
    dead.record(key, 0, "charge", json!(1)).await;
    dead.record(key, 1, "ship", json!(1)).await;
    recover(&case, 9).await;

    assert_eq!(takeovers(&case, key).await[0].replayed, 2);
}

/// Work that a retiring executor hands back is logged as such.
pub async fn a_hand_back_is_logged(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;
    one.retire().await;
    other.claim(1).await;

    let log = takeovers(&case, key).await;
    assert_eq!((log.len(), log[0].why.as_str()), (1, "handed back"));
    assert_eq!((&log[0].from, &log[0].to), (&one.id, &other.id));
}

/// "The take-overs of a workflow, oldest first", and of no other.
pub async fn take_overs_are_listed_oldest_first(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let first = case.register().await;
    let (key, done) = (first.start("order-1").await, first.start("done").await);
    first.succeed(done, json!(1)).await;
    let (second, _) = recover(&case, 9).await;
    let (third, _) = recover(&case, 9).await;

    let log = takeovers(&case, key).await;
    let chain: Vec<_> = log.iter().map(|it| (&it.from, &it.to)).collect();
    assert_eq!(chain, [(&first.id, &second.id), (&second.id, &third.id)]);
    assert!(takeovers(&case, done).await.is_empty());
}

/// A hand-back is no failed recovery: a workflow that waits through many deployments does not die.
pub async fn a_hand_back_is_no_recovery(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let mut worker = case.register().await;
    worker.start("order-1").await;

    for _ in 0..3 {
        worker.retire().await;
        worker = case.register().await;
        let mut claim = worker.claim_of(1);
        claim.rules = RecoveryRules { recoveries_max: 1 };
        assert_eq!(worker.claim_as(claim).await.len(), 1);
    }
    assert_eq!(case.find("order-1").await.recoveries, 0);
}
