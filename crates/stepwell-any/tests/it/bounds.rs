//! Every text that comes in, at every edge, on both stores: refused alike before anything is done, or
//! taken.

use std::pin::Pin;

use stepwell::{
    App, Client, Ctx, Error, ErrorKind, Event, Payload, Position, Queue, ScheduleSpec, Stream,
    Timestamp, Topic, Unique, WorkflowError, WorkflowId,
    limits::Text,
    redrive::{Redrive, RedriveFrom},
    store::{Filter, Launch, NewWorkflow, QueueLimits, QueueUse},
    workflow,
};

use crate::store::Workflows;

/// The texts that are tried, and what is said of those that are refused.
/// A name for a sort of text, and how one of each kind is made.
type Sample = (&'static str, fn(Text) -> String);

const SAMPLES: [Sample; 9] = [
    ("empty", |_| String::new()),
    ("NUL", |_| "a\0b".to_owned()),
    ("NUL alone", |_| "\0".to_owned()),
    ("a line break", |_| "a\nb".to_owned()),
    ("an escape of 8 bits", |_| "a\u{9b}31mb".to_owned()),
    ("too long by one", |text| "x".repeat(text.bytes_max() + 1)),
    ("far too long", |_| random(200_000)),
    ("as long as may be", |text| random(text.bytes_max())),
    ("of any characters", |_| "größer 数 🦀 '\"\\;%_".to_owned()),
];

/// Text that no database can compress.
fn random(bytes: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

fn leaked(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// An action of the test's workflow with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Deed {
    Step,
    Patch,
    SendTo,
    SendTopic,
    Recv,
    RecvBatch,
    SetEvent,
    GetEvent,
    GetEventOf,
    Append,
    AttributeName,
    AttributeValue,
    ChildId,
    ChildKey,
    ChildQueue,
    ChildOrigin,
    ChildAttribute,
    ChildAsOperation,
}

#[workflow]
async fn rests(_ctx: &mut Ctx) -> stepwell::Result<u32> {
    Ok(7)
}

#[workflow(name = "fails_at_an_edge")]
async fn fails(_ctx: &mut Ctx) -> stepwell::Result<u32> {
    stepwell::bail!("no")
}

/// Does one thing with a text, and says that it was done.
#[workflow]
async fn does(ctx: &mut Ctx, deed: Deed, text: String) -> stepwell::Result<u32> {
    let (me, name) = (ctx.id().to_owned(), leaked(&text));
    match deed {
        Deed::Step => drop(ctx.step(name, async || Ok(1)).await?),
        Deed::Patch => drop(ctx.patched(name).await),
        Deed::SendTo => ctx.send(&text, Topic::<u32>::new("topic"), 1).await,
        Deed::SendTopic => ctx.send(&me, Topic::<u32>::new(name), 1).await,
        Deed::Recv | Deed::RecvBatch => {
            // Something that is there, where it may be.
            if Text::Topic.check(&text).is_ok() {
                ctx.send(&me, Topic::<u32>::new(name), 1).await;
            }
            match deed {
                Deed::Recv => drop(ctx.recv(Topic::<u32>::new(name)).await),
                _ => drop(ctx.recv_batch(Topic::<u32>::new(name), 3).await),
            }
        }
        Deed::SetEvent => ctx.set_event(Event::<u32>::new(name), 1).await,
        Deed::GetEvent => {
            if Text::EventName.check(&text).is_ok() {
                ctx.set_event(Event::<u32>::new(name), 1).await;
            }
            ctx.get_event(me, Event::<u32>::new(name)).await;
        }
        Deed::GetEventOf => {
            let of = ctx.get_event(text.as_str(), Event::<u32>::new("none"));
            of.timeout(std::time::Duration::from_millis(1)).await;
        }
        Deed::Append => ctx.append(Stream::<u32>::new(name), 1).await,
        Deed::AttributeName => ctx.set_attribute(text, "value").await,
        Deed::AttributeValue => ctx.set_attribute("name", text).await,
        child => start_child(ctx, child, text).await?,
    }
    Ok(7)
}

async fn start_child(ctx: &mut Ctx, deed: Deed, text: String) -> stepwell::Result<()> {
    static QUEUE: Queue = Queue::new("children");
    let call = match deed {
        Deed::ChildId => rests().id(text),
        Deed::ChildKey => rests().queue(&QUEUE).queue_key(text),
        Deed::ChildQueue => rests().queue(Box::leak(Box::new(Queue::new(leaked(&text))))),
        Deed::ChildOrigin => rests().origin(text),
        Deed::ChildAttribute => rests().attribute("name", text),
        _ => {
            ctx.run(rests().attribute(text, "value")).await?;
            return Ok(());
        }
    };
    ctx.start(call).await;
    Ok(())
}

/// A text handed in at an edge. What there is not is no refusal.
type Edge = (
    &'static str,
    Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
);

fn edge<T>(
    name: &'static str,
    asked: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Edge {
    (name, Box::pin(async move { asked.await.map(drop) }))
}

/// The edges of the client that ask about a workflow by its id.
fn reads(client: &Client, id: &str) -> Vec<Edge> {
    macro_rules! asks {
        ($($name:literal => |$client:ident, $id:ident| $asked:expr;)*) => {
            vec![$({
                let ($client, $id) = (client.clone(), id.to_owned());
                edge($name, async move { $asked.await })
            }),*]
        };
    }
    let topic = || Payload::null();
    asks! {
        "get" => |client, id| client.get(&id);
        "history" => |client, id| client.history(&id);
        "events" => |client, id| client.events(&id);
        "stream" => |client, id| client.stream(&id, "name", 0);
        "event" => |client, id| client.event(&id, "name", std::time::Duration::ZERO);
        "takeovers" => |client, id| client.takeovers(&id);
        "children" => |client, id| client.children(&id);
        "wait" => |client, id| client.wait(&id);
        "changed" => |client, id| client.changed(&id, std::time::Duration::ZERO);
        "cancel" => |client, id| client.cancel(&id);
        "resume" => |client, id| client.resume(&id);
        "delete" => |client, id| client.delete(&id);
        "acknowledge" => |client, id| client.acknowledge(&id, "note");
        "redrive" => |client, id| client.redrive(&id, RedriveFrom::Start);
        "send" => |client, id| client.send(&id, "topic", topic(), None);
        "fork from" => |client, id| client.fork(&id, "forked", Position::top(0));
    }
}

fn with(change: impl FnOnce(&mut NewWorkflow)) -> NewWorkflow {
    let (id, input) = (WorkflowId::generate(), Payload::null());
    let mut new = NewWorkflow::new(id, "rests", input);
    change(&mut new);
    new
}

fn filtered(client: &Client, filter: Filter) -> Edge {
    let client = client.clone();
    edge("list", async move { client.list(filter).await })
}

/// Every edge outside a workflow that takes a text of this kind.
#[allow(clippy::too_many_lines, reason = "a table: a row for each edge")]
fn edges(app: &App, text: Text, given: &str) -> Vec<Edge> {
    let client = app.client().clone();
    let (app, text_given) = (app.clone(), given.to_owned());
    let start = |call: stepwell::Call<rests>| {
        let app = app.clone();
        edge("start", async move { app.start(call).await })
    };
    let start_by_name = |new: NewWorkflow| {
        let client = client.clone();
        edge("start by name", async move { client.start(new).await })
    };
    let schedule = |spec: ScheduleSpec, workflow: &str| {
        let (client, workflow) = (client.clone(), workflow.to_owned());
        let arguments = Payload::from_stored("[]".to_owned());
        edge("define a schedule", async move {
            client.define_schedule(spec, &workflow, arguments).await
        })
    };
    let given = || text_given.clone();
    let name = || leaked(&text_given);
    macro_rules! ask {
        ($label:literal, |$client:ident, $text:ident| $asked:expr) => {{
            let ($client, $text) = (client.clone(), given());
            edge($label, async move { $asked.await })
        }};
    }
    match text {
        Text::WorkflowId => {
            let mut all = reads(&client, &text_given);
            all.extend([
                start(rests().id(given())),
                ask!("fork to", |client, text| client.fork(
                    "fails",
                    &text,
                    Position::top(0)
                )),
                ask!("redrive all", |client, text| {
                    let job = Redrive::of("none", RedriveFrom::Start);
                    async move { client.redrive_all(&text, &job).await }
                }),
            ]);
            all
        }
        Text::IdPrefix => vec![filtered(
            &client,
            Filter {
                id_prefix: Some(given()),
                ..Filter::default()
            },
        )],
        Text::WorkflowName => vec![
            start_by_name(with(|new| new.name = given())),
            schedule(ScheduleSpec::new("of-a-name", "@every 1000h"), &text_given),
            filtered(
                &client,
                Filter {
                    name: Some(given()),
                    ..Filter::default()
                },
            ),
        ],
        Text::Origin => vec![start(rests().origin(given()))],
        Text::QueueName => vec![
            start_by_name(with(|new| {
                new.launch = Launch::Queue(QueueUse::new(given()))
            })),
            start(rests().queue(Box::leak(Box::new(Queue::new(name()))))),
            ask!("queue", |client, text| client.queue(&text)),
            ask!("pause a queue", |client, text| client
                .pause_queue(&text, "ann", "")),
            ask!("resume a queue", |client, text| client.resume_queue(&text)),
            ask!("unlimit a queue", |client, text| client
                .unlimit_queue(&text)),
            ask!("limit a queue", |client, text| client
                .limit_queue(&text, QueueLimits::default())),
            schedule(
                ScheduleSpec::new("queued", "@every 1000h")
                    .queue(Box::leak(Box::new(Queue::new(name())))),
                "rests",
            ),
            filtered(
                &client,
                Filter {
                    queue: Some(given()),
                    ..Filter::default()
                },
            ),
        ],
        Text::QueueKey => {
            static KEYED: Queue = Queue::new("keyed");
            vec![start(rests().queue(&KEYED).queue_key(given()))]
        }
        Text::UniqueKey => vec![start(rests().unique(Unique::new(given())))],
        Text::AttributeName => vec![
            start(rests().attribute(given(), "value")),
            filtered(
                &client,
                Filter {
                    attribute: Some((given(), "value".to_owned())),
                    ..Filter::default()
                },
            ),
        ],
        Text::AttributeValue => vec![
            start(rests().attribute("name", given())),
            filtered(
                &client,
                Filter {
                    attribute: Some(("name".to_owned(), given())),
                    ..Filter::default()
                },
            ),
        ],
        Text::Topic => {
            let (one, other, topic) = (app.clone(), app.clone(), Topic::<u32>::new(name()));
            vec![
                ask!("send", |client, text| client.send(
                    "fails",
                    &text,
                    Payload::null(),
                    None
                )),
                edge("send with a type", async move {
                    one.send("fails", topic, 1).await
                }),
                edge("start and send", async move {
                    other.start_and_send(rests(), topic, 1).await
                }),
            ]
        }
        Text::MessageKey => vec![ask!("send", |client, text| {
            client.send("fails", "topic", Payload::null(), Some(text))
        })],
        Text::EventName => {
            let zero = std::time::Duration::ZERO;
            let (one, event) = (app.clone(), Event::<u32>::new(name()));
            vec![
                ask!("event", |client, text| client.event("fails", &text, zero)),
                edge("event with a type", async move {
                    one.get_event("fails", event).timeout(zero).await
                }),
            ]
        }
        Text::StreamName => vec![
            ask!("stream", |client, text| client.stream("fails", &text, 0)),
            ask!("next entries", |client, text| client
                .next_entries("fails", &text, 0)),
        ],
        Text::ScheduleName => vec![
            ask!("pause", |client, text| client
                .pause_schedule(&text, "ann", "")),
            ask!("resume", |client, text| client.resume_schedule(&text)),
            ask!("remove", |client, text| client.remove_schedule(&text)),
            ask!("trigger", |client, text| client.trigger_schedule(&text)),
            ask!("backfill", |client, text| {
                client.backfill_schedule(&text, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH)
            }),
            schedule(ScheduleSpec::new(given(), "@every 1000h"), "rests"),
        ],
        Text::Person => vec![
            ask!("pause a queue", |client, text| client
                .pause_queue("paused", &text, "")),
            ask!("pause", |client, text| client
                .pause_schedule("paused", &text, "")),
        ],
        Text::Reason => vec![
            ask!("pause a queue", |client, text| client
                .pause_queue("paused", "ann", &text)),
            ask!("pause", |client, text| client
                .pause_schedule("paused", "ann", &text)),
        ],
        Text::Note => vec![ask!("acknowledge", |client, text| client
            .acknowledge("fails", &text))],
        Text::Fingerprint => vec![
            filtered(
                &client,
                Filter {
                    fingerprint: Some(given()),
                    ..Filter::default()
                },
            ),
            ask!("redrive all", |client, text| {
                let job = Redrive {
                    fingerprint: Some(text),
                    ..Redrive::of("none", RedriveFrom::Start)
                };
                let id = WorkflowId::generate();
                async move { client.redrive_all(id.as_str(), &job).await }
            }),
        ],
        Text::ApplicationName => vec![edge(
            "build",
            App::builder(given()).database("sqlite::memory:").build(),
        )],
        Text::Version => vec![edge(
            "build",
            App::builder("versions")
                .version(given())
                .database("sqlite::memory:")
                .build(),
        )],
        // These are read, too: what is no schedule and no time zone is refused whatever its bytes.
        Text::ScheduleExpression => {
            vec![schedule(ScheduleSpec::new("expression", given()), "rests")]
        }
        Text::TimeZone => vec![schedule(
            ScheduleSpec::new("zone", "0 3 * * *").timezone(given()),
            "rests",
        )],
        // Within workflows alone, and of sources of events, which are another crate.
        Text::OperationName | Text::SourceName => Vec::new(),
        other => panic!("{other:?} is tried nowhere: add its edges"),
    }
}

/// The actions that take a text of this kind.
fn deeds(text: Text) -> &'static [Deed] {
    match text {
        Text::OperationName => &[Deed::Step, Deed::Patch],
        Text::WorkflowId => &[Deed::ChildId, Deed::GetEventOf, Deed::SendTo],
        Text::Topic => &[Deed::SendTopic, Deed::Recv, Deed::RecvBatch],
        Text::EventName => &[Deed::SetEvent, Deed::GetEvent],
        Text::StreamName => &[Deed::Append],
        Text::AttributeName => &[Deed::AttributeName, Deed::ChildAsOperation],
        Text::AttributeValue => &[Deed::AttributeValue, Deed::ChildAttribute],
        Text::QueueKey => &[Deed::ChildKey],
        Text::QueueName => &[Deed::ChildQueue],
        Text::Origin => &[Deed::ChildOrigin],
        _ => &[],
    }
}

async fn everything_there_is(client: &Client) -> (usize, usize, usize) {
    let filter = Filter {
        limit: 1_000,
        ..Filter::default()
    };
    (
        client.list(filter).await.unwrap().len(),
        client.queues().await.unwrap().len(),
        client.schedules().await.unwrap().len(),
    )
}

async fn app(workflows: &Workflows) -> App {
    static PAUSED: Queue = Queue::new("paused");
    let app = App::builder("bounds")
        .database(&workflows.url)
        .launch()
        .await
        .unwrap();
    app.run(fails().id("fails").queue(&PAUSED))
        .await
        .unwrap_err();
    let paused = ScheduleSpec::new("paused", "@every 1000h");
    let none = Payload::from_stored("[]".to_owned());
    app.client()
        .define_schedule(paused, "rests", none)
        .await
        .unwrap();
    app
}

async fn every_text_from_outside(workflows: Workflows) {
    let app = app(&workflows).await;
    for text in Text::ALL {
        for (sample, make) in SAMPLES {
            let given = make(text);
            let must_refuse = text.check(&given).is_err();
            let before = everything_there_is(app.client()).await;
            for (name, asked) in edges(&app, text, &given) {
                let what = format!("{text:?} {sample} at `{name}`");
                match asked.await.map_err(|error| (error.kind(), error)) {
                    // What a builder is given is `Setup`.
                    Err((ErrorKind::Invalid | ErrorKind::Setup, error)) => {
                        let is_read = [Text::ScheduleExpression, Text::TimeZone].contains(&text);
                        assert!(must_refuse || is_read, "{what}: {error}");
                        assert!(error.to_string().len() < 2_000, "{what}: {}", error);
                        assert!(
                            !error.to_string().contains(char::is_control),
                            "{what}: {error}"
                        );
                    }
                    answer if must_refuse => panic!("{what} came to {answer:?}"),
                    Ok(()) | Err((ErrorKind::NotFound | ErrorKind::Conflict, _)) => {}
                    Err((kind, error)) => panic!("{what}: {kind:?} {error:?}"),
                }
            }
            if must_refuse {
                assert_eq!(
                    everything_there_is(app.client()).await,
                    before,
                    "{text:?} {sample}"
                );
            }
        }
    }
    app.shutdown().await;
}

async fn every_text_within_workflows(workflows: Workflows) {
    let app = app(&workflows).await;
    for text in Text::ALL {
        for (sample, make) in SAMPLES {
            let given = make(text);
            for deed in deeds(text) {
                let what = format!("{text:?} {sample} by {deed:?}");
                let handle = app.start(does(*deed, given.clone())).await.unwrap();
                let came_to = handle.result().await;
                match (text.check(&given), came_to) {
                    (Ok(()), Ok(7)) => {}
                    (Err(refused), Err(WorkflowError::Stuck(reason))) => {
                        assert!(reason.contains(&refused.to_string()), "{what}: {reason}");
                        let children = app.client().children(handle.id()).await.unwrap();
                        assert_eq!(children, [], "{what}");
                    }
                    (_, came_to) => panic!("{what} came to {came_to:?}"),
                }
            }
        }
    }
    app.shutdown().await;
}

#[tokio::test]
async fn every_text_from_outside_is_taken_or_refused_on_sqlite() {
    every_text_from_outside(Workflows::in_sqlite()).await;
}

#[tokio::test]
async fn every_text_from_outside_is_taken_or_refused_on_postgres() {
    if let Some(workflows) = Workflows::in_postgres() {
        every_text_from_outside(workflows).await;
    }
}

#[tokio::test]
async fn every_text_within_workflows_is_taken_or_refused_on_sqlite() {
    every_text_within_workflows(Workflows::in_sqlite()).await;
}

#[tokio::test]
async fn every_text_within_workflows_is_taken_or_refused_on_postgres() {
    if let Some(workflows) = Workflows::in_postgres() {
        every_text_within_workflows(workflows).await;
    }
}
