//! Bad input is refused with its value and its limit, and leaves nothing behind.

use std::time::Duration;

use stepwell::{
    App, Ctx, ErrorKind, Queue, WorkflowError,
    store::{Filter, QueueLimits},
    testing::Harness,
    workflow,
};

#[workflow]
async fn repeat(ctx: &mut Ctx, value: f64, text: String) -> stepwell::Result<String> {
    let _ = value;
    ctx.step("echo", async || Ok(text.clone())).await
}

#[workflow]
async fn not_a_number(ctx: &mut Ctx) -> stepwell::Result<f64> {
    ctx.step("divide", async || Ok(f64::NAN)).await
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, stepwell::Error>, reason: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(reason), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_leaves_nothing_behind() {
    let test = Harness::with(App::builder("bounds").payload_bytes_max(1_000)).await;
    let start = |call| test.app.start(call);
    let ok = || repeat(1.0, "x".into());
    refused(start(ok().id("")).await, "the workflow id is empty");
    refused(
        start(ok().id("x".repeat(256))).await,
        "has 256 bytes, at most 255",
    );
    refused(start(ok().id("a\0b")).await, "control character '\\0'");
    refused(start(ok().delay(Duration::MAX)).await, "the delay of");
    refused(start(ok().deadline(Duration::MAX)).await, "the deadline of");
    refused(
        start(ok().attribute("", "x")).await,
        "the attribute's name is empty",
    );
    refused(start(repeat(f64::NAN, "x".into())).await, "`[0]` is NaN");
    refused(
        start(repeat(1.0, "x".repeat(1_000))).await,
        "at most 1000 are allowed",
    );
    assert_eq!(
        test.app
            .client()
            .list(Filter::default())
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_value_cannot_be_stored_is_named() {
    let test = Harness::new(()).await;
    let Err(WorkflowError::Stuck(reason)) = test.app.run(not_a_number()).await else {
        panic!("the workflow is not stuck");
    };
    assert!(
        reason.contains("operation 0 `divide`: the value is NaN"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_unknown_database_names_what_is_known() {
    let error = App::builder("x")
        .database("mysql://u:secret@h/d")
        .build()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setup);
    let message = format!("{error:?}");
    assert!(
        message.contains("no store in this program opens `mysql://…@h/d`"),
        "{message}"
    );
    assert!(message.contains("sqlite:"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

/// What an application is given, and what is said about it.
type Setting = (
    &'static str,
    fn(stepwell::AppBuilder<()>) -> stepwell::AppBuilder<()>,
);

#[tokio::test]
async fn a_setting_out_of_bounds_is_refused_with_its_bounds() {
    let table: [Setting; 9] = [
        ("the lease of 0ns", |it| it.lease(Duration::ZERO)),
        ("from 100ms to 86400s", |it| it.lease(Duration::MAX)),
        ("longer than 86400s", |it| it.grace(Duration::MAX)),
        ("`workflows_max` is 0", |it| it.workflows_max(0)),
        ("is parked of", |it| it.park_after(Duration::MAX)),
        ("from 4 to 536870912 bytes", |it| it.payload_bytes_max(0)),
        ("`payload_bytes_max` is", |it| {
            it.payload_bytes_max(usize::MAX)
        }),
        ("the version is empty", |it| it.version("")),
        ("the version \"xxx", |it| it.version("x".repeat(256))),
    ];
    for (says, set) in table {
        let app = set(App::builder("bounds").database("sqlite::memory:"));
        let error = app.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setup, "{says}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    let edges = App::builder("bounds")
        .database("sqlite::memory:")
        .lease(Duration::from_millis(100))
        .grace(Duration::ZERO)
        .workflows_max(1)
        .payload_bytes_max(4)
        .park_after(Duration::ZERO);
    edges.launch().await.unwrap().shutdown().await;
}

/// Queues whose workflows would wait for ever.
static NOBODY: Queue = Queue::new("nobody").concurrency(0);
static NOBODY_HERE: Queue = Queue::new("nobody-here").executor_concurrency(0);
static NO_KEY: Queue = Queue::new("no-key").key_concurrency(0);
static NEVER: Queue = Queue::new("never").rate(0, Duration::from_secs(1));
static NO_PLACE: Queue = Queue::new("no-place").waiting_max(0);

#[tokio::test(start_paused = true)]
async fn a_limit_of_nothing_is_refused() {
    let test = Harness::new(()).await;
    for queue in [&NOBODY, &NOBODY_HERE, &NO_KEY, &NEVER, &NO_PLACE] {
        let call = repeat(1.0, "x".into()).queue(queue);
        refused(test.app.start(call).await, "or pause the queue");
    }
    let limits = QueueLimits {
        concurrency: Some(0),
        ..QueueLimits::default()
    };
    let set = test.app.client().limit_queue("q", limits).await;
    refused(set, "the concurrency of queue `q` is 0");
}

#[tokio::test]
async fn an_application_without_a_name_is_refused() {
    let error = App::builder("")
        .database("sqlite::memory:")
        .build()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the application's name is empty; give it at least one character"
    );
}
