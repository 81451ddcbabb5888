//! A workflow's life, and what a crash leaves of it.

use std::time::Duration;

use stepwell::{Ctx, Retry, WorkflowError, testing::Harness, workflow};

use crate::bank::{Bank, DONE, GO, PayError, WORK, charge, credit};

#[workflow]
pub(crate) async fn pay(ctx: &mut Ctx<Bank>, who: String, amount: u64) -> Result<u64, PayError> {
    let retry = Retry::times(3).when(|error| *error == PayError::Busy);
    let paid = ctx.run(charge(amount).retry(retry)).await?;
    ctx.sleep(Duration::from_secs(86_400)).await;
    let total = ctx.run(credit(&who, paid)).await?;
    ctx.set_event(DONE, total).await;
    Ok(total)
}

#[workflow]
async fn gate(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    let a = ctx.run(charge(1)).await?;
    let b = ctx.recv(GO).await;
    Ok(a + b)
}

#[tokio::test(start_paused = true)]
async fn a_day_passes_at_once() {
    let test = Harness::new(Bank::default()).await;
    let paid = test
        .app
        .run(pay("ann".into(), 5).id("p1").queue(&WORK))
        .await
        .unwrap();
    assert_eq!(paid, 5);
    let names: Vec<_> = test
        .history("p1")
        .await
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["charge", "sleep", "credit", "set_event"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_id_runs_nothing_twice() {
    let test = Harness::new(Bank::default()).await;
    for _ in 0..3 {
        assert_eq!(
            test.app.run(pay("ann".into(), 5).id("p1")).await.unwrap(),
            5
        );
    }
    assert_eq!(test.app.state().calls.count(), 1);
    assert_eq!(test.app.state().accounts.balance("ann"), 5);
}

#[tokio::test(start_paused = true)]
async fn the_same_id_with_other_arguments_is_a_conflict() {
    let test = Harness::new(Bank::default()).await;
    test.app.start(pay("ann".into(), 5).id("p1")).await.unwrap();
    let error = test
        .app
        .start(pay("ann".into(), 6).id("p1"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), stepwell::ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("`p1` belongs to a `pay` that was started with another input")
    );
    let error = test.app.start(gate().id("p1")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`p1` belongs to a `pay`, not to a `gate`"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_its_type() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(pay("ann".into(), 500)).await.unwrap();
    for _ in 0..2 {
        let error = handle.result().await.unwrap_err();
        assert_eq!(error, WorkflowError::Failed(PayError::Declined));
    }
}

#[tokio::test(start_paused = true)]
async fn mocks_are_typed() {
    let busy_twice = |attempt| {
        if attempt < 3 {
            Err(PayError::Busy)
        } else {
            Ok(77)
        }
    };
    let test = Harness::new(Bank::default()).await.on::<charge>(busy_twice);
    assert_eq!(test.app.run(pay("bob".into(), 500)).await.unwrap(), 77);
    assert_eq!(test.app.state().calls.count(), 0);
}

#[tokio::test]
async fn a_plain_call_needs_no_engine() {
    assert_eq!(charge::plain(&Default::default(), 3).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_crash_resumes_after_the_last_record() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(gate().id("g")).await.unwrap();
    test.recorded("g", 1).await.unwrap();
    test.crash().await;
    test.app.send("g", GO, 41u64).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 42);
    assert_eq!(
        test.app.state().calls.count(),
        1,
        "the step did not run again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sleep_ends_when_it_would_have_ended_without_the_crash() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(pay("ann".into(), 5).id("p")).await.unwrap();
    test.recorded("p", 2).await.unwrap();
    let begun = test.app.client().now();
    tokio::time::advance(Duration::from_secs(86_000)).await;
    test.crash().await;
    handle.result().await.unwrap();
    let slept = test.app.client().now().duration_since(begun).as_secs();
    assert!((86_399..=86_402).contains(&slept), "slept {slept} s");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_hands_back_and_the_next_launch_goes_on() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(gate().id("g")).await.unwrap();
    test.recorded("g", 1).await.unwrap();
    test.app.shutdown().await;
    let error = test.app.start(gate().id("h")).await.unwrap_err();
    assert!(error.to_string().contains("shutting down"), "{error}");
    assert_eq!(handle.status().await.unwrap(), stepwell::State::Enqueued);
}
