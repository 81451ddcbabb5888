//! Queues: their limits hold across every executor, through crashes.

use futures_util::future::join_all;
use serde_json::json;
use stepwell_core::store::{Change, QueueLimits};

use crate::{
    Backend,
    fixture::{Case, limits, queued, with_name},
};

/// Puts workflows `mail-0`, `mail-1`, … into the queue `mail`.
async fn fill(case: &Case<'_>, workflows: u32, limits: QueueLimits) {
    let start = |number| Change::Start(queued(&format!("mail-{number}"), "mail", limits));
    case.commit((0..workflows).map(start).collect()).await;
}

/// A queue without limits hands out all that it has.
pub async fn a_queue_without_limits_hands_out_everything(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 5, limits(None, None)).await;

    assert_eq!(worker.claim(10).await.len(), 5);
}

/// A queue is first in, first out.
pub async fn a_queue_keeps_the_order(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 12, limits(Some(1), None)).await;

    for number in 0..12 {
        let claimed = worker.claim(10).await;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].id.to_string(), format!("mail-{number}"));
        worker.succeed(claimed[0].key, json!(1)).await;
    }
}

/// No more run than the limit allows, until one ends.
pub async fn a_limit_holds_until_a_workflow_ends(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 4, limits(Some(2), None)).await;

    let claimed = worker.claim(10).await;
    assert_eq!(claimed.len(), 2);
    assert!(worker.claim(10).await.is_empty());
    worker.fail(claimed[0].key, json!(1)).await;
    assert_eq!(worker.claim_ids().await, ["mail-2"]);
}

/// A cancelled workflow gives up its place.
pub async fn a_cancelled_workflow_gives_up_its_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 2, limits(Some(1), None)).await;
    worker.claim(10).await;
    case.cancel("mail-0").await;

    assert_eq!(worker.claim_ids().await, ["mail-1"]);
}

/// A stuck workflow gives up its place.
pub async fn a_stuck_workflow_gives_up_its_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 2, limits(Some(1), None)).await;
    let claimed = worker.claim(10).await;
    worker.stick(claimed[0].key, "the code changed").await;

    assert_eq!(worker.claim_ids().await, ["mail-1"]);
}

/// [`QueueLimits::concurrency`] counts across all executors.
pub async fn a_limit_holds_across_executors(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    fill(&case, 5, limits(Some(3), None)).await;

    assert_eq!(one.claim(2).await.len(), 2);
    assert_eq!(other.claim(10).await.len(), 1);
    assert!(one.claim(10).await.is_empty());
}

/// [`QueueLimits::executor_concurrency`] counts in one executor.
pub async fn a_limit_for_each_executor_leaves_room_for_others(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    fill(&case, 5, limits(None, Some(2))).await;

    assert_eq!(one.claim(10).await.len(), 2);
    assert!(one.claim(10).await.is_empty());
    assert_eq!(other.claim(10).await.len(), 2);
}

/// Of two limits the tighter one decides.
pub async fn the_tighter_limit_decides(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    fill(&case, 9, limits(Some(3), Some(2))).await;

    assert_eq!(one.claim(10).await.len(), 2);
    assert_eq!(other.claim(10).await.len(), 1);
}

/// A limit of nothing lets nothing through.
pub async fn a_limit_of_0_hands_out_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 1, limits(Some(0), None)).await;

    assert!(worker.claim(10).await.is_empty());
}

/// Executors that claim at the same time do not break a limit together.
pub async fn a_limit_holds_for_claims_at_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(case.register().await);
    }
    fill(&case, 40, limits(Some(5), Some(2))).await;

    let claimed = join_all(workers.iter().map(|worker| worker.claim(10))).await;
    let each: Vec<_> = claimed.iter().map(Vec::len).collect();
    assert_eq!(each.iter().sum::<usize>(), 5, "{each:?}");
    assert!(each.iter().all(|count| *count <= 2), "{each:?}");
}

/// Every queue has places of its own, and a full one does not stand in another one's way.
pub async fn a_full_queue_does_not_hold_up_another(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 20, limits(Some(1), None)).await;
    worker.claim(1).await;
    case.new_workflow(queued("print-0", "print", limits(Some(1), None)))
        .await;
    case.enqueue("order-1").await;

    let mut claimed = [worker.claim(1).await, worker.claim(1).await].concat();
    claimed.sort_by_key(|it| it.key);
    let ids: Vec<_> = claimed.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["print-0", "order-1"]);
}

/// A queue's limit counts workflows of every name that goes through it.
pub async fn a_limit_counts_every_name_in_the_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 1, limits(Some(1), None)).await;
    worker.claim(1).await;
    let mut refund = queued("refund-1", "mail", limits(Some(1), None));
    refund.name = with_name("refund-1", "refund").name;
    case.new_workflow(refund).await;

    let mut claim = worker.claim_of(10);
    claim.names = vec!["refund".to_owned()];
    assert!(worker.claim_as(claim).await.is_empty());
}

/// "They become the queue's when it does not exist yet", and not when it does.
pub async fn the_first_declared_limits_are_the_queues(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 1, limits(Some(2), None)).await;
    let more = limits(Some(9), None);
    for number in 10..14 {
        case.new_workflow(queued(&format!("mail-{number}"), "mail", more))
            .await;
    }

    assert_eq!(worker.claim(10).await.len(), 2);
}

/// Trap 10: "an orphan counts until it is taken over".
pub async fn an_orphan_counts_until_it_is_taken_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    fill(&case, 2, limits(Some(1), None)).await;
    case.register().await.claim(1).await;
    case.let_leases_end().await;

    let worker = case.register().await;
    assert!(worker.claim(10).await.is_empty());
    worker.take_over().await;
    assert_eq!(worker.claim(10).await.len(), 1);
}

/// Trap 10: "… then at its new owner".
pub async fn an_orphan_counts_at_its_new_owner(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = case.register().await;
    fill(&case, 1, limits(None, Some(1))).await;
    one.claim(1).await;
    one.retire().await;
    let (second, third) = (case.register().await, case.register().await);
    second.claim(1).await;
    case.new_workflow(queued("mail-9", "mail", limits(None, Some(1))))
        .await;

    assert!(second.claim(10).await.is_empty());
    assert_eq!(third.claim_ids().await, ["mail-9"]);
}

/// What was handed back has no place: it waits for one like all others.
pub async fn work_that_was_handed_back_waits_for_a_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = case.register().await;
    fill(&case, 4, limits(Some(2), None)).await;
    one.claim(2).await;
    one.retire().await;

    let other = case.register().await;
    assert_eq!(other.claim(10).await.len(), 2);
    assert!(other.claim(10).await.is_empty());
}
