//! Deadlines of workflows that nobody runs: delayed ones, and those that wait behind others.

use std::time::Duration;

use stepwell::{
    App, Call, Ctx, ErrorKind, Queue, State, WorkflowError, testing::Harness, workflow,
};

/// The state of this file's workflows.
#[derive(Default)]
struct Line;

const SECOND: Duration = Duration::from_secs(1);

static ONE: Queue = Queue::new("one-at-a-time").concurrency(1).waiting_max(1);

#[workflow]
async fn rest(ctx: &mut Ctx<Line>, seconds: u64) -> stepwell::Result<u64> {
    ctx.sleep(SECOND * u32::try_from(seconds)?).await;
    Ok(seconds)
}

/// How long a workflow was there, by the database's clock.
async fn lived(test: &Harness<Line>, id: &str) -> Duration {
    let row = test.app.client().get(id).await.unwrap().unwrap();
    assert_eq!(row.state, State::Cancelled);
    let lived = row.ended_at.unwrap().duration_since(row.created_at);
    lived.try_into().unwrap()
}

async fn expect_late(test: &Harness<Line>, call: Call<rest>) {
    let handle = test.app.start(call).await.unwrap();
    let error = handle.result().await.unwrap_err();
    assert!(matches!(error, WorkflowError::DeadlineExceeded), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_workflow_ends_at_its_deadline() {
    let test = Harness::new(Line).await;
    let call = rest(1).id("a").deadline(SECOND).delay(SECOND * 25);
    expect_late(&test, call).await;
    assert!(lived(&test, "a").await < SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_behind_another_one_ends_at_its_deadline_and_makes_room() {
    let test = Harness::new(Line).await;
    let first = rest(60).id("first").queue(&ONE);
    let first = test.app.start(first).await.unwrap();
    while test.app.client().get("first").await.unwrap().unwrap().state != State::Running {
        tokio::time::sleep(SECOND / 10).await;
    }
    let second = rest(1).id("second").queue(&ONE).deadline(SECOND * 2);
    let second = test.app.start(second).await.unwrap();
    let third = || rest(1).id("third").queue(&ONE);
    let full = test.app.start(third()).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);

    assert!(second.result().await.is_err());
    assert!(lived(&test, "second").await < SECOND * 4);
    let third = test.app.start(third()).await.unwrap();
    assert_eq!(first.result().await.unwrap(), 60);
    assert_eq!(third.result().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_where_no_executor_is() {
    let clock = std::sync::Arc::new(stepwell::clock::SystemClock);
    let app = App::builder("only-starts").state(Line).clock(clock);
    let app = app.database("sqlite::memory:").build().await.unwrap();
    let handle = app
        .start(rest(1).deadline(Duration::from_millis(20)))
        .await
        .unwrap();
    let error = handle.result().await.unwrap_err();
    assert!(matches!(error, WorkflowError::DeadlineExceeded), "{error}");
}
