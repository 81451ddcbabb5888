//! Bounded queues: so many may wait.

use serde_json::json;
use stepwell_core::{
    Position, State,
    store::{Cancel, CancelCause, Change, Fork, QueueChange, QueueLimits, Started},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, child_of, id, only, queued},
};

fn bounded(waiting_max: u32) -> QueueLimits {
    QueueLimits {
        waiting_max: Some(waiting_max),
        ..QueueLimits::default()
    }
}

async fn start(case: &Case<'_>, workflow_id: &str, limits: QueueLimits) -> Started {
    case.start(queued(workflow_id, "mail", limits)).await
}

/// What is too much is refused, and leaves nothing behind.
pub async fn a_full_queue_refuses_more(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for id in ["a", "b"] {
        case.new_workflow(queued(id, "mail", bounded(2))).await;
    }

    assert_eq!(
        start(&case, "c", bounded(2)).await,
        Started::Full { waiting_max: 2 }
    );
    assert_eq!(case.list(Default::default()).await.len(), 2);
}

/// What runs does not wait.
pub async fn a_claim_makes_room(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(queued("a", "mail", bounded(1))).await;
    assert_eq!(
        start(&case, "b", bounded(1)).await,
        Started::Full { waiting_max: 1 }
    );
    worker.claim(1).await;

    case.new_workflow(queued("b", "mail", bounded(1))).await;
}

/// "The same id again starts nothing": whether or not the queue is full now.
pub async fn what_was_started_is_found_in_a_full_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.new_workflow(queued("a", "mail", bounded(1))).await;

    let again = Started::Existing {
        key,
        state: State::Enqueued,
        mine: false,
        nonce: None,
    };
    assert_eq!(start(&case, "a", bounded(1)).await, again);
}

/// What a batch takes out of a queue leaves its place to what comes behind it in the batch.
pub async fn a_batch_that_makes_room_fills_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = |id: &str| Change::Start(queued(id, "mail", bounded(1)));
    let cancel = Change::Cancel(Cancel {
        id: id("a"),
        cause: CancelCause::Request,
    });
    let applied = case.commit(vec![one("a"), cancel, one("b")]).await;

    let last = applied.into_iter().next_back().expect("it has outcomes");
    let started = only!(last, Start);
    assert!(matches!(started, Started::New { .. }), "{started:?}");
}

/// What a batch puts into a queue by a fork counts for what comes behind it in the batch.
pub async fn a_fork_counts_for_its_batch(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(queued("a", "mail", bounded(2))).await;
    let again = Change::Start(queued("a", "mail", bounded(2)));
    let fork = Change::Fork(Fork::new(id("a"), id("b"), Position::top(0)));
    let more = Change::Start(queued("c", "mail", bounded(2)));
    let applied = case.commit(vec![again, fork, more]).await;

    let last = applied.into_iter().next_back().expect("it has outcomes");
    assert_eq!(only!(last, Start), Started::Full { waiting_max: 2 });
}

/// "They become the queue's when it does not exist yet": the first start of a batch makes it.
pub async fn the_first_start_of_a_batch_makes_its_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let bounded = queued("a", "mail", bounded(7));
    let free = queued("b", "mail", QueueLimits::default());
    case.commit(vec![Change::Start(bounded), Change::Start(free)])
        .await;

    let queues = case.store.queues().await.expect("queues can be read");
    assert_eq!(queues[0].limits.waiting_max, Some(7));
}

/// The starts of one batch count among themselves.
pub async fn a_batch_fills_a_queue_no_further(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let starts =
        (0..5).map(|number| Change::Start(queued(&format!("mail-{number}"), "mail", bounded(3))));
    let applied = case.commit(starts.collect()).await;
    let mut new = 0;
    for started in applied {
        match only!(started, Start) {
            Started::New { .. } => new += 1,
            other => assert_eq!(other, Started::Full { waiting_max: 3 }),
        }
    }
    assert_eq!(new, 3);
}

/// Clients that start at once do not overfill it together.
pub async fn starts_at_once_fill_a_queue_no_further(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let ids: Vec<_> = (0..20).map(|number| format!("mail-{number}")).collect();
    let starts = ids.iter().map(|id| start(&case, id, bounded(4)));
    let started = futures_util::future::join_all(starts).await;
    let is_new = |it: &&Started| matches!(it, Started::New { .. });
    assert_eq!(started.iter().filter(is_new).count(), 4);
}

/// A parent may hold the place that the queue waits for: its child is let in.
pub async fn a_child_is_let_in(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("parent").await;
    case.new_workflow(queued("a", "mail", bounded(1))).await;
    let mut child = queued("child", "mail", bounded(1));
    child.parent = child_of(parent, "child").parent;
    let effects = vec![stepwell_core::store::Effect::Start(child)];
    worker.effects(parent, 0, effects).await;

    assert_eq!(case.state("child").await, State::Enqueued);
    worker.succeed(parent, json!(1)).await;
}

/// What is delayed does not wait in the queue yet.
pub async fn what_is_delayed_does_not_count(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let mut delayed = queued("a", "mail", bounded(1));
    delayed.delay = Some(MINUTE);
    case.new_workflow(delayed).await;
    case.new_workflow(queued("b", "mail", bounded(1))).await;
    let mut delayed = queued("c", "mail", bounded(1));
    delayed.delay = Some(MINUTE);
    case.new_workflow(delayed).await;
}

/// A bound that a person sets holds, whatever the code declares.
pub async fn a_persons_bound_counts(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(queued("a", "mail", QueueLimits::default()))
        .await;
    let limit = QueueChange::Limit {
        name: "mail".to_owned(),
        limits: bounded(2),
    };
    case.commit(vec![Change::Queue(limit)]).await;

    case.new_workflow(queued("b", "mail", QueueLimits::default()))
        .await;
    assert_eq!(
        start(&case, "c", QueueLimits::default()).await,
        Started::Full { waiting_max: 2 }
    );
}
