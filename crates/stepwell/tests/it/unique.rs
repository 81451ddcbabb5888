//! Starts that are one of a kind, and work that is gathered.

use std::time::Duration;

use stepwell::{
    Ctx, ErrorKind, Queue, StartOutcome, State, Topic, Unique, WorkflowError, recv, recv_batch,
    store::Filter, testing::Harness, workflow,
};

const ITEM: Topic<u32> = Topic::new("item");
const GO: Topic<u32> = Topic::new("go");
static SLOW: Queue = Queue::new("slow").concurrency(1);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[workflow]
async fn sync(ctx: &mut Ctx, version: u32) -> stepwell::Result<u32> {
    ctx.sleep(seconds(10)).await;
    Ok(version)
}

#[workflow]
async fn gather(ctx: &mut Ctx, at_most: u32) -> stepwell::Result<Vec<Vec<u32>>> {
    let mut batches = Vec::new();
    while let Some(batch) = ctx.recv_batch(ITEM, at_most).timeout(seconds(1)).await {
        batches.push(batch);
    }
    Ok(batches)
}

async fn count(test: &Harness) -> usize {
    let all = test.app.client().list(Filter::default()).await;
    all.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_start_joins_the_one_that_runs() {
    let test = Harness::new(()).await;
    let first = test.app.start(sync(1).unique(Unique::new("ann"))).await;
    let first = first.unwrap();
    let (second, outcome) = test
        .app
        .start_new(sync(2).unique(Unique::new("ann")))
        .await
        .unwrap();
    assert_eq!(outcome, StartOutcome::Existing(State::Running));
    assert_eq!(second.id(), first.id());
    assert_eq!(second.result().await.unwrap(), 1);
    let third = test.app.run(sync(3).unique(Unique::new("ann"))).await;
    assert_eq!(third.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_start_can_be_refused() {
    let test = Harness::new(()).await;
    let unique = || Unique::new("ann").reject();
    test.app
        .start(sync(1).id("first").unique(unique()))
        .await
        .unwrap();
    let error = test
        .app
        .start(sync(2).id("second").unique(unique()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "`second` was not started: `first` of the same unique key is there"
    );
    assert_eq!(count(&test).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_debounce_runs_the_last_one_when_it_is_quiet() {
    let test = Harness::new(()).await;
    let start = async |version| {
        let call = sync(version)
            .unique(Unique::debounce("doc"))
            .delay(seconds(5));
        test.app.start(call).await.unwrap()
    };
    let mut handles = Vec::new();
    for version in 1..=5 {
        handles.push(start(version).await);
        tokio::time::advance(seconds(3)).await;
    }
    let last = handles.pop().unwrap();
    assert_eq!(last.result().await.unwrap(), 5);
    for handle in handles {
        let replaced = handle.result().await.unwrap_err();
        assert!(matches!(replaced, WorkflowError::Cancelled), "{replaced:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_runs_once_in_a_time() {
    let test = Harness::new(()).await;
    let call = |version| sync(version).unique(Unique::new("mail").within(seconds(60)));
    assert_eq!(test.app.run(call(1)).await.unwrap(), 1);
    assert_eq!(
        test.app.run(call(2)).await.unwrap(),
        1,
        "it joins what has ended"
    );
    tokio::time::advance(seconds(60)).await;
    assert_eq!(test.app.run(call(3)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn items_are_gathered_and_done_together() {
    let test = Harness::new(()).await;
    let call = || {
        let unique = Unique::new("ann").while_waiting();
        gather(100).unique(unique).delay(seconds(5))
    };
    let mut handles = Vec::new();
    for item in 0..20 {
        handles.push(test.app.start_and_send(call(), ITEM, item).await.unwrap());
    }
    let batches = handles[0].result().await.unwrap();
    assert_eq!(batches, [(0..20).collect::<Vec<_>>()]);
    assert_eq!(count(&test).await, 1);
    // What comes later is gathered anew.
    let next = test.app.start_and_send(call(), ITEM, 20).await.unwrap();
    assert_eq!(next.result().await.unwrap(), [[20]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_a_bound() {
    let test = Harness::new(()).await;
    let call = || gather(4).id("g").delay(seconds(5));
    for item in 0..10 {
        test.app.start_and_send(call(), ITEM, item).await.unwrap();
    }
    let batches = test.app.handle::<gather>("g").result().await.unwrap();
    assert_eq!(batches, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
}

#[workflow]
async fn lengths(ctx: &mut Ctx) -> stepwell::Result<Vec<usize>> {
    let mut lengths = Vec::new();
    while let Some(batch) = ctx.recv_batch(ITEM, 100).timeout(seconds(1)).await {
        lengths.push(batch.len());
    }
    Ok(lengths)
}

/// What one payload cannot hold comes with the next batch.
#[tokio::test(start_paused = true)]
async fn a_batch_fits_one_payload() {
    let test = Harness::with(stepwell::App::builder("unique").payload_bytes_max(40)).await;
    for item in 1_000..1_010 {
        let call = lengths().id("l").delay(seconds(5));
        test.app.start_and_send(call, ITEM, item).await.unwrap();
    }
    // Four digits and a comma each, and the brackets.
    let result = test.app.handle::<lengths>("l").result().await;
    assert_eq!(result.unwrap(), [7, 3]);
}

#[workflow]
async fn race(ctx: &mut Ctx) -> stepwell::Result<(u32, Vec<u32>)> {
    ctx.sleep(seconds(1)).await;
    stepwell::select!(ctx,
        go = recv(GO) => Ok((go, ctx.recv_batch(ITEM, 10).await)),
        items = recv_batch(ITEM, 10) => Ok((ctx.recv(GO).await, items)),
    )
}

/// Whichever wins, the other one leaves all messages where they are.
#[tokio::test(start_paused = true)]
async fn a_receive_that_loses_a_race_takes_nothing() {
    let test = Harness::new(()).await;
    for item in 0..3 {
        test.app
            .start_and_send(race().id("r"), ITEM, item)
            .await
            .unwrap();
    }
    test.app.send("r", GO, 7).await.unwrap();
    let result = test.app.handle::<race>("r").result().await;
    assert_eq!(result.unwrap(), (7, vec![0, 1, 2]));
}

#[workflow]
async fn starts_one_of_a_kind(ctx: &mut Ctx) -> stepwell::Result<()> {
    ctx.start(sync(1).unique(Unique::new("ann"))).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_child_cannot_be_one_of_a_kind() {
    let test = Harness::new(()).await;
    test.app
        .start(starts_one_of_a_kind().id("p"))
        .await
        .unwrap();
    let mut row = test.app.client().get("p").await.unwrap().unwrap();
    while row.state == State::Running {
        tokio::task::yield_now().await;
        row = test.app.client().get("p").await.unwrap().unwrap();
    }
    assert_eq!(row.state, State::Stuck);
    let reason = row.reason.unwrap();
    assert!(
        reason.contains("the child `sync` has a unique key"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_unique_key_is_refused() {
    let test = Harness::new(()).await;
    let refusals = [
        (Unique::new(""), "the unique key is empty"),
        (Unique::new("a\0"), "control character"),
        (
            Unique::new("a").within(Duration::MAX),
            "the period of the unique key",
        ),
    ];
    for (unique, reason) in refusals {
        let error = test.app.start(sync(1).unique(unique)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(count(&test).await, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_in_a_queue_is_replaced_where_it_stands() {
    let test = Harness::new(()).await;
    let running = test.app.start(sync(0).queue(&SLOW)).await.unwrap();
    let call = |version| sync(version).queue(&SLOW).unique(Unique::debounce("doc"));
    let first = test.app.start(call(1)).await.unwrap();
    let behind = test
        .app
        .start(sync(9).id("behind").queue(&SLOW))
        .await
        .unwrap();
    let second = test.app.start(call(2)).await.unwrap();
    running.result().await.unwrap();
    assert_eq!(second.result().await.unwrap(), 2);
    assert!(first.result().await.is_err());
    assert_eq!(behind.result().await.unwrap(), 9);
}
