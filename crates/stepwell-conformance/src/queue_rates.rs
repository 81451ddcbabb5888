//! Rates: so many begin in a queue in any period.

use std::time::Duration;

use serde_json::json;
use stepwell_core::store::{Change, QueueChange, QueueLimits, Rate};

use crate::{
    Backend,
    fixture::{Case, MINUTE, expect_about, queued},
};

/// So many a minute.
fn a_minute(starts: u32) -> QueueLimits {
    QueueLimits {
        rate: Some(Rate {
            starts,
            period_ms: 60_000,
        }),
        ..QueueLimits::default()
    }
}

async fn fill(case: &Case<'_>, workflows: u32, limits: QueueLimits) {
    for number in 0..workflows {
        case.new_workflow(queued(&format!("mail-{number}"), "mail", limits))
            .await;
    }
}

/// Ends make no room: only time does.
pub async fn a_rate_counts_what_began(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 5, a_minute(2)).await;

    let first = worker.claim(10).await;
    assert_eq!(first.len(), 2);
    for claimed in first {
        worker.succeed(claimed.key, json!(1)).await;
    }
    assert!(worker.claim(10).await.is_empty());
    case.advance(MINUTE + Duration::from_secs(1)).await;
    let again = worker.renewed(&case).await;
    assert_eq!(again.claim(10).await.len(), 2);
    assert!(again.claim(10).await.is_empty());
}

/// It is any period, not one after the other: what begins late in one counts in the next.
pub async fn a_rate_looks_back_from_each_moment(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 9, a_minute(3)).await;
    assert_eq!(worker.claim(1).await.len(), 1);
    case.advance(Duration::from_secs(50)).await;
    let worker = worker.renewed(&case).await;
    assert_eq!(worker.claim(10).await.len(), 2);

    case.advance(Duration::from_secs(15)).await;
    let worker = worker.renewed(&case).await;
    assert_eq!(worker.claim(10).await.len(), 1, "the first one is past");
    case.advance(Duration::from_secs(50)).await;
    let worker = worker.renewed(&case).await;
    assert_eq!(worker.claim(10).await.len(), 2);
}

/// A rate counts what all executors begin.
pub async fn a_rate_holds_across_executors(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    fill(&case, 9, a_minute(3)).await;

    assert_eq!(one.claim(2).await.len(), 2);
    assert_eq!(other.claim(10).await.len(), 1);
}

/// Executors that claim at the same time do not break a rate together.
pub async fn a_rate_holds_for_claims_at_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(case.register().await);
    }
    fill(&case, 30, a_minute(5)).await;

    let claims = workers.iter().map(|worker| worker.claim(10));
    let claimed = futures_util::future::join_all(claims).await;
    assert_eq!(claimed.iter().map(Vec::len).sum::<usize>(), 5);
}

/// Whoever waits for a rate is woken when it counts one less.
pub async fn a_rate_says_when_to_look_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 2, a_minute(1)).await;
    worker.claim(10).await;

    let wake_at = case.store.next_wake().await.expect("it can be asked");
    expect_about(wake_at.expect("somebody waits"), case.now() + MINUTE);
}

/// Nobody is woken when nobody waits.
pub async fn a_rate_wakes_nobody_when_nothing_waits(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 1, a_minute(1)).await;
    worker.claim(10).await;

    assert_eq!(case.store.next_wake().await.expect("it can be asked"), None);
}

/// The clock was a day ahead, and was put right.
pub async fn what_began_in_the_future_does_not_count(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 4, a_minute(2)).await;
    assert_eq!(worker.claim(10).await.len(), 2);
    assert!(worker.claim(10).await.is_empty());

    let ahead = "update {schema}.queue_starts set started_at = started_at + {day}";
    if case.behind(ahead).await {
        assert_eq!(worker.claim(10).await.len(), 2);
    }
}

/// Nothing would ever forget it, where no rate looks back.
pub async fn what_began_is_forgotten_with_the_rate(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    fill(&case, 4, a_minute(2)).await;
    assert_eq!(worker.claim(10).await.len(), 2);

    for limits in [QueueLimits::default(), a_minute(2)] {
        let name = "mail".to_owned();
        let limit = QueueChange::Limit { name, limits };
        case.commit(vec![Change::Queue(limit)]).await;
    }
    assert_eq!(worker.claim(10).await.len(), 2);
}
