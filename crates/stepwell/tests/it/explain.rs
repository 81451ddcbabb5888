//! Why a workflow does not go on, and what it does, as seen from outside.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use stepwell::{
    App, Ctx, Doing, Failure, Payload, Queue, RecordKind, Retry, Topic, Why, WorkflowId, step,
    store::{Launch, NewWorkflow, QueueUse},
    testing::Harness,
    workflow,
};
use tokio::sync::Notify;

const GO: Topic<u32> = Topic::new("go");
const HOUR: Duration = Duration::from_secs(60 * 60);
static LINE: Queue = Queue::new("explain-line").concurrency(1);

#[derive(stepwell::State, Default)]
struct Shop {
    #[provide]
    go: Arc<Notify>,
}

async fn harness() -> Harness<Shop> {
    Harness::new(Shop::default()).await
}

/// An application that renews its lease every second, by the clock on the wall: a harness never does.
async fn launched() -> App<Shop> {
    let builder = App::builder("test").state(Shop::default());
    let builder = builder.database("sqlite::memory:");
    builder
        .lease(Duration::from_secs(3))
        .launch()
        .await
        .unwrap()
}

async fn why(app: &App<Shop>, id: &str) -> Why {
    app.client().explain(id).await.unwrap()
}

/// Waits until a running workflow is said to be at something that is looked for.
async fn doing(app: &App<Shop>, id: &str, looked_for: impl Fn(&Doing) -> bool) -> Vec<Doing> {
    let looking = async {
        loop {
            match why(app, id).await {
                Why::Running { doing, .. } if doing.iter().any(&looked_for) => return doing,
                // The machine may have much to do.
                Why::Running { .. } | Why::Waiting { .. } | Why::ExecutorSilent { .. } => {}
                other => panic!("it does not run: {other}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), looking).await;
    found.expect("the executor says what its runs are at")
}

#[step]
async fn charges(#[state] go: &Arc<Notify>) -> stepwell::Result<()> {
    go.notified().await;
    Ok(())
}

#[workflow]
async fn explains_a_step(ctx: &mut Ctx<Shop>) -> stepwell::Result<u32> {
    ctx.now().await;
    ctx.run(charges()).await?;
    Ok(ctx.recv(GO).await)
}

#[tokio::test]
async fn a_step_that_runs_and_a_receive_that_is_not_parked_are_seen() {
    let app = launched().await;
    let handle = app.start(explains_a_step()).await.unwrap();
    let began = app.client().now();
    let doing_now = doing(&app, handle.id(), |it| it.kind == RecordKind::Step).await;
    let [step] = doing_now.as_slice() else {
        panic!("{doing_now:?}");
    };
    assert_eq!((step.name.as_str(), step.attempt), ("charges", Some(1)));
    assert_eq!(
        (step.position.to_string().as_str(), step.until),
        ("1", None)
    );
    assert!(step.since >= began - Duration::from_secs(1), "{step}");
    let Why::Running { on, .. } = why(&app, handle.id()).await else {
        panic!("it runs");
    };
    assert_eq!(
        (Some(on.executor), on.pid),
        (app.executor(), std::process::id())
    );

    app.state().go.notify_one();
    let doing = doing(&app, handle.id(), |it| it.kind == RecordKind::Recv).await;
    assert_eq!((doing.len(), doing[0].name.as_str()), (1, "go"));

    handle.send(GO, 7).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 7);
    let ended = why(&app, handle.id()).await;
    assert_eq!(ended.to_string(), "it has succeeded");
}

#[workflow]
async fn explains_a_pause(ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    let pauses = Retry::times(3).base(HOUR).cap(HOUR).without_jitter();
    let tries = stepwell::step("tries", || async { Err::<(), _>(Failure::msg("not yet")) });
    ctx.run(tries).retry(pauses).await
}

#[tokio::test]
async fn a_step_that_waits_for_its_next_attempt_says_for_when() {
    let app = launched().await;
    let handle = app.start(explains_a_pause()).await.unwrap();
    let began = app.client().now();
    let doing = doing(&app, handle.id(), |it| it.until.is_some()).await;
    assert_eq!(
        (doing[0].name.as_str(), doing[0].attempt),
        ("tries", Some(2))
    );
    assert!(doing[0].until.unwrap() >= began + HOUR - Duration::from_secs(1));
    handle.cancel().await.unwrap();
}

#[workflow]
async fn explains_an_error(_ctx: &mut Ctx<Shop>, message: String) -> stepwell::Result<()> {
    Err(Failure::msg(message))
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_failed_says_its_message_shortened() {
    let test = harness().await;
    for (message, reason) in [
        (
            "no pan on\nstock 7".to_owned(),
            "no pan on stock 7".to_owned(),
        ),
        ("x".repeat(10_000), format!("{}…", "x".repeat(200))),
    ] {
        let handle = test.app.start(explains_an_error(message)).await.unwrap();
        handle.result().await.unwrap_err();
        let row = test.app.client().get(handle.id()).await.unwrap().unwrap();
        assert_eq!(row.reason, Some(reason.clone()));
        let ended = why(&test.app, handle.id()).await;
        assert_eq!(ended.to_string(), format!("it has failed: {reason}"));
    }
}

fn of_nobody(id: &str, launch: Launch) -> NewWorkflow {
    let input = Payload::from_stored("[]".to_owned());
    NewWorkflow {
        launch,
        ..NewWorkflow::new(WorkflowId::new(id).unwrap(), "registered_nowhere", input)
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_executor_registers_is_said() {
    let test = harness().await;
    let client = test.app.client();
    client
        .start(of_nobody("order-1", Launch::Anywhere))
        .await
        .unwrap();
    let Why::Unregistered { name, live } = client.explain("order-1").await.unwrap() else {
        panic!("{}", client.explain("order-1").await.unwrap());
    };
    assert_eq!(
        (name.as_str(), live.len(), live[0].executors),
        ("registered_nowhere", 1, 1)
    );
    assert!(
        live[0].names.contains(&"explains_a_step".to_owned()),
        "{live:?}"
    );
    let executors = client.executors().await.unwrap();
    assert_eq!(executors[0].names.as_ref(), Some(&live[0].names));

    // A pause is said first: nothing begins before it is over, whoever registers the name.
    let queued = Launch::Queue(QueueUse::new("explain-paused"));
    client.start(of_nobody("order-2", queued)).await.unwrap();
    client
        .pause_queue("explain-paused", "ada", "the relay is down")
        .await
        .unwrap();
    let paused = client.explain("order-2").await.unwrap();
    assert!(matches!(paused, Why::QueuePaused { .. }), "{paused}");
    assert!(
        paused.to_string().ends_with(": the relay is down"),
        "{paused}"
    );
}

#[tokio::test]
async fn a_full_queue_is_said() {
    let app = launched().await;
    let first = app.start(explains_a_step().queue(&LINE)).await.unwrap();
    doing(&app, first.id(), |it| it.kind == RecordKind::Step).await;
    let second = app.start(explains_a_step().queue(&LINE)).await.unwrap();
    assert_eq!(
        why(&app, second.id()).await.to_string(),
        "its queue `explain-line` is full: 1 of it run, as many as may"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_explained() {
    let test = harness().await;
    let error = test.app.client().explain("nobody").await.unwrap_err();
    assert_eq!(error.kind(), stepwell::ErrorKind::NotFound);
}

/// Lines of a log.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_launch_warns_of_names_that_no_live_executor_registers() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let test = harness().await;
    let client = test.app.client();
    for id in ["order-1", "order-2"] {
        client.start(of_nobody(id, Launch::Anywhere)).await.unwrap();
    }
    test.crash().await;
    // The first launch may have seen one of them.
    let all = r#"name="registered_nowhere" waiting=2"#;
    let said = async {
        while !log.text().contains(all) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(60), said).await;
    assert_eq!(said, Ok(()), "{}", log.text());
    assert!(
        log.text().contains("no live executor registers"),
        "{}",
        log.text()
    );
}
