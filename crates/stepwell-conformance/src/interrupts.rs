//! Interrupts: an executor hears which of its workflows somebody else has cancelled.

use stepwell_core::{
    State,
    store::{Cancel, CancelCause, Change, NewWorkflow},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, child_of, here, id},
};

/// "Those that ran in another executor are in that executor's interrupts", once.
pub async fn an_executor_hears_of_a_cancellation_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;
    case.cancel("order-1").await;

    assert!(other.interrupts().await.is_empty());
    assert_eq!(worker.interrupts().await, [parent, child]);
    assert!(worker.interrupts().await.is_empty());
}

/// What nobody ran interrupts nobody.
pub async fn a_cancelled_waiting_workflow_interrupts_nobody(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    case.enqueue("order-1").await;
    case.cancel("order-1").await;

    assert!(worker.interrupts().await.is_empty());
}

/// "… that were cancelled by somebody else": the canceller knows already.
pub async fn an_executors_own_cancellation_does_not_interrupt_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.start("order-1").await;
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Request,
    };

    worker.commit(vec![Change::Cancel(cancel)]).await;
    assert_eq!(case.state("order-1").await, State::Cancelled);
    assert!(worker.interrupts().await.is_empty());
}

/// The executor that runs it hears that somebody saw the deadline pass.
pub async fn an_executor_hears_that_a_deadline_passed(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker
        .new_workflow(NewWorkflow {
            deadline: Some(MINUTE),
            ..here("order-1")
        })
        .await;
    case.advance(MINUTE).await;
    case.cancel_for("order-1", CancelCause::Deadline).await;

    assert_eq!(worker.interrupts().await, [key]);
}

/// An interrupt speaks of the run that was cancelled: not of the next one, which would be stranded.
pub async fn a_new_run_does_not_hear_of_the_last_ones_cancellation(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    worker.start("order-1").await;
    case.cancel("order-1").await;
    case.resume("order-1").await;
    worker.claim(1).await;

    assert!(worker.interrupts().await.is_empty());
    assert_eq!(case.state("order-1").await, State::Running);
}

/// An interrupt is for the executor that ran it, also when another one runs it again by then.
pub async fn an_interrupt_waits_for_the_executor_that_lost_the_run(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (one, other) = (case.register().await, case.register().await);
    let key = one.start("order-1").await;
    case.cancel("order-1").await;
    case.resume("order-1").await;
    other.claim(1).await;

    assert!(other.interrupts().await.is_empty());
    assert_eq!(one.interrupts().await, [key]);
}
