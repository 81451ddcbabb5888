//! Children, queues, forks.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use stepwell::{Ctx, Queue, State, store::Filter, testing::Harness, workflow};

static NARROW: Queue = Queue::new("narrow").concurrency(3);

#[derive(Default)]
struct Gauge {
    now: AtomicU32,
    most: AtomicU32,
    steps: AtomicU32,
}

#[workflow]
async fn square(ctx: &mut Ctx<Gauge>, n: u64) -> stepwell::Result<u64> {
    let gauge = ctx.state();
    ctx.step("square", async || {
        gauge.steps.fetch_add(1, SeqCst);
        let now = gauge.now.fetch_add(1, SeqCst) + 1;
        gauge.most.fetch_max(now, SeqCst);
        tokio::task::yield_now().await;
        gauge.now.fetch_sub(1, SeqCst);
        Ok(n * n)
    })
    .await
}

#[workflow]
async fn sum_of_squares(ctx: &mut Ctx<Gauge>, n: u64) -> stepwell::Result<u64> {
    let results = ctx.join_all((0..n).map(|i| square(i).queue(&NARROW))).await;
    let mut sum = 0;
    for result in results {
        sum += result?;
    }
    Ok(sum)
}

#[workflow]
async fn two_steps(ctx: &mut Ctx<Gauge>) -> stepwell::Result<u64> {
    let first = ctx.run(square(2)).await?;
    let second = ctx.run(square(3)).await?;
    Ok(first + second)
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_goes_through_its_queue() {
    let test = Harness::new(Gauge::default()).await;
    assert_eq!(test.app.run(sum_of_squares(100)).await.unwrap(), 328_350);
    let most = test.app.state().most.load(SeqCst);
    assert!((1..=3).contains(&most), "{most} at once");
}

#[tokio::test(start_paused = true)]
async fn a_parent_recovers_its_children_and_starts_none_twice() {
    let test = Harness::new(Gauge::default()).await;
    let handle = test.app.start(sum_of_squares(100).id("sum")).await.unwrap();
    while test.app.state().steps.load(SeqCst) < 50 {
        tokio::task::yield_now().await;
    }
    test.crash().await;
    assert_eq!(handle.result().await.unwrap(), 328_350);
    let filter = Filter {
        name: Some("square".into()),
        limit: 1_000,
        ..Filter::default()
    };
    assert_eq!(test.app.client().list(filter).await.unwrap().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_fork_keeps_what_came_before_it() {
    let test = Harness::new(Gauge::default()).await;
    test.app.run(two_steps().id("a")).await.unwrap();
    let from = stepwell::Position::top(1);
    test.app.client().fork("a", "b", from).await.unwrap();
    assert_eq!(
        test.app.handle::<two_steps>("b").result().await.unwrap(),
        13
    );
    // Each child is a workflow with one step; the fork ran the second child anew.
    assert_eq!(test.app.state().steps.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn lists_find_workflows_by_attribute_and_state() {
    let test = Harness::new(Gauge::default()).await;
    test.app
        .run(square(1).id("s1").attribute("customer", "ann"))
        .await
        .unwrap();
    test.app
        .run(square(2).id("s2").attribute("customer", "bob"))
        .await
        .unwrap();
    let filter = Filter {
        states: vec![State::Succeeded],
        attribute: Some(("customer".into(), "bob".into())),
        ..Filter::default()
    };
    let found = test.app.client().list(filter).await.unwrap();
    assert_eq!(
        found.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(),
        ["s2"]
    );
}
