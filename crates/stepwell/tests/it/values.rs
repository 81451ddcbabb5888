//! What is stored comes back as it was, or is refused before anything is done.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use serde::{Deserialize, Serialize};
use stepwell::{
    Ctx, ErrorKind, Event, ScheduleSpec, StartOutcome, Stream, Timestamp, Topic, WorkflowError,
    store::Filter, testing::Harness, workflow,
};

/// Shapes that serde can write and not read, or reads as another value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Tagged(Tagged),
    Flattened(Flattened),
    Nothing(Option<()>),
    Twice(Option<Option<u32>>),
    Untagged(Untagged),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Balance { cents: u128 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    #[serde(flatten)]
    stock: BTreeMap<u32, u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Fraction(f64),
    Whole(i64),
}

fn shapes() -> Vec<Shape> {
    vec![
        Shape::Tagged(Tagged::Balance { cents: 7 }),
        Shape::Flattened(Flattened {
            stock: BTreeMap::from([(1, 2)]),
        }),
        Shape::Nothing(Some(())),
        Shape::Twice(Some(None)),
        Shape::Untagged(Untagged::Whole(3)),
    ]
}

fn shape(number: usize) -> Shape {
    shapes().swap_remove(number)
}

const NEWS: Event<Shape> = Event::new("news");
const LOG: Stream<Shape> = Stream::new("log");
const MAIL: Topic<Shape> = Topic::new("mail");

#[workflow]
async fn takes(_ctx: &mut Ctx<AtomicU32>, _shape: Shape) -> stepwell::Result<()> {
    Ok(())
}

#[workflow]
async fn returns(_ctx: &mut Ctx<AtomicU32>, number: usize) -> stepwell::Result<Shape> {
    Ok(shape(number))
}

#[workflow]
async fn steps(ctx: &mut Ctx<AtomicU32>, number: usize) -> stepwell::Result<()> {
    ctx.step("make", async || Ok(shape(number))).await?;
    let ran = ctx.state();
    ctx.step("behind", async || Ok(ran.fetch_add(1, SeqCst)))
        .await?;
    Ok(())
}

#[workflow]
async fn publishes_a_value(ctx: &mut Ctx<AtomicU32>, number: usize) -> stepwell::Result<()> {
    ctx.set_event(NEWS, shape(number)).await;
    Ok(())
}

#[workflow]
async fn appends(ctx: &mut Ctx<AtomicU32>, number: usize) -> stepwell::Result<()> {
    ctx.append(LOG, shape(number)).await;
    Ok(())
}

#[workflow]
async fn sends_a_value(ctx: &mut Ctx<AtomicU32>, number: usize) -> stepwell::Result<()> {
    let id = ctx.id().to_owned();
    ctx.send(&id, MAIL, shape(number)).await;
    Ok(())
}

async fn expect_stuck<W>(test: &Harness<AtomicU32>, call: stepwell::Call<W>, shape: &Shape)
where
    W: stepwell::Workflow<State = AtomicU32>,
    W::Output: std::fmt::Debug,
    W::Error: std::fmt::Debug,
{
    match test.app.run(call).await {
        Err(WorkflowError::Stuck(reason)) => {
            let says = ["JSON", "serialized"]
                .iter()
                .all(|word| reason.contains(word))
                || reason.contains("`null` as JSON");
            assert!(says, "{shape:?}: {reason}");
        }
        other => panic!("{shape:?} came to {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_as_it_was_is_refused_wherever_it_is_written() {
    let test = Harness::new(AtomicU32::new(0)).await;
    for (number, shape) in shapes().into_iter().enumerate() {
        let refused = test.app.start(takes(shape.clone())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{shape:?}: {refused}");
        let refused = test.app.send("nobody", MAIL, shape.clone()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{shape:?}: {refused}");
        expect_stuck(&test, returns(number), &shape).await;
        expect_stuck(&test, steps(number), &shape).await;
        expect_stuck(&test, publishes_a_value(number), &shape).await;
        expect_stuck(&test, appends(number), &shape).await;
        expect_stuck(&test, sends_a_value(number), &shape).await;
    }
    assert_eq!(test.app.state().load(SeqCst), 0, "a run went on");
    let taken = Filter {
        name: Some("takes".into()),
        ..Filter::default()
    };
    assert_eq!(test.app.client().list(taken).await.unwrap(), []);
}

#[workflow]
async fn carries(ctx: &mut Ctx<AtomicU32>, numbers: Vec<f64>) -> stepwell::Result<Vec<f64>> {
    let numbers = ctx.step("carry", async || Ok(numbers.clone())).await?;
    Ok(numbers)
}

#[tokio::test(start_paused = true)]
async fn a_number_with_a_fraction_comes_back_to_the_last_bit() {
    let test = Harness::new(AtomicU32::new(0)).await;
    let numbers: Vec<f64> = (0..10_000_u64)
        .map(|number| {
            f64::from_bits(0x3ff0_0000_0000_0000 | number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12)
        })
        .chain([
            1.900_000_000_000_000_1,
            f64::MIN_POSITIVE,
            f64::MAX,
            5e-324,
            -0.0,
        ])
        .collect();
    let carried = test.app.run(carries(numbers.clone())).await.unwrap();
    let bits = |numbers: &[f64]| {
        numbers
            .iter()
            .map(|number| number.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&carried), bits(&numbers));
}

#[workflow]
async fn counts(_ctx: &mut Ctx<AtomicU32>, number: u128) -> stepwell::Result<u128> {
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn numbers_that_no_float_tells_apart_are_two_inputs() {
    let test = Harness::new(AtomicU32::new(0)).await;
    let number = u128::from(u64::MAX) + 1;
    test.app.start(counts(number).id("one")).await.unwrap();
    let (_, again) = test.app.start_new(counts(number).id("one")).await.unwrap();
    assert!(matches!(again, StartOutcome::Existing(_)));
    let other = test.app.start(counts(number + 1).id("one")).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
}

#[workflow]
async fn bills(_ctx: &mut Ctx<AtomicU32>, _at: Timestamp, cents: u128) -> stepwell::Result<u128> {
    Ok(cents)
}

#[tokio::test(start_paused = true)]
async fn a_schedule_hands_on_its_arguments_to_the_last_digit() {
    let test = Harness::new(AtomicU32::new(0)).await;
    let spec = || ScheduleSpec::new("bills", "@every 1h");
    let defined = test
        .app
        .define_schedule(spec(), |at| bills(at, u128::MAX))
        .await;
    defined.unwrap();
    let id = test.app.client().trigger_schedule("bills").await.unwrap();
    let billed = test
        .app
        .handle::<bills>(id.as_str())
        .result()
        .await
        .unwrap();
    assert_eq!(billed, u128::MAX);
}

#[workflow]
async fn nests(_ctx: &mut Ctx<AtomicU32>, levels: usize) -> stepwell::Result<serde_json::Value> {
    let list = |inner, _| serde_json::Value::Array(vec![inner]);
    Ok((0..levels).fold(serde_json::Value::Null, list))
}

#[workflow]
async fn asks(ctx: &mut Ctx<AtomicU32>, levels: usize) -> stepwell::Result<bool> {
    Ok(ctx.run(nests(levels)).await.is_ok())
}

#[tokio::test(start_paused = true)]
async fn a_parent_can_keep_every_result_that_its_child_may_have() {
    let builder = stepwell::App::builder("nests").state(AtomicU32::new(0));
    let test = Harness::with(builder.payload_bytes_max(240)).await;
    let deepest = stepwell::limits::PAYLOAD_DEPTH_MAX;
    assert!(test.app.run(asks(deepest - 2)).await.unwrap());
}
