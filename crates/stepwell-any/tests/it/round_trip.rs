//! Everything that serde can write, by every way into a workflow and out of it: it is refused when it is
//! written, or the same when it is read, to the last bit.
//!
//! `STEPWELL_ROUND_TRIPS` says how many values are tried.

mod values;

use std::{
    collections::HashMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stepwell::{
    App, Call, Ctx, ErrorKind, Event, Payload, Position, Stream, Topic, Workflow, WorkflowError,
    limits::Text, workflow,
};

use crate::store::Workflows;
use values::{Any, anything, text};

/// How many values are tried, if nothing else is said.
fn round_trips(usually: u32) -> u32 {
    let asked = std::env::var("STEPWELL_ROUND_TRIPS").ok();
    asked.map_or(usually, |asked| asked.parse().unwrap())
}

/// Whether the value is the same after plain `serde_json`: what the engine has to find out.
fn comes_back(value: &Any) -> bool {
    let Ok(json) = serde_json::to_string(value) else {
        return false;
    };
    serde_json::from_str::<Any>(&json).is_ok_and(|read| is_same(&read, value))
}

fn is_same(one: &Any, other: &Any) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Not `assert!`: a value that fails is made smaller first.
fn check(is_so: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what()) }
}

fn each(cases: u32, mut tried: impl FnMut(Any) -> Result<(), String>) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let tried = std::cell::RefCell::new(&mut tried);
    let outcome = TestRunner::new(config).run(&anything(), |value| {
        (tried.borrow_mut())(value).map_err(proptest::test_runner::TestCaseError::fail)
    });
    outcome.unwrap();
}

#[test]
fn a_payload_is_refused_or_read_as_it_was() {
    each(round_trips(3_000), |value| {
        let made = Payload::of_durable(&value, usize::MAX);
        check(made.is_ok() == comes_back(&value), || {
            format!("{value:?} came to {made:?}")
        })?;
        let Ok(payload) = made else { return Ok(()) };
        let read: Any = payload.read().unwrap();
        check(is_same(&read, &value), || {
            format!("{value:?} is read as {read:?}")
        })
    });
}

/// The next number of a value: tests of one process share them.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The values that workflows make, by number: they must not come in as arguments.
fn values() -> &'static Mutex<HashMap<u64, Any>> {
    static VALUES: OnceLock<Mutex<HashMap<u64, Any>>> = OnceLock::new();
    VALUES.get_or_init(Mutex::default)
}

fn value(number: u64) -> Any {
    let values = values().lock().unwrap_or_else(PoisonError::into_inner);
    values[&number].clone()
}

/// A business error that holds a value.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("it failed")]
struct Failed(Any);

const TOPIC: Topic<Any> = Topic::new("topic");
const EVENT: Event<Any> = Event::new("event");
const STREAM: Stream<Any> = Stream::new("stream");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Result,
    Error,
    Step,
    StepError,
    Message,
    Messages,
    Event,
    Stream,
    Child,
}

const WAYS: [Way; 9] = [
    Way::Result,
    Way::Error,
    Way::Step,
    Way::StepError,
    Way::Message,
    Way::Messages,
    Way::Event,
    Way::Stream,
    Way::Child,
];

/// Gives its argument back.
#[workflow]
async fn echo(_ctx: &mut Ctx, given: Any) -> Result<Any, Failed> {
    Ok(given)
}

/// Takes a value through the database by one way, and ends with what came out of it.
#[workflow]
async fn carry(ctx: &mut Ctx, number: u64, way: Way) -> Result<Any, Failed> {
    let (given, me) = (value(number), ctx.id().to_owned());
    match way {
        Way::Result => Ok(given),
        Way::Error => Err(Failed(given)),
        Way::Step => ctx.typed_step("step", async || Ok(given.clone())).await,
        Way::StepError => {
            let tried: Result<u8, Failed> = ctx
                .typed_step("step", async || Err(Failed(given.clone())))
                .await;
            Err(tried.unwrap_err())
        }
        Way::Message => {
            ctx.send(&me, TOPIC, given).await;
            Ok(ctx.recv(TOPIC).await)
        }
        Way::Messages => {
            ctx.send(&me, TOPIC, given).await;
            Ok(ctx.recv_batch(TOPIC, 2).await.remove(0))
        }
        Way::Event => {
            ctx.set_event(EVENT, given).await;
            Ok(ctx.get_event(me, EVENT).await)
        }
        Way::Stream => {
            ctx.append(STREAM, given.clone()).await;
            Ok(given)
        }
        Way::Child => match ctx.run(echo(given)).await {
            Ok(echoed) => Ok(echoed),
            Err(WorkflowError::Failed(failed)) => Err(failed),
            Err(other) => panic!("a child came to {other:?}"),
        },
    }
}

/// What came out: a result or an error.
fn carried(result: Result<Any, WorkflowError<Failed>>) -> Result<Any, WorkflowError<Failed>> {
    match result {
        Err(WorkflowError::Failed(Failed(carried))) => Ok(carried),
        other => other,
    }
}

async fn expect<W>(app: &App, call: Call<W>, expected: &Any, is_kept: bool) -> Result<(), String>
where
    W: Workflow<State = (), Output = Any, Error = Failed>,
{
    let call_shown = format!("{call:?}");
    let handle = match app.start(call).await {
        Ok(handle) => handle,
        Err(error) => {
            let is_refusal = error.kind() == ErrorKind::Invalid && !is_kept;
            return check(is_refusal, || {
                format!("{call_shown} {expected:?}: {error:?}")
            });
        }
    };
    match carried(handle.result().await) {
        Ok(out) if is_kept => {
            check(is_same(&out, expected), || {
                format!("{call_shown} gave {out:?}")
            })?;
            let again = carried(app.handle::<W>(handle.id()).result().await);
            let again = again.map_err(|error| format!("{error:?}"))?;
            check(is_same(&again, expected), || {
                format!("{call_shown} gave {again:?} later")
            })
        }
        Err(WorkflowError::Stuck(reason)) if !is_kept => check(reason.contains("JSON"), || {
            format!("{call_shown}: {reason}")
        }),
        other => Err(format!("{call_shown} with {expected:?} came to {other:?}")),
    }
}

async fn by_every_way(app: &App, number: u64, given: &Any) -> Result<(), String> {
    let is_kept = comes_back(given);
    expect(app, echo(given.clone()), given, is_kept).await?;
    for way in WAYS {
        let id = format!("{number}-{way:?}");
        expect(app, carry(number, way).id(&id), given, is_kept).await?;
    }
    let sent = app
        .send(&format!("{number}-Result"), TOPIC, given.clone())
        .await;
    // One that has ended receives nothing more: only what could be stored comes so far.
    let is_taken = !matches!(&sent, Err(error) if error.kind() == ErrorKind::Invalid);
    check(is_taken == is_kept, || {
        format!("a message came to {sent:?}")
    })?;
    if is_kept {
        outside(app, number, given).await?;
    }
    Ok(())
}

/// The ways out that are no result: an event, a stream, a fork, an export.
async fn outside(app: &App, number: u64, given: &Any) -> Result<(), String> {
    let of = |way: Way| format!("{number}-{way:?}");
    let event = app
        .get_event(of(Way::Event), EVENT)
        .timeout(Duration::from_secs(10))
        .await;
    let event = event.unwrap().unwrap();
    check(is_same(&event, given), || format!("the event is {event:?}"))?;
    let entries = app
        .client()
        .stream(&of(Way::Stream), STREAM.name(), 0)
        .await
        .unwrap();
    let entry: Any = entries[0].value.read().unwrap();
    check(is_same(&entry, given), || format!("the entry is {entry:?}"))?;

    // Its step is answered from the history that was copied.
    let forked = format!("{number}-forked");
    let behind_the_step = Position::top(1);
    app.client()
        .fork(&of(Way::Step), &forked, behind_the_step)
        .await
        .unwrap();
    let result = app.handle::<carry>(forked).result().await;
    let result = carried(result).map_err(|error| format!("{error:?}"))?;
    check(is_same(&result, given), || {
        format!("the fork gave {result:?}")
    })?;

    let history = app.client().history(&of(Way::Step)).await.unwrap();
    let exported = serde_json::to_string(&history.operations).unwrap();
    let read: Vec<Exported> = serde_json::from_str(&exported).unwrap();
    let read: Any = serde_json::from_str(read[0].value.get()).unwrap();
    check(is_same(&read, given), || format!("exported as {read:?}"))
}

/// A record as the command line prints it.
#[derive(Debug, Deserialize)]
struct Exported {
    value: Box<RawValue>,
}

#[workflow]
async fn attributed(ctx: &mut Ctx, value: String) -> stepwell::Result<()> {
    ctx.set_attribute("set", value).await;
    Ok(())
}

async fn attributes(app: &App, given: &str) -> Result<(), String> {
    let is_kept = Text::AttributeValue.check(given).is_ok();
    let started = app
        .start(attributed(given.to_owned()).attribute("given", given))
        .await;
    let Ok(handle) = started else {
        return check(!is_kept, || format!("{given:?} came to {started:?}"));
    };
    check(is_kept, || format!("{given:?} was taken"))?;
    handle
        .result()
        .await
        .map_err(|error| format!("{error:?}"))?;
    let mut kept = app
        .client()
        .get(handle.id())
        .await
        .unwrap()
        .unwrap()
        .attributes;
    kept.sort();
    let pair = |name: &str| (name.to_owned(), given.to_owned());
    check(kept == [pair("given"), pair("set")], || {
        format!("{given:?} is {kept:?}")
    })
}

fn through(workflows: &Workflows, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let launched = App::builder("round-trip").database(&workflows.url).launch();
    let app = runtime.block_on(launched).unwrap();
    each(cases, |given| {
        let number = next_number();
        let mut values = values().lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(number, given.clone());
        drop(values);
        runtime.block_on(by_every_way(&app, number, &given))
    });
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&text(), |given| {
        let tried = runtime.block_on(attributes(&app, &given));
        tried.map_err(proptest::test_runner::TestCaseError::fail)
    });
    outcome.unwrap();
    runtime.block_on(app.shutdown());
}

#[test]
fn a_value_comes_back_by_every_way_in_sqlite() {
    through(&Workflows::in_sqlite(), round_trips(30));
}

#[test]
fn a_value_comes_back_by_every_way_in_postgres() {
    if let Some(workflows) = Workflows::in_postgres() {
        through(&workflows, round_trips(30));
    }
}
