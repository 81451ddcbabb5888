//! Queues, steered by a person while they work.

use stepwell_core::store::{Change, QueueChange, QueueChanged, QueueInfo, QueueLimits};

use crate::{
    Backend,
    fixture::{Case, expect_about, limits, only, queued},
};

async fn change(case: &Case<'_>, change: QueueChange) -> QueueChanged {
    let applied = case.commit(vec![Change::Queue(change)]).await.pop();
    only!(applied.expect("a change has an outcome"), Queue)
}

async fn limit(case: &Case<'_>, limits: QueueLimits) -> QueueChanged {
    let name = "mail".to_owned();
    change(case, QueueChange::Limit { name, limits }).await
}

async fn pause(case: &Case<'_>, by: &str) -> QueueChanged {
    let pause = QueueChange::Pause {
        name: "mail".to_owned(),
        by: by.to_owned(),
        why: "the relay is down".to_owned(),
    };
    change(case, pause).await
}

async fn resume(case: &Case<'_>) -> QueueChanged {
    let name = "mail".to_owned();
    change(case, QueueChange::Resume { name }).await
}

/// A queue `mail` with a limit of one and workflows `mail-0` to `mail-3`.
async fn mail(backend: &dyn Backend) -> Case<'_> {
    let case = Case::new(backend).await;
    for number in 0..4 {
        let id = format!("mail-{number}");
        case.new_workflow(queued(&id, "mail", limits(Some(1), None)))
            .await;
    }
    case
}

async fn the_one(case: &Case<'_>) -> QueueInfo {
    let mut all = case.store.queues().await.expect("queues can be read");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// What the console shows of it.
pub async fn a_queue_says_how_it_stands(backend: &dyn Backend) {
    let case = mail(backend).await;
    let worker = case.register().await;
    worker.claim(10).await;

    let queue = the_one(&case).await;
    assert_eq!(queue.name, "mail");
    assert_eq!(queue.limits, limits(Some(1), None));
    assert_eq!((queue.waiting, queue.running), (3, 1));
    assert_eq!(queue.paused, None);
}

/// Nobody asks what was started in it: the first start makes it.
pub async fn a_queue_that_nobody_named_is_not_there(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert!(
        case.store
            .queues()
            .await
            .expect("queues can be read")
            .is_empty()
    );
    assert_eq!(pause(&case, "ann").await, QueueChanged::NoSuchQueue);
    assert_eq!(resume(&case).await, QueueChanged::NoSuchQueue);
    assert_eq!(
        limit(&case, limits(None, None)).await,
        QueueChanged::NoSuchQueue
    );
}

/// What waits waits on; what runs goes on.
pub async fn a_paused_queue_lets_nothing_begin(backend: &dyn Backend) {
    let case = mail(backend).await;
    let worker = case.register().await;
    limit(&case, limits(None, None)).await;
    let running = worker.claim(1).await;
    assert_eq!(pause(&case, "ann").await, QueueChanged::Done);

    assert!(worker.claim(10).await.is_empty());
    worker.succeed(running[0].key, serde_json::json!(1)).await;
    assert!(worker.claim(10).await.is_empty());
    assert_eq!(the_one(&case).await.waiting, 3);
}

/// Who paused it, when and why, is shown; the first one counts.
pub async fn a_pause_says_who_and_why(backend: &dyn Backend) {
    let case = mail(backend).await;
    assert_eq!(pause(&case, "ann").await, QueueChanged::Done);
    assert_eq!(pause(&case, "bob").await, QueueChanged::Already);

    let paused = the_one(&case).await.paused.expect("it is paused");
    assert_eq!(
        (paused.by.as_str(), paused.why.as_str()),
        ("ann", "the relay is down")
    );
    expect_about(paused.at, case.now());
}

/// It goes on where it stopped.
pub async fn a_resumed_queue_goes_on(backend: &dyn Backend) {
    let case = mail(backend).await;
    let worker = case.register().await;
    pause(&case, "ann").await;

    assert_eq!(resume(&case).await, QueueChanged::Done);
    assert_eq!(resume(&case).await, QueueChanged::Already);
    assert_eq!(worker.claim_ids().await, ["mail-0"]);
}

/// A higher limit lets more begin at once.
pub async fn a_raised_limit_counts_at_once(backend: &dyn Backend) {
    let case = mail(backend).await;
    let worker = case.register().await;
    worker.claim(10).await;

    assert_eq!(
        limit(&case, limits(Some(3), None)).await,
        QueueChanged::Done
    );
    assert_eq!(worker.claim(10).await.len(), 2);
    assert_eq!(
        limit(&case, limits(Some(3), None)).await,
        QueueChanged::Already
    );
}

/// A lower limit is reached by draining.
pub async fn a_lowered_limit_is_reached_by_draining(backend: &dyn Backend) {
    let case = mail(backend).await;
    let worker = case.register().await;
    limit(&case, limits(Some(3), None)).await;
    let running = worker.claim(10).await;
    assert_eq!(running.len(), 3);
    limit(&case, limits(Some(1), None)).await;

    for claimed in &running[..2] {
        worker.succeed(claimed.key, serde_json::json!(1)).await;
        assert!(worker.claim(10).await.is_empty());
    }
    worker.succeed(running[2].key, serde_json::json!(1)).await;
    assert_eq!(worker.claim_ids().await, ["mail-3"]);
}

/// A start names the limits of its code; a person's are the queue's.
pub async fn a_start_does_not_undo_a_persons_limit(backend: &dyn Backend) {
    let case = mail(backend).await;
    limit(&case, limits(Some(3), Some(2))).await;
    case.new_workflow(queued("mail-4", "mail", limits(Some(1), None)))
        .await;

    assert_eq!(the_one(&case).await.limits, limits(Some(3), Some(2)));
}
