//! Retries, panics in steps, and attempts that survive a crash.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use stepwell::{Ctx, Failure, Retry, WorkflowError, testing::Harness, workflow};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Default)]
struct Tries(AtomicU32);

#[workflow]
async fn twice_busy(ctx: &mut Ctx<Tries>) -> stepwell::Result<u32> {
    let state = ctx.state();
    let retry = Retry::times(5).base(HOUR).cap(4 * HOUR).without_jitter();
    ctx.step_attempt("call", |attempt| {
        let state = state.clone();
        async move {
            state.0.fetch_add(1, SeqCst);
            if attempt.number() < 3 {
                return Err(Failure::msg("busy"));
            }
            Ok(attempt.number())
        }
    })
    .retry(retry)
    .await
}

#[tokio::test(start_paused = true)]
async fn an_attempt_an_hour_away_survives_a_crash() {
    let test = Harness::new(Tries::default()).await;
    let begun = test.app.client().now();
    let handle = test.app.start(twice_busy().id("t")).await.unwrap();
    test.recorded("t", 1).await.unwrap();
    test.crash().await;
    assert_eq!(
        handle.result().await.unwrap(),
        3,
        "the first attempt was not forgotten"
    );
    let hours = test.app.client().now().duration_since(begun).as_secs_f64() / 3600.0;
    assert!(
        (3.0..3.01).contains(&hours),
        "{hours}: one hour after the first attempt, two after the second"
    );
    assert_eq!(test.app.state().0.load(SeqCst), 3);
}

#[workflow]
async fn hopeless(ctx: &mut Ctx<Tries>) -> stepwell::Result<()> {
    let state = ctx.state();
    ctx.step("call", async || {
        state.0.fetch_add(1, SeqCst);
        Err::<(), _>(Failure::msg("declined").permanent())
    })
    .retry(Retry::times(5))
    .await
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_tried_once() {
    let test = Harness::new(Tries::default()).await;
    let Err(WorkflowError::Failed(failure)) = test.app.run(hopeless()).await else {
        panic!("it did not fail");
    };
    assert_eq!(failure.to_string(), "declined");
    assert_eq!(test.app.state().0.load(SeqCst), 1);
}

#[workflow]
async fn panics_at_first(ctx: &mut Ctx<Tries>, attempts: u32) -> stepwell::Result<u32> {
    let state = ctx.state();
    ctx.step("call", async || {
        let number = state.0.fetch_add(1, SeqCst) + 1;
        assert!(number > 2, "attempt {number} is too early");
        Ok(number)
    })
    .retry(Retry::times(attempts))
    .await
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_step_is_a_failed_attempt() {
    let test = Harness::new(Tries::default()).await;
    assert_eq!(test.app.run(panics_at_first(3)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_panics_for_good_fails_the_workflow_with_its_message() {
    let test = Harness::new(Tries::default()).await;
    let Err(WorkflowError::Panicked(message)) = test.app.run(panics_at_first(1)).await else {
        panic!("it did not panic");
    };
    assert_eq!(message, "step `call` at 0: attempt 1 is too early");
}

#[workflow]
async fn panics(_ctx: &mut Ctx<Tries>) -> stepwell::Result<()> {
    let orders: Vec<u32> = Vec::new();
    assert!(!orders.is_empty(), "no orders");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_workflow_fails_it_with_its_message() {
    let test = Harness::new(Tries::default()).await;
    let handle = test.app.start(panics().id("p")).await.unwrap();
    let Err(WorkflowError::Panicked(message)) = handle.result().await else {
        panic!("it did not panic");
    };
    assert_eq!(message, "no orders");
}
