//! Interrupts: an executor hears which of its workflows somebody else has cancelled.

use stepwell_core::{
    State,
    store::{
        Cancel, CancelCause, Cancelled, Change, Effect, EffectOutcome, NewWorkflow, Progressed,
    },
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, child_of, here, id},
};

/// "Those that ran are in their executors' interrupts", once.
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

/// "… also in those of the executor of the batch": the answer of its own cancellation may be lost.
pub async fn an_executor_hears_of_its_own_cancellation_although_the_answer_is_lost(
    backend: &dyn Backend,
) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let cancel = Cancel {
        id: id("order-1"),
        cause: CancelCause::Request,
    };

    for _ in 0..2 {
        worker.commit(vec![Change::Cancel(cancel.clone())]).await;
    }
    assert_eq!(case.state("order-1").await, State::Cancelled);
    assert_eq!(worker.interrupts().await, [key]);
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

/// "Cancels a child that lost a race, with the record of the race": all of it or nothing.
pub async fn a_child_is_cancelled_with_the_record_that_it_lost_by(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    let child = worker.new_workflow(child_of(parent, "child")).await;
    let grandchild = worker.new_workflow(child_of(child, "grandchild")).await;
    let lost = || {
        vec![Effect::Cancel(Cancel {
            id: id("child"),
            cause: CancelCause::LostRace,
        })]
    };

    let progressed = worker.effects(parent, 0, lost()).await;
    let cancelled = EffectOutcome::Cancelled(Cancelled::Now(vec![child, grandchild]));
    assert_eq!(progressed, Progressed::Recorded(vec![cancelled]));
    assert_eq!(worker.interrupts().await, [child, grandchild]);
    assert_eq!(case.state("order-1").await, State::Running);
    let row = case.find("child").await;
    assert_eq!(row.state, State::Cancelled);
    assert_eq!(row.reason.as_deref(), Some(CancelCause::LostRace.as_str()));

    assert_eq!(
        worker.effects(parent, 0, lost()).await,
        Progressed::Existing
    );
    let already = EffectOutcome::Cancelled(Cancelled::Already(State::Cancelled));
    let progressed = worker.effects(parent, 1, lost()).await;
    assert_eq!(progressed, Progressed::Recorded(vec![already]));
}

/// A change that cannot be had cancels nobody.
pub async fn a_conflict_undoes_the_cancellation_beside_it(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let parent = worker.start("order-1").await;
    worker.new_workflow(child_of(parent, "child")).await;
    let cancel = Effect::Cancel(Cancel {
        id: id("child"),
        cause: CancelCause::LostRace,
    });
    let missing = Effect::Receive { message: 7 };

    let progressed = worker.effects(parent, 0, vec![cancel, missing]).await;
    assert!(matches!(progressed, Progressed::Conflict { .. }));
    assert_eq!(case.state("child").await, State::Running);
    assert!(worker.interrupts().await.is_empty());
    // It goes on writing.
    let child = case.find("child").await.key;
    let progressed = worker.effects(child, 0, Vec::new()).await;
    assert_eq!(progressed, Progressed::Recorded(Vec::new()));
}
