//! Executors and their leases, and the fence that stands on them.

use serde_json::json;
use stepwell_core::{
    End, ExecutorId, State, WorkflowKey,
    store::{
        Batch, Cancel, CancelCause, Change, Executor, Fork, Progress, Renewed, StoreErrorKind,
    },
};

use crate::{
    Backend,
    fixture::{
        Case, DAY, LEASE, VERSION, Worker, expect_about, here, id, message, new_executor, payload,
        step, workflow,
    },
};

async fn executors(case: &Case<'_>) -> Vec<Executor> {
    case.store.executors().await.expect("executors can be read")
}

async fn find(case: &Case<'_>, executor: &ExecutorId) -> Option<Executor> {
    executors(case)
        .await
        .into_iter()
        .find(|it| it.id == *executor)
}

/// One of every change that an executor can hand in, around its workflow `order-1`.
fn every_change(worker: &Worker, key: WorkflowKey) -> Vec<Change> {
    let records = vec![step(0, "charge", json!(1))];
    let cancel = Cancel {
        id: id("order-2"),
        cause: CancelCause::Request,
    };
    let from = stepwell_core::Position::top(0);
    let fork = Fork::new(id("order-1"), id("fork"), from);
    vec![
        Change::Start(here("started")),
        Change::Start(workflow("enqueued")),
        Change::Progress(Progress {
            key,
            records,
            effects: Vec::new(),
        }),
        Change::Finish(worker.finish_of(key, End::Succeeded(payload(json!(1))))),
        Change::Send(message("order-2", json!(1))),
        Change::Cancel(cancel),
        Change::Resume(id("order-3")),
        Change::Fork(fork),
    ]
}

/// A new incarnation is known with all that it said of itself.
pub async fn a_registered_executor_is_known(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register_as("back office", "v7").await;

    let it = find(&case, &worker.id).await.expect("it is live");
    assert_eq!(
        (it.application.as_str(), it.version.as_str()),
        ("back office", "v7")
    );
    assert_eq!((it.host.as_str(), it.pid), ("host-1", std::process::id()));
    expect_about(it.started_at, case.now());
    expect_about(it.lease_expires_at, case.now() + LEASE);
    assert_eq!(it.ended_at, None);
}

/// A registration whose answer was lost is repeated: it is the same incarnation.
pub async fn an_executor_that_registers_twice_is_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = new_executor("shop", VERSION);
    for _ in 0..2 {
        let registered = case.store.register(new.clone()).await;
        registered.expect("an executor can be registered");
    }

    assert_eq!(executors(&case).await.len(), 1);
}

/// "Lengthens the lease by its duration from now."
pub async fn a_renewal_counts_from_now(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.advance(LEASE / 2).await;

    assert_eq!(worker.renew().await, Renewed::Live);
    let it = find(&case, &worker.id).await.expect("it is live");
    expect_about(it.lease_expires_at, case.now() + LEASE);
    expect_about(it.started_at, case.now() - LEASE / 2);
}

/// Who renews in time keeps its workflows for as long as it likes.
pub async fn who_renews_in_time_stays_live(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    for _ in 0..4 {
        case.advance(LEASE / 2).await;
        worker.renew().await;
    }

    case.register().await.take_over().await;
    assert_eq!(worker.renew().await, Renewed::Live);
    worker.record(key, 0, "charge", json!(1)).await;
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// [`Renewed::Lost`] comes from a declaration, not from the clock: after an outage of the database
/// executors renew before anybody looks for the dead (trap 5).
pub async fn a_late_renewal_counts_while_nobody_has_taken_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.start("order-1").await;
    case.let_leases_end().await;

    assert_eq!(worker.renew().await, Renewed::Live);
    assert!(case.register().await.take_over().await.executors.is_empty());
    assert_eq!(case.find("order-1").await.executor, Some(worker.id));
}

/// [`Renewed::Lost`]: "the executor was declared dead".
pub async fn a_dead_executor_cannot_renew(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let zombie = case.register().await;
    case.let_leases_end().await;
    case.register().await.take_over().await;

    assert_eq!(zombie.renew().await, Renewed::Lost);
    assert_eq!(zombie.renew().await, Renewed::Lost);
}

/// A retired executor is none any more.
pub async fn a_retired_executor_cannot_renew(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.retire().await;

    assert_eq!(worker.renew().await, Renewed::Lost);
}

/// "Hands back what it still has, so that others take it at once": without a take-over.
pub async fn a_retired_executor_hands_its_work_back(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    one.start("order-1").await;
    one.start("order-2").await;
    one.retire().await;

    assert_eq!(case.state("order-1").await, State::Enqueued);
    assert_eq!(other.claim_ids().await, ["order-1", "order-2"]);
    assert_eq!(case.find("order-1").await.executor, Some(other.id));
}

/// What has ended is not handed back.
pub async fn a_retired_executors_results_stay(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;
    one.succeed(key, json!(1)).await;
    one.start("order-2").await;
    case.cancel("order-2").await;
    one.retire().await;

    assert!(other.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Succeeded);
    assert_eq!(case.state("order-2").await, State::Cancelled);
}

/// A retirement whose answer was lost is repeated.
pub async fn an_executor_can_retire_twice(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    one.start("order-1").await;
    one.retire().await;
    other.claim(1).await;
    one.retire().await;

    assert_eq!(case.find("order-1").await.executor, Some(other.id));
    assert_eq!(case.state("order-1").await, State::Running);
}

/// "Every executor that is live or has work."
pub async fn an_executor_that_left_nothing_is_not_shown(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    one.retire().await;

    let shown: Vec<_> = executors(&case).await.into_iter().map(|it| it.id).collect();
    assert_eq!(shown, [other.id]);
}

/// "Every executor that is live or has work": also one that is silent for long.
pub async fn a_silent_executor_with_work_is_shown(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let silent = case.register().await;
    silent.start("order-1").await;
    case.advance(DAY).await;

    let it = find(&case, &silent.id).await.expect("it has work");
    assert!(it.lease_expires_at < case.now());
}

/// A zombie's batch after the take-over is refused whole and writes nothing (trap 3).
pub async fn a_zombies_batch_writes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.enqueue("order-2").await;
    case.enqueue("order-3").await;
    case.cancel("order-3").await;
    let zombie = case.register().await;
    let key = zombie.start("order-1").await;
    case.let_leases_end().await;
    case.register().await.take_over().await;
    let before = case.list(stepwell_core::store::Filter::default()).await;

    zombie.expect_fenced(every_change(&zombie, key)).await;
    assert_eq!(
        case.list(stepwell_core::store::Filter::default()).await,
        before
    );
    assert_eq!(case.places(key).await, [""]);
    assert_eq!(case.state("order-1").await, State::Enqueued);
    assert_eq!(case.state("order-2").await, State::Enqueued);
    assert_eq!(case.state("order-3").await, State::Cancelled);
    let to = case.find("order-2").await.key;
    assert!(case.inbox(to, "").await.is_empty());
}

/// A zombie whose workflow runs again elsewhere is no danger to that run.
pub async fn a_zombie_does_not_disturb_the_new_run(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let zombie = case.register().await;
    let key = zombie.start("order-1").await;
    case.let_leases_end().await;
    let worker = case.register().await;
    worker.take_over().await;
    worker.claim(1).await;

    zombie.expect_fenced(every_change(&zombie, key)).await;
    worker.record(key, 0, "charge", json!("once")).await;
    assert_eq!(case.places(key).await, ["", "0"]);
}

/// A retired executor is fenced like a dead one.
pub async fn a_retired_executors_batch_writes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.retire().await;

    worker
        .expect_fenced(vec![Change::Start(workflow("order-1"))])
        .await;
    assert!(
        case.list(stepwell_core::store::Filter::default())
            .await
            .is_empty()
    );
}

/// Who never registered is not live.
pub async fn an_unknown_executors_batch_writes_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let batch = Batch {
        executor: Some(ExecutorId::generate()),
        changes: vec![Change::Start(workflow("order-1"))],
    };

    let error = case.store.commit(batch).await.expect_err("it is not live");
    assert_eq!(error.kind(), StoreErrorKind::Fenced);
    assert!(
        case.list(stepwell_core::store::Filter::default())
            .await
            .is_empty()
    );
}

/// A client has no lease to lose.
pub async fn a_client_is_never_fenced(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.let_leases_end().await;
    case.register().await.take_over().await;

    case.enqueue("order-1").await;
    assert_eq!(case.state("order-1").await, State::Enqueued);
}
