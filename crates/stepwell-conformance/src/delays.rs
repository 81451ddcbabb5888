//! Delays: durable instants by the store's clock.

use std::time::Duration;

use stepwell_core::{
    State,
    store::{Launch, NewWorkflow},
};

use crate::{
    Backend,
    fixture::{Case, DAY, MINUTE, expect_about, limits, queued, with_delay},
};

/// The row says how long it waits.
pub async fn a_delayed_workflow_says_when_it_may_run(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(with_delay("order-1", MINUTE)).await;

    let row = case.find("order-1").await;
    assert_eq!((row.state, row.started_at), (State::Delayed, None));
    expect_about(
        row.wake_at.expect("it waits for an instant"),
        case.now() + MINUTE,
    );
}

/// Before its time nobody gets it.
pub async fn a_delayed_workflow_is_not_claimed_before_its_time(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(with_delay("order-1", MINUTE * 2)).await;
    case.advance(MINUTE).await;

    assert!(worker.claim_ids().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Delayed);
}

/// At its time anybody gets it.
pub async fn a_delayed_workflow_is_claimed_at_its_time(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(with_delay("order-1", MINUTE)).await;
    case.advance(MINUTE).await;

    assert_eq!(worker.claim_ids().await, ["order-1"]);
    assert_eq!(case.state("order-1").await, State::Running);
}

/// [`Launch::Here`] runs "at once (unless it is delayed)": then it is anybody's when its time comes.
pub async fn a_delayed_start_here_is_nobodys(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let delayed = NewWorkflow {
        launch: Launch::Here,
        ..with_delay("order-1", MINUTE)
    };
    one.new_workflow(delayed).await;

    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Delayed);
    assert_eq!((row.executor, row.started_at), (None, None));
    case.advance(MINUTE).await;
    assert_eq!(other.claim_ids().await, ["order-1"]);
}

/// After its delay a workflow still waits for a place in its queue.
pub async fn a_delayed_workflow_goes_through_its_queue(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = limits(Some(1), None);
    case.new_workflow(queued("mail-1", "mail", one)).await;
    worker.claim(1).await;
    let delay = Some(MINUTE);
    case.new_workflow(NewWorkflow {
        delay,
        ..queued("mail-2", "mail", one)
    })
    .await;
    case.advance(MINUTE).await;

    assert!(worker.claim_ids().await.is_empty());
    case.cancel("mail-1").await;
    assert_eq!(worker.claim_ids().await, ["mail-2"]);
}

/// What waits for its time holds no place in its queue.
pub async fn a_delayed_workflow_holds_no_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let one = limits(Some(1), None);
    let delay = Some(MINUTE);
    case.new_workflow(NewWorkflow {
        delay,
        ..queued("mail-1", "mail", one)
    })
    .await;
    case.new_workflow(queued("mail-2", "mail", one)).await;

    assert_eq!(worker.claim_ids().await, ["mail-2"]);
}

/// No delay at all is none.
pub async fn a_delay_of_nothing_is_over_at_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(with_delay("order-1", Duration::ZERO))
        .await;

    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// Where nothing is delayed nobody need wake.
pub async fn without_delays_there_is_no_next_wake(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.register().await.start("order-1").await;
    case.enqueue("order-2").await;

    assert_eq!(case.store.next_wake().await.expect("it can be asked"), None);
}

/// "When the next delayed workflow may run."
pub async fn the_earliest_delay_is_the_next_wake(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(with_delay("order-1", DAY)).await;
    case.new_workflow(with_delay("order-2", MINUTE)).await;
    case.new_workflow(with_delay("order-3", DAY)).await;

    let wake = case.store.next_wake().await.expect("it can be asked");
    assert_eq!(wake, case.find("order-2").await.wake_at);
    assert!(wake.is_some());
}

/// A delay that is over or cancelled wakes nobody.
pub async fn only_what_is_delayed_counts_for_the_next_wake(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.new_workflow(with_delay("over", MINUTE)).await;
    case.new_workflow(with_delay("cancelled", MINUTE * 2)).await;
    case.new_workflow(with_delay("ahead", DAY)).await;
    case.cancel("cancelled").await;
    case.advance(MINUTE).await;
    worker.claim(10).await;

    let wake = case.store.next_wake().await.expect("it can be asked");
    assert_eq!(wake, case.find("ahead").await.wake_at);
}

/// The longest delay that the edge lets through is kept.
pub async fn a_delay_of_a_hundred_years_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let delay = stepwell_core::limits::DURATION_MAX;
    case.new_workflow(with_delay("order-1", delay)).await;

    let row = case.find("order-1").await;
    assert_eq!(row.state, State::Delayed);
    expect_about(
        row.wake_at.expect("it waits for an instant"),
        case.now() + delay,
    );
}
