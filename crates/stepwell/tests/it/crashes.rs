//! A workflow of everything, crashed after every record: the end is always the same.

use std::time::Duration;

use stepwell::{Ctx, Event, Stream, recv, sleep, testing::Harness, workflow};

use crate::bank::{Bank, GO, PayError, charge, credit};

const SEEN: Event<u64> = Event::new("seen");
const LINES: Stream<u64> = Stream::new("lines");

#[workflow]
async fn child(ctx: &mut Ctx<Bank>, n: u64) -> Result<u64, PayError> {
    ctx.run(charge(n)).await
}

#[workflow]
async fn everything(ctx: &mut Ctx<Bank>) -> Result<u64, PayError> {
    let mut sum = ctx.run(charge(1)).await?;
    ctx.append(LINES, sum).await;
    sum += ctx.run(credit("ann", 10)).await?;
    ctx.set_event(SEEN, sum).await;
    let (a, b) = ctx.join((charge(2), charge(3))).await;
    sum += a? + b?;
    sum += ctx
        .recv(GO)
        .timeout(Duration::from_secs(60))
        .await
        .unwrap_or(100);
    sum += stepwell::select!(ctx, n = recv(GO) => n, () = sleep(Duration::from_secs(5)) => 1_000);
    sum += ctx.run(child(4)).await.unwrap_or(0);
    ctx.now().await;
    ctx.random().await;
    ctx.append(LINES, sum).await;
    sum += ctx.run(credit("ann", 20)).await?;
    Ok(sum)
}

async fn run(crash_after: Option<usize>) -> (u64, u64, Vec<(String, String)>) {
    let test = Harness::new(Bank::default()).await;
    let handle = test.app.start(everything().id("e")).await.unwrap();
    handle.send(GO, 7).await.unwrap();
    if let Some(records) = crash_after {
        test.recorded("e", records).await.unwrap();
        test.crash().await;
    }
    let sum = handle.result().await.unwrap();
    let lines = test.app.client().stream("e", "lines", 0).await.unwrap();
    assert_eq!(lines.len(), 2, "an append was doubled or lost");
    (
        sum,
        test.app.state().accounts.balance("ann"),
        test.history("e").await,
    )
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_record_changes_nothing() {
    let undisturbed = run(None).await;
    for records in 1..=undisturbed.2.len() {
        assert_eq!(
            run(Some(records)).await,
            undisturbed,
            "crashed after {records} records"
        );
    }
}
