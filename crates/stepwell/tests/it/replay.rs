//! Replay notices every difference between the code and the history.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use stepwell::{Attempt, Ctx, Retry, State, WorkflowError, branch, testing::Harness, workflow};

use crate::bank::{Bank, GO, PayError, charge};

/// A switch that a "new version of the code" turns.
macro_rules! version {
    ($name:ident) => {
        static $name: AtomicU32 = AtomicU32::new(0);
    };
}

version!(UNSTABLE);
version!(SHORTER);
version!(PATCHED);
version!(MISFIT);
version!(PLAIN_TIMEOUT);

#[workflow(allow_nondeterminism)]
async fn unstable(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    if UNSTABLE.fetch_add(1, SeqCst) == 0 {
        ctx.sleep(Duration::ZERO).await;
    } else {
        ctx.run(charge(1)).await?;
    }
    Ok(ctx.recv(GO).await)
}

#[tokio::test(start_paused = true)]
async fn another_operation_makes_the_workflow_stuck_with_a_sentence() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(unstable().id("u")).await.unwrap();
    test.recorded("u", 1).await.unwrap();
    test.crash().await;
    let Err(WorkflowError::Stuck(reason)) = handle.result().await else {
        panic!("the workflow is not stuck");
    };
    assert_eq!(
        reason,
        "workflow `u` is not deterministic: operation 0 was `sleep` when it first ran and is \
         `charge` now"
    );
    assert_eq!(handle.status().await.unwrap(), State::Stuck);
}

#[workflow(allow_nondeterminism)]
async fn shorter(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    if SHORTER.fetch_add(1, SeqCst) == 0 {
        ctx.run(charge(1)).await?;
        ctx.recv(GO).await;
    }
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_no_longer_reached_is_no_success() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(shorter().id("s")).await.unwrap();
    test.recorded("s", 1).await.unwrap();
    test.crash().await;
    let Err(WorkflowError::Stuck(reason)) = handle.result().await else {
        panic!("the workflow is not stuck");
    };
    assert!(reason.ends_with("operation 0 was `charge` when it first ran and is not reached now"));
}

#[workflow(allow_nondeterminism)]
async fn patched(ctx: &mut Ctx<Bank>) -> Result<bool, PayError> {
    ctx.run(charge(1)).await?;
    // The first run is the old code, which had no patch; it has gone past this place.
    let new = PATCHED.fetch_add(1, SeqCst) > 0 && ctx.patched("second-charge").await;
    if new {
        ctx.run(charge(2)).await?;
    }
    ctx.sleep(Duration::from_secs(1)).await;
    ctx.recv(GO).await;
    Ok(new)
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_for_runs_that_have_not_gone_past_it() {
    let test = Harness::new(Bank::default()).await;
    let old = test.app.start(patched().id("old")).await.unwrap();
    test.recorded("old", 2).await.unwrap();
    test.crash().await;
    test.app.send("old", GO, 1u64).await.unwrap();
    assert!(!old.result().await.unwrap());
    let new = test.app.start(patched().id("new")).await.unwrap();
    test.recorded("new", 4).await.unwrap();
    test.crash().await;
    test.app.send("new", GO, 1u64).await.unwrap();
    assert!(new.result().await.unwrap());
}

#[workflow(allow_nondeterminism)]
async fn misfit(ctx: &mut Ctx<Bank>) -> stepwell::Result<()> {
    if MISFIT.fetch_add(1, SeqCst) == 0 {
        ctx.step("price", async || Ok("12 euros".to_owned()))
            .await?;
    } else {
        ctx.step("price", async || Ok(12u64)).await?;
    }
    ctx.recv(GO).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_value_that_no_longer_fits_its_type_is_named() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(misfit().id("m")).await.unwrap();
    test.recorded("m", 1).await.unwrap();
    test.crash().await;
    let Err(WorkflowError::Stuck(reason)) = handle.result().await else {
        panic!("the workflow is not stuck");
    };
    assert!(
        reason.starts_with("operation 0 `price`: its value no longer fits its type"),
        "{reason}"
    );
    assert!(reason.contains("expected u64"), "{reason}");
}

#[workflow(allow_nondeterminism)]
async fn plain_timeout(ctx: &mut Ctx<Bank>) -> stepwell::Result<()> {
    PLAIN_TIMEOUT.fetch_add(1, SeqCst);
    tokio::time::timeout(Duration::from_secs(1), ctx.recv(GO).into_future())
        .await
        .ok();
    ctx.run(charge(1)).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_plain_timeout_around_an_operation_is_seen() {
    let test = Harness::new(Bank::default()).await;
    let Err(WorkflowError::Stuck(reason)) = test.app.run(plain_timeout()).await else {
        panic!("the workflow is not stuck");
    };
    assert!(
        reason.contains("operation 0 was dropped before it had ended"),
        "{reason}"
    );
    assert!(reason.contains("use `.timeout(…)`"), "{reason}");
    assert_eq!(test.app.state().calls.count(), 0, "nothing ran after it");
}

/// The first member waits while the second one goes on and is recorded.
#[workflow]
async fn patched_in_a_branch(ctx: &mut Ctx<Bank>) -> stepwell::Result<bool> {
    let early = branch(async |mut ctx: Ctx<Bank>| {
        ctx.recv(GO).await;
        let new = ctx.patched("new-path").await;
        ctx.recv(GO).await;
        new
    });
    let late = branch(async |mut ctx: Ctx<Bank>| ctx.run(charge(1)).await);
    let (new, charged) = ctx.join((early, late)).await;
    charged?;
    Ok(new)
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_ahead_does_not_say_that_another_is_past_a_patch() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(patched_in_a_branch().id("p")).await.unwrap();
    test.recorded("p", 1).await.unwrap();
    test.crash().await;
    handle.send(GO, 1).await.unwrap();
    handle.send(GO, 1).await.unwrap();
    assert!(
        handle.result().await.unwrap(),
        "a new run took the old path"
    );
}

version!(RENAMED);

#[workflow(allow_nondeterminism)]
async fn renamed(ctx: &mut Ctx<Bank>) -> stepwell::Result<u32> {
    let retry = Retry::times(3).base(Duration::from_secs(3_600));
    let number = |attempt: Attempt| async move {
        match attempt.number() {
            1 => stepwell::bail!("not yet"),
            number => Ok(number),
        }
    };
    if RENAMED.fetch_add(1, SeqCst) == 0 {
        ctx.step_attempt("charge", number).retry(retry).await
    } else {
        ctx.step_attempt("bill", number).retry(retry).await
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_of_another_step_are_not_taken_over() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(renamed().id("r")).await.unwrap();
    // The failed attempt is the only record.
    test.recorded("r", 1).await.unwrap();
    test.crash().await;
    let Err(WorkflowError::Stuck(reason)) = handle.result().await else {
        panic!("the workflow is not stuck");
    };
    assert_eq!(
        reason,
        "workflow `r` is not deterministic: operation 0 was `charge` when it first ran and is \
         `bill` now"
    );
}
