//! Keys of a queue: they take turns, and each can have a limit.

use serde_json::json;
use stepwell_core::store::{NewWorkflow, QueueLimits};

use crate::{
    Backend,
    fixture::{Case, Worker, in_queue, limits},
};

const NO_LIMITS: QueueLimits = QueueLimits {
    concurrency: None,
    executor_concurrency: None,
    key_concurrency: None,
    rate: None,
    waiting_max: None,
};

fn of_key(workflow_id: &str, key: &str, limits: QueueLimits) -> NewWorkflow {
    in_queue(workflow_id, limits, |queue| key.clone_into(&mut queue.key))
}

/// Workflows `ann-0`, `ann-1`, … of the key `ann`.
async fn fill(case: &Case<'_>, key: &str, workflows: u32, limits: QueueLimits) {
    for number in 0..workflows {
        case.new_workflow(of_key(&format!("{key}-{number}"), key, limits))
            .await;
    }
}

/// The ids of one claim, in the order of the letters.
async fn claim(worker: &Worker, limit: u32) -> Vec<String> {
    let mut ids: Vec<_> = (worker.claim(limit).await.iter())
        .map(|it| it.id.to_string())
        .collect();
    ids.sort();
    ids
}

/// However much one has waiting, the others get their share.
pub async fn keys_share_a_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, "ann", 20, limits(Some(6), None)).await;
    fill(&case, "bob", 2, limits(Some(6), None)).await;
    fill(&case, "cem", 1, limits(Some(6), None)).await;

    let ids = claim(&worker, 10).await;
    assert_eq!(ids, ["ann-0", "ann-1", "ann-2", "bob-0", "bob-1", "cem-0"]);
}

/// A place that becomes free goes to whoever has the fewest.
pub async fn a_free_place_goes_to_whoever_has_the_fewest(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, "ann", 9, limits(Some(3), None)).await;
    let running = worker.claim(10).await;
    assert_eq!(running.len(), 3);
    fill(&case, "bob", 9, limits(Some(3), None)).await;

    worker.succeed(running[0].key, json!(1)).await;
    assert_eq!(claim(&worker, 10).await, ["bob-0"]);
    worker.succeed(running[1].key, json!(1)).await;
    worker.succeed(running[2].key, json!(1)).await;
    assert_eq!(claim(&worker, 1).await, ["ann-3"]);
}

/// Keys that have equally many are served in turn.
pub async fn keys_take_turns_at_a_single_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    for key in ["ann", "bob", "cem"] {
        fill(&case, key, 4, limits(Some(1), None)).await;
    }

    let mut served = Vec::new();
    for _ in 0..12 {
        let claimed = worker.claim(10).await;
        assert_eq!(claimed.len(), 1);
        served.push(claimed[0].id.as_str()[..3].to_owned());
        worker.succeed(claimed[0].key, json!(1)).await;
    }
    for round in served.chunks(3) {
        let mut round = round.to_vec();
        round.sort();
        assert_eq!(round, ["ann", "bob", "cem"], "{served:?}");
    }
}

/// [`QueueLimits::key_concurrency`] holds for each key.
pub async fn a_limit_of_a_key_holds(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let two = QueueLimits {
        key_concurrency: Some(2),
        ..NO_LIMITS
    };
    fill(&case, "ann", 5, two).await;
    fill(&case, "bob", 1, two).await;

    let running = one.claim(10).await;
    assert_eq!(running.len(), 3);
    assert!(other.claim(10).await.is_empty());
    let ann = (running.iter()).find(|it| it.id.as_str() == "ann-0");
    one.succeed(ann.expect("it is the first of its key").key, json!(1))
        .await;
    assert_eq!(claim(&other, 10).await, ["ann-2"]);
}

/// What has no key is limited together, like one key.
pub async fn a_limit_of_a_key_holds_for_those_without_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = QueueLimits {
        key_concurrency: Some(1),
        ..NO_LIMITS
    };
    for number in 0..3 {
        case.new_workflow(of_key(&format!("plain-{number}"), "", one))
            .await;
    }
    fill(&case, "ann", 3, one).await;

    assert_eq!(claim(&worker, 10).await, ["ann-0", "plain-0"]);
    assert!(worker.claim(10).await.is_empty());
}

/// It holds also while nothing waits under a key.
pub async fn a_limit_of_a_key_holds_where_none_has_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = QueueLimits {
        key_concurrency: Some(1),
        ..NO_LIMITS
    };
    for number in 0..3 {
        case.new_workflow(of_key(&format!("plain-{number}"), "", one))
            .await;
    }

    assert_eq!(claim(&worker, 10).await, ["plain-0"]);
    assert!(worker.claim(10).await.is_empty());
}

/// An orphan counts for its key until it is taken over.
pub async fn an_orphan_counts_for_its_key(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = QueueLimits {
        key_concurrency: Some(1),
        ..NO_LIMITS
    };
    fill(&case, "ann", 2, one).await;
    case.register().await.claim(10).await;
    case.let_leases_end().await;

    let worker = case.register().await;
    assert!(worker.claim(10).await.is_empty());
    worker.take_over().await;
    assert_eq!(claim(&worker, 10).await, ["ann-0"]);
}

/// Keys that have all that they may have stand in nobody's way, however many there are.
pub async fn keys_at_their_limit_hold_up_nobody(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = QueueLimits {
        key_concurrency: Some(1),
        ..NO_LIMITS
    };
    for number in 0..300 {
        fill(&case, &format!("a{number:03}"), 2, one).await;
    }
    let mut running = 0;
    while running < 300 {
        let claimed = worker.claim(1_000).await.len();
        assert_ne!(claimed, 0, "{running} keys came to their turn");
        running += claimed;
    }
    fill(&case, "zoe", 1, one).await;

    assert_eq!(claim(&worker, 1_000).await, ["zoe-0"]);
}

/// A stuck workflow that another version tries takes a place of its key.
pub async fn what_was_stuck_takes_a_place_of_its_key(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let old = case.register().await;
    let one = QueueLimits {
        key_concurrency: Some(1),
        ..NO_LIMITS
    };
    fill(&case, "ann", 3, one).await;
    for _ in 0..2 {
        let claimed = old.claim(10).await;
        old.stick(claimed[0].key, "the code changed").await;
    }

    let new = case.register_version("v2").await;
    let first = new.claim(10).await;
    assert_eq!(first.len(), 1);
    assert!(new.claim(10).await.is_empty());
    new.succeed(first[0].key, json!(1)).await;
    assert_eq!(new.claim(10).await.len(), 1);
}

/// A fork waits under the key of what it is a fork of.
pub async fn a_fork_keeps_the_key(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = QueueLimits {
        key_concurrency: Some(1),
        ..NO_LIMITS
    };
    fill(&case, "ann", 1, one).await;
    worker.claim(10).await;
    case.fork("ann-0", "again", 0).await;

    assert!(worker.claim(10).await.is_empty());
}
