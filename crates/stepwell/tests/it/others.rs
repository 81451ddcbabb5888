//! Workflows that wait for others, or write to them, and the others are not there, not any more, or
//! will not go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::StreamExt;
use stepwell::{
    App, Ctx, ErrorKind, Event, Outcome, Retry, State, Stream, Topic, WorkflowError, store::Store,
    testing::Harness, workflow,
};
use tokio::time::timeout;

use crate::faults::Faulty;

const GO: Topic<u32> = Topic::new("go");
const READY: Event<u32> = Event::new("ready");
const LINES: Stream<u32> = Stream::new("lines");

/// Virtual time, where the clock skips.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

#[workflow]
async fn quick(_ctx: &mut Ctx) -> stepwell::Result<u32> {
    Ok(1)
}

#[workflow]
async fn publishes_and_ends(ctx: &mut Ctx) -> stepwell::Result<()> {
    ctx.set_event(READY, 7).await;
    Ok(())
}

#[workflow]
async fn gathers(ctx: &mut Ctx, count: u32) -> stepwell::Result<Vec<u32>> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(ctx.recv(GO).await);
    }
    Ok(messages)
}

#[workflow]
async fn awaits_its_child_later(ctx: &mut Ctx) -> stepwell::Result<u32> {
    let child = ctx.start(quick().id("child")).await;
    ctx.recv(GO).await;
    Ok(ctx.run(child).await.unwrap_or(0))
}

async fn stuck<T: std::fmt::Debug, E: std::fmt::Debug>(
    result: impl Future<Output = Result<T, WorkflowError<E>>>,
) -> String {
    match timeout(LONG, result).await.expect("it waits for ever") {
        Err(WorkflowError::Stuck(reason)) => reason,
        other => panic!("not stuck: {other:?}"),
    }
}

async fn in_state(app: &App, id: &str, state: State) {
    let wait = async {
        while app.client().get(id).await.unwrap().unwrap().state != state {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(timeout(LONG, wait).await.is_ok(), "never {state}");
}

#[tokio::test(start_paused = true)]
async fn a_parent_whose_child_was_deleted_says_so() {
    let test = Harness::new(()).await;
    let parent = test
        .app
        .start(awaits_its_child_later().id("p"))
        .await
        .unwrap();
    test.recorded("p", 1).await.unwrap();
    test.app.handle::<quick>("child").result().await.unwrap();
    test.app.client().delete("child").await.unwrap();
    parent.send(GO, 1).await.unwrap();
    let reason = stuck(parent.result()).await;
    assert!(
        reason.starts_with("workflow `p` waits for `child`, which was deleted"),
        "{reason}"
    );
}

#[workflow]
async fn listens(ctx: &mut Ctx, to: String) -> stepwell::Result<u32> {
    Ok(ctx.get_event(to, READY).await)
}

#[tokio::test(start_paused = true)]
async fn who_listens_to_one_that_is_not_there_is_parked_and_finds_it_later() {
    let builder = App::builder("listens").park_after(Duration::from_secs(5));
    let test = Harness::with(builder).await;
    let listener = test
        .app
        .start(listens("late".into()).id("l"))
        .await
        .unwrap();
    in_state(&test.app, "l", State::Parked).await;
    test.app.run(publishes_and_ends().id("late")).await.unwrap();
    let heard = timeout(LONG, listener.result()).await;
    assert_eq!(heard.expect("it is not looked for").unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn who_listens_to_one_that_was_deleted_says_so() {
    let test = Harness::new(()).await;
    test.app.run(quick().id("other")).await.unwrap();
    let listener = test
        .app
        .start(listens("other".into()).id("l"))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    test.app.client().delete("other").await.unwrap();
    let reason = stuck(listener.result()).await;
    assert!(reason.contains("`other`, which was deleted"), "{reason}");
}

#[workflow]
async fn writes(ctx: &mut Ctx, to: String) -> stepwell::Result<u32> {
    ctx.send(&to, GO, 1).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_message_to_nobody_leaves_a_trace() {
    let test = Harness::new(()).await;
    test.app.run(quick().id("ended")).await.unwrap();
    for (to, reason) in [
        ("nobody", "there is no workflow `nobody`"),
        (
            "ended",
            "the workflow `ended` is succeeded and receives nothing more",
        ),
    ] {
        let id = format!("to-{to}");
        let writes = writes(to.into()).id(&id);
        assert_eq!(test.app.run(writes).await.unwrap(), 1);
        let history = test.app.client().history(&id).await.unwrap();
        let Outcome::Err(why) = &history.operations[0].outcome else {
            panic!("the send was recorded as if somebody had the message");
        };
        assert_eq!(why.read::<String>().unwrap(), reason);
        test.crash().await;
        let again = test.app.handle::<writes>(id).result().await;
        assert_eq!(again.unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_to_one_that_has_ended_is_a_conflict() {
    let test = Harness::new(()).await;
    let ended = test.app.start(quick().id("ended")).await.unwrap();
    ended.result().await.unwrap();
    let error = ended.send(GO, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "the workflow `ended` is succeeded and receives nothing more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_key_is_one_message_however_often_it_is_sent() {
    let test = Harness::new(()).await;
    let gathers = test.app.start(gathers(3).id("g")).await.unwrap();
    for _ in 0..3 {
        gathers.send(GO, 1).key("one").await.unwrap();
        test.app.send("g", GO, 2).key("two").await.unwrap();
    }
    gathers.send(GO, 3).await.unwrap();
    assert_eq!(gathers.result().await.unwrap(), [1, 2, 3]);
    // What was received before it ended is no conflict.
    gathers.send(GO, 1).key("one").await.unwrap();
}

/// Sends the same twice, and something else in each attempt; the first two fail after that.
#[workflow]
async fn sends_from_a_step(ctx: &mut Ctx<App>) -> stepwell::Result<u32> {
    let app = ctx.state();
    let retry = Retry::times(3).base(Duration::from_secs(1));
    ctx.step_attempt("send", |attempt| {
        let app = Arc::clone(&app);
        async move {
            let number = attempt.number();
            app.send("g", GO, 7).await?;
            app.send("g", GO, 7).await?;
            app.send("g", GO, 10 + number).await?;
            match number {
                3 => Ok(number),
                _ => stepwell::bail!("after the sends"),
            }
        }
    })
    .retry(retry)
    .await
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_tried_again_sends_nothing_twice() {
    let receiver = Harness::new(()).await;
    let gathers = receiver.app.start(gathers(5).id("g")).await.unwrap();
    let sender = Harness::new(receiver.app.clone()).await;
    assert_eq!(sender.app.run(sends_from_a_step()).await.unwrap(), 3);
    assert_eq!(gathers.result().await.unwrap(), [7, 7, 11, 12, 13]);
}

#[workflow]
async fn starts_itself(ctx: &mut Ctx, depth: u32) -> stepwell::Result<u32> {
    let id = ctx.id().to_owned();
    let result = ctx.run(starts_itself(depth).id(id)).await;
    Ok(result.unwrap_or(0))
}

/// Each starts the other one, by its id.
#[workflow]
async fn starts_its_parent(ctx: &mut Ctx, id: String, other: String) -> stepwell::Result<u32> {
    let result = ctx
        .run(starts_its_parent(other.clone(), id).id(other))
        .await;
    Ok(result.unwrap_or(0))
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_would_wait_for_itself_says_so() {
    let test = Harness::new(()).await;
    let reason = stuck(test.app.run(starts_itself(1).id("self"))).await;
    assert!(
        reason.contains("it has the id of its own parent"),
        "{reason}"
    );
    test.app
        .start(starts_its_parent("a".into(), "b".into()).id("a"))
        .await
        .unwrap();
    in_state(&test.app, "a", State::Running).await;
    let other = test.app.handle::<starts_its_parent>("b");
    let exists = async {
        while other.status().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, exists).await.unwrap();
    let reason = stuck(other.result()).await;
    assert!(reason.contains("waits for it as an ancestor"), "{reason}");
}

#[workflow]
async fn reports(ctx: &mut Ctx) -> stepwell::Result<()> {
    ctx.append(LINES, 1).await;
    ctx.recv(COUNTS).await;
    Ok(())
}

/// No message of the test fits it.
const COUNTS: Topic<String> = Topic::new("go");

#[tokio::test(start_paused = true)]
async fn who_reads_the_stream_of_one_that_is_stuck_hears_it() {
    let test = Harness::new(()).await;
    let reports = test.app.start(reports().id("r")).await.unwrap();
    reports.send(GO, 1).await.unwrap();
    let mut lines = Box::pin(reports.stream(LINES, 0));
    assert_eq!(lines.next().await.unwrap().unwrap(), 1);
    let next = timeout(LONG, lines.next()).await;
    let error = next.expect("it waits for ever").unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains("`r` has no more entries"),
        "{error}"
    );
}

/// What the code of a version does.
#[derive(Default)]
struct Code {
    is_old: bool,
    began: AtomicU32,
}

#[workflow(allow_nondeterminism)]
async fn of_a_new_version(ctx: &mut Ctx<Code>) -> stepwell::Result<u32> {
    let code = ctx.state();
    code.began.fetch_add(1, SeqCst);
    let name = if code.is_old { "charge" } else { "bill" };
    ctx.step(name, async || Ok(1)).await?;
    Ok(ctx.recv(GO).await)
}

async fn launch(store: &Arc<Faulty>, version: &str, places: u32) -> App<Code> {
    let store: Arc<dyn Store> = Arc::<Faulty>::clone(store);
    let code = Code {
        is_old: version == "old",
        ..Code::default()
    };
    let app = App::builder("shop").store(store).state(code);
    let app = app.version(version).workflows_max(places);
    app.launch().await.unwrap()
}

#[tokio::test]
async fn who_waits_hears_nothing_of_a_version_that_got_stuck_while_another_may_try() {
    let store = Faulty::new().await;
    let first = launch(&store, "new", 10).await;
    let handle = first.start(of_a_new_version().id("w")).await.unwrap();
    while first
        .client()
        .history("w")
        .await
        .unwrap()
        .operations
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    first.shutdown().await;
    // It has no place for another one.
    let full = launch(&store, "new", 1).await;
    full.start(of_a_new_version().id("busy")).await.unwrap();
    let old = launch(&store, "old", 10).await;
    while old.handle::<of_a_new_version>("w").status().await.unwrap() != State::Stuck {
        tokio::task::yield_now().await;
    }
    let result = old.handle::<of_a_new_version>("w");
    let (result, ()) = tokio::join!(result.result(), async {
        full.send("busy", GO, 1).await.unwrap();
        full.send("w", GO, 2).await.unwrap();
    });
    assert_eq!(result.unwrap(), 2);
    assert_eq!(handle.status().await.unwrap(), State::Succeeded);
    old.shutdown().await;
    full.shutdown().await;
}
