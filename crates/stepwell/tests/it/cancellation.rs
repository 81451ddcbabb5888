//! Cancellation and deadlines end a workflow by dropping its future.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stepwell::{Ctx, State, WorkflowError, testing::Harness, workflow};

use crate::bank::{Bank, GO, PayError, charge};

const LONG: Duration = Duration::from_secs(999_999);

/// Does everything that it can to go on.
#[workflow]
async fn stubborn(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    let first = ctx.run(charge(1)).await.unwrap_or(0);
    ctx.recv(GO).timeout(LONG).await.unwrap_or(first);
    ctx.run(charge(7)).await.ok();
    Ok(first)
}

#[workflow]
async fn parent(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    ctx.start(stubborn().id("attached")).await;
    ctx.start(stubborn().id("detached").detached()).await;
    ctx.sleep(LONG).await;
    Ok(0)
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_cannot_be_swallowed() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(stubborn().id("s")).await.unwrap();
    test.recorded("s", 1).await.unwrap();
    handle.cancel().await.unwrap();
    assert_eq!(handle.result().await.unwrap_err(), WorkflowError::Cancelled);
    assert_eq!(
        test.app.state().calls.count(),
        1,
        "nothing after the cancellation ran"
    );
}

#[tokio::test(start_paused = true)]
async fn a_parent_takes_its_attached_children_with_it() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(parent().id("p")).await.unwrap();
    test.recorded("p", 3).await.unwrap();
    handle.cancel().await.unwrap();
    let attached = test.app.handle::<stubborn>("attached");
    assert_eq!(
        attached.result().await.unwrap_err(),
        WorkflowError::Cancelled
    );
    let detached = test.app.handle::<stubborn>("detached");
    assert_eq!(detached.status().await.unwrap(), State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_workflow_that_waits() {
    let test = Harness::new(Bank::default()).await;
    let call = stubborn().deadline(Duration::from_secs(60));
    let error = test.app.run(call).await.unwrap_err();
    assert_eq!(error, WorkflowError::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_during_a_crash_still_ends_it() {
    let test = Harness::new(Bank::default()).await;
    let handle = test
        .app
        .start(stubborn().id("s").deadline(Duration::from_secs(60)))
        .await
        .unwrap();
    test.recorded("s", 1).await.unwrap();
    tokio::time::advance(Duration::from_secs(59)).await;
    test.crash().await;
    assert_eq!(
        handle.result().await.unwrap_err(),
        WorkflowError::DeadlineExceeded
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_workflow_can_be_resumed() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(stubborn().id("s")).await.unwrap();
    test.recorded("s", 1).await.unwrap();
    handle.cancel().await.unwrap();
    handle.result().await.unwrap_err();
    handle.resume().await.unwrap();
    handle.send(GO, 3).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    assert_eq!(
        test.app.state().calls.count(),
        2,
        "the first step was not run again"
    );
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<&'static str>>>);

#[workflow]
async fn careful(ctx: &mut Ctx<Notes>) -> stepwell::Result<()> {
    let notes = ctx.state();
    ctx.step_attempt("work", |attempt| {
        let notes = notes.clone();
        async move {
            notes.0.lock().unwrap().push("began");
            attempt.cancelled().await;
            notes.0.lock().unwrap().push("cleaned up");
            Ok::<(), stepwell::Failure>(())
        }
    })
    .await?;
    notes.0.lock().unwrap().push("went on");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_step_hears_of_the_cancellation_and_can_clean_up() {
    let notes = Notes::default();
    let test = Harness::new(notes.clone()).await;
    let handle = test.app.start(careful()).await.unwrap();
    while notes.0.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.cancel().await.unwrap();
    handle.result().await.unwrap_err();
    while notes.0.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*notes.0.lock().unwrap(), ["began", "cleaned up"]);
}
