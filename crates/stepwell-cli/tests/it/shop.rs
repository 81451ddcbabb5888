//! A shop whose orders are in every state that a command meets.

use std::time::Duration;

use stepwell::{
    App, Client, Ctx, Event, Payload, Retry, ScheduleSpec, Topic, WorkflowId, step,
    store::{Launch, NewWorkflow, QueueLimits, QueueUse},
    workflow,
};

const PAYMENT: Topic<String> = Topic::new("payment");
const STATUS: Event<String> = Event::new("status");

#[step]
async fn reserve(article: String) -> stepwell::Result<String> {
    Ok(format!("reserved {article}"))
}

#[step]
async fn ship(article: String) -> stepwell::Result<u32> {
    match article.as_str() {
        "cup" => Ok(7),
        other => Err(stepwell::Failure::msg(format!("no {other} on stock"))),
    }
}

#[workflow]
async fn checkout(ctx: &mut Ctx, article: String) -> stepwell::Result<u32> {
    ctx.run(reserve(article.clone())).await?;
    ctx.set_event(STATUS, "waiting".to_owned()).await;
    let payment = ctx.recv(PAYMENT).await;
    ctx.set_event(STATUS, payment).await;
    let patience = Retry::times(2).base(Duration::from_millis(1));
    ctx.run(ship(article)).retry(patience).await
}

async fn start(app: &App, id: &str, article: &str) {
    let call = checkout(article.to_owned()).id(id);
    let handle = app.start(call.attribute("customer", "ada")).await.unwrap();
    let status = handle.get_event(STATUS).await.unwrap();
    assert_eq!(status.as_deref(), Some("waiting"));
}

async fn pay(app: &App, id: &str) {
    app.send(id, PAYMENT, "paid".to_owned()).await.unwrap();
    let _ended = app.client().wait(id).await.unwrap();
}

/// Fills a database. `order-1` has succeeded, `order-2` failed, `order-3` waits for a payment,
/// `order-4` is cancelled; `order-5` and `order-6` failed alike; `mail-1` to `mail-3` wait in the queue `mails`; the schedule `nightly`
/// ticks at three. No process runs any of them.
pub(crate) async fn fill(url: &str) {
    let app = App::builder("shop").database(url).launch().await.unwrap();
    for (id, article) in [
        ("order-1", "cup"),
        ("order-2", "pot"),
        ("order-3", "cup"),
        ("order-4", "cup"),
        ("order-5", "pan"),
        ("order-6", "pan"),
    ] {
        start(&app, id, article).await;
    }
    pay(&app, "order-1").await;
    for failed in ["order-2", "order-5", "order-6"] {
        pay(&app, failed).await;
    }
    app.client().cancel("order-4").await.unwrap();
    let nightly = ScheduleSpec::new("nightly", "0 3 * * *").timezone("Europe/Berlin");
    let arguments = Payload::from_stored(r#"["eu"]"#.to_owned());
    app.client()
        .define_schedule(nightly, "report", arguments)
        .await
        .unwrap();
    app.shutdown().await;
    let client = Client::open(url).await.unwrap();
    for id in ["mail-1", "mail-2", "mail-3"] {
        client.start(mail(id)).await.unwrap();
    }
}

fn mail(id: &str) -> NewWorkflow {
    let limits = QueueLimits {
        concurrency: Some(2),
        ..QueueLimits::default()
    };
    let input = Payload::from_stored("[]".to_owned());
    NewWorkflow {
        launch: Launch::Queue(QueueUse {
            limits,
            ..QueueUse::new("mails")
        }),
        origin: Some("test".to_owned()),
        ..NewWorkflow::new(WorkflowId::new(id).unwrap(), "mail", input)
    }
}
