//! A dead letter is tried again: its fork is made and it is laid aside in one moment, or neither.

use serde_json::json;
use stepwell_core::{
    Position, State,
    store::{Fork, Forked, Launch},
};

use crate::{
    Backend,
    fixture::{Case, child_of, id},
};

/// From its beginning, as `order-1~2`.
async fn again(case: &Case<'_>) -> Fork {
    let letter = Some(case.find("order-1").await.key);
    Fork {
        letter,
        ..Fork::new(id("order-1"), id("order-1~2"), Position::top(0))
    }
}

/// It keeps its own result, and is no open letter any more.
pub async fn a_failed_letter_is_acknowledged_with_its_second_try(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.fail(key, json!("no stock")).await;

    let again = again(&case).await;
    case.forked(again.clone()).await;
    let letter = case.find("order-1").await;
    assert_eq!(letter.state, State::Failed);
    let acknowledged = letter.acknowledged.expect("it is acknowledged");
    assert_eq!(acknowledged.note, "redriven as order-1~2");
    // Its answer was lost.
    assert_eq!(case.fork_of(again).await, Forked::Existing);
}

/// With what is attached to it.
pub async fn a_stuck_letter_is_cancelled_with_its_second_try(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let mut child = child_of(key, "child");
    child.launch = Launch::Anywhere;
    worker.start_child(key, 0, child).await;
    worker.stick(key, "the code changed").await;

    let again = again(&case).await;
    case.forked(again.clone()).await;
    let letter = case.find("order-1").await;
    assert_eq!(letter.state, State::Cancelled);
    assert_eq!(letter.reason.as_deref(), Some("it was started anew"));
    assert_eq!(case.state("child").await, State::Cancelled);
    assert_eq!(case.fork_of(again).await, Forked::Existing);
}

/// New code has taken it between the look at it and the fork: what it does is not done twice.
pub async fn what_is_no_letter_any_more_is_not_tried_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.stick(key, "the code changed").await;
    let again = again(&case).await;
    case.resume("order-1").await;

    let refused = case.fork_of(again.clone()).await;
    assert_eq!(refused, Forked::NoLetter(State::Enqueued));
    assert_eq!(case.state("order-1").await, State::Enqueued);
    worker.claim(1).await;
    worker.succeed(key, json!("shipped")).await;
    let refused = case.fork_of(again).await;
    assert_eq!(refused, Forked::NoLetter(State::Succeeded));
    let known = case.store.find(&id("order-1~2")).await;
    assert_eq!(known.expect("it can be looked up"), None);
}

/// Another workflow has the letter's id by now.
pub async fn a_letter_that_was_deleted_is_not_tried_again(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.fail(key, json!("no stock")).await;
    let again = again(&case).await;
    case.delete("order-1").await;
    assert_eq!(case.fork_of(again.clone()).await, Forked::NoSuchWorkflow);
    let other = worker.start("order-1").await;
    worker.fail(other, json!("no stock")).await;

    assert_eq!(case.fork_of(again).await, Forked::NoSuchWorkflow);
    assert_eq!(case.find("order-1").await.acknowledged, None);
}
