//! What tells a workflow from every other one that ever had its id.

use serde_json::json;
use stepwell_core::{
    Nonce, Position,
    store::{Change, Fork, NewMessage},
};

use crate::{
    Backend,
    fixture::{Case, Worker, id, payload, workflow},
};

/// What the only workflow that waits is claimed with.
async fn claimed(worker: &Worker) -> Option<Nonce> {
    let claimed = worker.claim(10).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed[0].nonce
}

/// Whoever takes a workflow over goes on under the nonce that it was started with.
pub async fn a_workflow_keeps_its_nonce_to_its_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = workflow("order-1");
    let nonce = Some(new.nonce);
    case.new_workflow(new).await;

    let first = case.register().await;
    assert_eq!(claimed(&first).await, nonce);
    first.retire().await;
    let second = case.register().await;
    assert_eq!(claimed(&second).await, nonce);
    assert_eq!(second.owned().await[0].nonce, nonce);

    case.cancel("order-1").await;
    case.resume("order-1").await;
    assert_eq!(claimed(&second).await, nonce);
}

/// The first start counts, nonce and all; so a batch can be handed in again.
pub async fn a_second_start_does_not_change_the_nonce(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let new = workflow("order-1");
    let nonce = Some(new.nonce);
    case.new_workflow(new.clone()).await;
    case.start(new).await;
    case.start(workflow("order-1")).await;

    let worker = case.register().await;
    assert_eq!(claimed(&worker).await, nonce);
}

/// An id that is used again names another workflow.
pub async fn a_deleted_id_comes_back_with_another_nonce(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = case.enqueue("order-1").await;
    let before = claimed(&worker).await;
    worker.succeed(key, json!(1)).await;
    case.delete("order-1").await;

    case.enqueue("order-1").await;
    let after = claimed(&worker).await;
    assert!(before.is_some() && after.is_some());
    assert_ne!(before, after);
}

/// What a fork runs anew is done anew: it is another workflow.
pub async fn a_fork_has_a_nonce_of_its_own(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let new = workflow("order-1");
    let source = new.nonce;
    case.new_workflow(new).await;
    claimed(&worker).await;

    let fork = Fork::new(id("order-1"), id("fork"), Position::top(0));
    let nonce = fork.nonce;
    case.commit(vec![Change::Fork(fork.clone()), Change::Fork(fork)])
        .await;
    assert_eq!(claimed(&worker).await, Some(nonce));
    assert_ne!(nonce, source);
}

/// The key of a message names the workflow that sends it, not only its id.
pub async fn a_later_sender_of_the_same_id_is_heard(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let receiver = case.enqueue("receiver").await;
    claimed(&worker).await;
    for said in ["first", "second"] {
        let key = worker.start("sender").await;
        let message = NewMessage {
            to: id("receiver"),
            topic: String::new(),
            payload: payload(json!(said)),
            key: None,
        };
        let effect = stepwell_core::store::Effect::Send(message);
        worker.effects(key, 0, vec![effect]).await;
        worker.succeed(key, json!(1)).await;
        case.delete("sender").await;
    }
    assert_eq!(case.inbox(receiver, "").await, ["first", "second"]);
}
