//! Alerts: workflows that are started together with an end, or not at all.

use serde_json::json;
use stepwell_core::{
    End, State, Unique, WorkflowKey,
    store::{Applied, Change, Filter, Finish, Finished, NewWorkflow, QueueLimits},
};

use crate::{
    Backend,
    fixture::{Case, Worker, payload, queued, workflow},
};

fn failed() -> End {
    End::Failed {
        error: payload(json!("no stock")),
        fingerprint: "OutOfStock: no stock".to_owned(),
        reason: "no stock".to_owned(),
    }
}

fn alerting(worker: &Worker, key: WorkflowKey, end: End, alerts: Vec<NewWorkflow>) -> Change {
    Change::Finish(Finish {
        alerts,
        ..worker.finish_of(key, end)
    })
}

async fn ends(worker: &Worker, change: Change) -> Finished {
    match worker.commit(vec![change]).await.as_slice() {
        [Applied::Finish(finished)] => *finished,
        other => panic!("an end came to {other:?}"),
    }
}

/// It is there when the end is, with its input, and any executor may take it.
pub async fn an_alert_is_started_with_an_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for (number, end) in [
        failed(),
        End::Stuck {
            reason: "other code".to_owned(),
        },
    ]
    .into_iter()
    .enumerate()
    {
        let key = worker.start(&format!("order-{number}")).await;
        let alert = workflow(&format!("alert-{number}"));
        let change = alerting(&worker, key, end, vec![alert]);
        assert_eq!(ends(&worker, change).await, Finished::Now);
    }
    assert_eq!(case.state("order-0").await, State::Failed);
    assert_eq!(case.state("order-1").await, State::Stuck);
    let other = case.register().await;
    assert_eq!(other.claim_ids().await, ["alert-0", "alert-1"]);
}

/// "The same end handed in again": its alert is not started once more, even if it has been deleted.
pub async fn an_end_that_comes_again_starts_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let change = alerting(&worker, key, failed(), vec![workflow("alert")]);
    assert_eq!(ends(&worker, change.clone()).await, Finished::Now);
    let alert = worker.claim(1).await.remove(0);
    worker.succeed(alert.key, json!(1)).await;
    case.delete("alert").await;

    let again = Finished::Already(State::Failed);
    assert_eq!(ends(&worker, change).await, again);
    assert_eq!(case.list(Filter::default()).await, ["order-1"]);
}

/// Nobody is alerted by what did not happen.
pub async fn an_end_that_is_refused_starts_no_alert(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let cancelled = worker.start("cancelled").await;
    case.cancel("cancelled").await;
    let change = alerting(&worker, cancelled, failed(), vec![workflow("alert-1")]);
    assert_eq!(
        ends(&worker, change).await,
        Finished::Already(State::Cancelled)
    );

    let other = case.register().await;
    let theirs = other.start("theirs").await;
    let change = alerting(&worker, theirs, failed(), vec![workflow("alert-2")]);
    assert_eq!(ends(&worker, change).await, Finished::NotMine);
    assert_eq!(case.list(Filter::default()).await, ["theirs", "cancelled"]);
}

/// An alert that cannot be started holds up no end: one that is there, one of a kind, a full queue. One
/// whose id belongs to other work is started beside it.
pub async fn an_alert_that_is_refused_stops_no_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(workflow("there")).await;
    let of_kind = |id: &str| NewWorkflow {
        unique: Some(Box::new(Unique::new("stock"))),
        ..workflow(id)
    };
    case.new_workflow(of_kind("kind")).await;
    let bound = QueueLimits {
        waiting_max: Some(1),
        ..QueueLimits::default()
    };
    case.new_workflow(queued("mail-1", "mail", bound)).await;
    let other_input = NewWorkflow {
        input: payload(json!(["other"])),
        ..workflow("there")
    };
    let key = worker.start("order-1").await;
    let alerts = vec![
        workflow("there"),
        other_input,
        of_kind("kind-2"),
        queued("mail-2", "mail", bound),
        workflow("new"),
    ];
    let change = alerting(&worker, key, failed(), alerts);
    assert_eq!(ends(&worker, change).await, Finished::Now);
    assert_eq!(case.state("order-1").await, State::Failed);
    let all = case.list(Filter::default()).await;
    let beside = "there~beside-";
    assert!(all[1].starts_with(beside), "{all:?}");
    let others: Vec<_> = all.iter().filter(|id| !id.starts_with(beside)).collect();
    assert_eq!(others, ["new", "order-1", "mail-1", "kind", "there"]);
}

/// Each has its own, in the order of the batch; an end without one stands between them.
pub async fn ends_of_a_batch_start_their_alerts(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let mut changes = Vec::new();
    for number in 0..6 {
        let key = worker.start(&format!("order-{number}")).await;
        let alerts = match number % 2 {
            0 => vec![queued(
                &format!("alert-{number}"),
                "alerts",
                QueueLimits::default(),
            )],
            _ => Vec::new(),
        };
        changes.push(alerting(&worker, key, failed(), alerts));
    }
    let ended = worker.commit(changes).await;
    let is_now = |it: &Applied| matches!(it, Applied::Finish(Finished::Now));
    assert!(ended.iter().all(is_now), "{ended:?}");
    assert_eq!(worker.claim_ids().await, ["alert-0", "alert-2", "alert-4"]);
}
