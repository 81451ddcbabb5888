//! Several operations at once, inside one workflow.

use std::time::Duration;

use stepwell::{Ctx, branch, recv, sleep, testing::Harness, workflow};

use crate::bank::{Bank, GO, PayError, charge};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[workflow]
async fn branches(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    let (a, b) = ctx
        .join((
            branch(async |mut ctx: Ctx<Bank>| {
                ctx.sleep(seconds(2)).await;
                ctx.run(charge(1)).await
            }),
            branch(async |mut ctx: Ctx<Bank>| {
                ctx.sleep(seconds(1)).await;
                ctx.run(charge(2)).await
            }),
        ))
        .await;
    Ok(a? * 10 + b?)
}

#[tokio::test(start_paused = true)]
async fn branches_number_by_position_not_by_time() {
    let test = Harness::new(Bank::default()).await;
    assert_eq!(test.app.run(branches().id("b")).await.unwrap(), 12);
    let positions: Vec<_> = test
        .history("b")
        .await
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    assert_eq!(positions, ["0.0.0", "0.0.1", "0.1.0", "0.1.1"]);
}

#[workflow]
async fn many(ctx: &mut Ctx<Bank>, n: u64) -> Result<u64, PayError> {
    let results = ctx.join_all((0..n).map(charge)).await;
    results.into_iter().sum()
}

#[tokio::test(start_paused = true)]
async fn a_join_of_many_keeps_their_order() {
    let test = Harness::new(Bank::default()).await;
    assert_eq!(test.app.run(many(50).id("m")).await.unwrap(), 49 * 50 / 2);
    let positions: Vec<_> = test
        .history("m")
        .await
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    assert_eq!(
        positions,
        (0..50).map(|i| format!("0.{i}")).collect::<Vec<_>>()
    );
}

#[workflow]
async fn approval(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    let approved = stepwell::select!(ctx,
        amount = recv(GO) => amount,
        () = sleep(seconds(60)) => 0,
    );
    ctx.recv(GO).await;
    Ok(approved)
}

#[tokio::test(start_paused = true)]
async fn the_winner_of_a_race_is_recorded() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(approval().id("late")).await.unwrap();
    test.recorded("late", 2).await.unwrap();
    // The message comes after the time is up: a replay must not take it for the race's.
    test.app.send("late", GO, 7u64).await.unwrap();
    test.crash().await;
    assert_eq!(handle.result().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_won_is_replayed_with_its_message() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(approval().id("early")).await.unwrap();
    test.app.send("early", GO, 7u64).await.unwrap();
    while !test
        .history("early")
        .await
        .iter()
        .any(|(_, name)| name == "race")
    {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    test.app.send("early", GO, 8u64).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 7);
}

#[workflow]
async fn two_receivers(ctx: &mut Ctx<Bank>) -> Result<(u64, u64), PayError> {
    Ok(ctx.join((recv(GO), recv(GO))).await)
}

#[tokio::test(start_paused = true)]
async fn two_receives_at_once_share_no_message() {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(two_receivers().id("r")).await.unwrap();
    test.app.send("r", GO, 1u64).await.unwrap();
    test.app.send("r", GO, 2u64).await.unwrap();
    let (a, b) = handle.result().await.unwrap();
    assert_eq!(a + b, 3);
}

#[workflow]
async fn slow_child(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    ctx.sleep(seconds(3_600)).await;
    Ok(1)
}

#[workflow]
async fn impatient(ctx: &mut Ctx<Bank>) -> Result<bool, PayError> {
    let child = ctx.run(slow_child().id("slow")).timeout(seconds(1)).await;
    Ok(child.is_none())
}

#[tokio::test(start_paused = true)]
async fn a_child_that_lost_a_race_is_cancelled() {
    let test = Harness::new(Bank::default()).await;
    assert!(test.app.run(impatient()).await.unwrap());
    let child = test.app.handle::<slow_child>("slow");
    assert_eq!(
        child.result().await.unwrap_err(),
        stepwell::WorkflowError::Cancelled
    );
}
