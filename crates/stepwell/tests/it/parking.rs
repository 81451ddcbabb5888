//! Workflows that wait for long leave memory, and go on from their history when what they wait for
//! comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Ctx, Event, Failure, Queue, Retry, State as WorkflowState, Topic, sleep, step,
    testing::Harness, workflow,
};
use tokio::sync::Notify;

const GO: Topic<u32> = Topic::new("go");
const READY: Event<u32> = Event::new("ready");
const AFTER: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEARS: Duration = DAY.saturating_mul(9 * 365);
static LINE: Queue = Queue::new("parking-line");

#[derive(stepwell::State, Default)]
struct Counts {
    /// How often a body began: once, and once for each time that it came back.
    #[provide]
    begun: Begun,
    #[provide]
    steps: Arc<AtomicU32>,
    #[provide]
    go: Notify,
}

#[derive(Default)]
struct Begun(AtomicU32);

impl Counts {
    fn begun(&self) -> u32 {
        self.begun.0.load(SeqCst)
    }

    fn steps(&self) -> u32 {
        self.steps.load(SeqCst)
    }
}

#[step]
async fn works(#[state] steps: &Arc<AtomicU32>) -> stepwell::Result<u32> {
    Ok(steps.fetch_add(1, SeqCst))
}

async fn harness() -> Harness<Counts> {
    let builder = App::builder("test").state(Counts::default());
    Harness::with(builder.park_after(AFTER)).await
}

/// Waits until a workflow is parked. Answers what it waits for.
async fn parked<S: Send + Sync + 'static>(app: &App<S>, id: &str) -> String {
    loop {
        let workflow = app.client().get(id).await.unwrap().unwrap();
        match workflow.state {
            WorkflowState::Parked => return workflow.reason.unwrap(),
            state => assert!(!state.is_at_rest(), "{state}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[workflow]
async fn parks_for_a_message(ctx: &mut Ctx<Counts>) -> stepwell::Result<u32> {
    ctx.state().begun.0.fetch_add(1, SeqCst);
    ctx.run(works()).await?;
    let heard = ctx.recv(GO).await;
    ctx.run(works()).await?;
    Ok(heard)
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_waits_for_a_message_is_parked_and_woken_by_it() {
    let test = harness().await;
    let handle = test.app.start(parks_for_a_message()).await.unwrap();
    let reason = parked(&test.app, handle.id()).await;
    assert_eq!(reason, "waits for a message on `go`");
    assert_eq!(test.app.state().begun(), 1);

    handle.send(GO, 7).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 7);
    assert_eq!(test.app.state().begun(), 2);
    assert_eq!(test.app.state().steps(), 2, "a recorded step ran again");
}

#[workflow]
async fn parks_for_a_time(ctx: &mut Ctx<Counts>) -> stepwell::Result<()> {
    ctx.state().begun.0.fetch_add(1, SeqCst);
    ctx.sleep(DAY).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_sleeps_is_parked_and_wakes_in_time() {
    let test = harness().await;
    let began = test.app.client().now();
    let handle = test.app.start(parks_for_a_time()).await.unwrap();
    let reason = parked(&test.app, handle.id()).await;
    assert!(reason.starts_with("waits until "), "{reason}");
    handle.result().await.unwrap();
    assert_eq!(test.app.client().now().duration_since(began).as_hours(), 24);
    assert_eq!(test.app.state().begun(), 2);
}

#[workflow]
async fn parks_with_a_limit(ctx: &mut Ctx<Counts>) -> stepwell::Result<Option<u32>> {
    ctx.state().begun.0.fetch_add(1, SeqCst);
    Ok(ctx.recv(GO).timeout(DAY).await)
}

#[tokio::test(start_paused = true)]
async fn a_parked_receive_gives_up_when_its_time_is_over() {
    let test = harness().await;
    let handle = test.app.start(parks_with_a_limit()).await.unwrap();
    let reason = parked(&test.app, handle.id()).await;
    assert!(
        reason.starts_with("waits for a message on `go`, or until "),
        "{reason}"
    );
    assert_eq!(handle.result().await.unwrap(), None);
    assert_eq!(test.app.state().begun(), 2);
}

#[workflow]
async fn parks_between_attempts(ctx: &mut Ctx<Counts>) -> stepwell::Result<u32> {
    let steps = Arc::clone(&ctx.state().steps);
    let pauses = Retry::times(3).base(DAY).cap(DAY * 2).without_jitter();
    let tries = stepwell::step("tries", move || {
        let number = steps.fetch_add(1, SeqCst);
        async move {
            match number {
                0 | 1 => Err(Failure::msg("not yet")),
                number => Ok(number),
            }
        }
    });
    ctx.run(tries.retry(pauses)).await
}

#[tokio::test(start_paused = true)]
async fn a_workflow_is_parked_between_the_attempts_of_a_step() {
    let test = harness().await;
    let began = test.app.client().now();
    let handle = test.app.start(parks_between_attempts()).await.unwrap();
    parked(&test.app, handle.id()).await;
    assert_eq!(handle.result().await.unwrap(), 2);
    assert_eq!(test.app.state().steps(), 3);
    // A day, and twice as long.
    let hours = test.app.client().now().duration_since(began).as_hours();
    assert_eq!(hours, 72);
}

#[workflow]
async fn parent_parks(ctx: &mut Ctx<Counts>) -> stepwell::Result<u32> {
    ctx.state().begun.0.fetch_add(1, SeqCst);
    Ok(ctx.run(parks_for_a_message().id("child")).await?)
}

#[tokio::test(start_paused = true)]
async fn a_parent_is_parked_until_its_child_has_ended() {
    let test = harness().await;
    let handle = test.app.start(parent_parks().id("parent")).await.unwrap();
    assert_eq!(
        parked(&test.app, "parent").await,
        "waits for the end of another workflow"
    );
    parked(&test.app, "child").await;
    test.app.send("child", GO, 3).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 3);
    assert_eq!(test.app.state().begun(), 4, "each of them twice");
    assert_eq!(test.app.state().steps(), 2);
}

#[workflow]
async fn publishes_late(ctx: &mut Ctx<Counts>) -> stepwell::Result<()> {
    ctx.recv(GO).await;
    ctx.set_event(READY, 9).await;
    ctx.recv(GO).await;
    Ok(())
}

#[workflow]
async fn parks_for_an_event(ctx: &mut Ctx<Counts>) -> stepwell::Result<u32> {
    ctx.state().begun.0.fetch_add(1, SeqCst);
    Ok(ctx.get_event("publisher", READY).await)
}

#[tokio::test(start_paused = true)]
async fn a_workflow_is_parked_until_another_one_publishes() {
    let test = harness().await;
    let publisher = publishes_late().id("publisher");
    test.app.start(publisher).await.unwrap();
    let handle = test.app.start(parks_for_an_event()).await.unwrap();
    let reason = parked(&test.app, handle.id()).await;
    assert_eq!(reason, "waits for the event `ready` of another workflow");
    test.app.send("publisher", GO, 1).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 9);
    assert_eq!(test.app.state().begun(), 2);
}

#[step]
async fn works_until_told(#[state] go: &Notify) -> stepwell::Result<()> {
    go.notified().await;
    Ok(())
}

#[workflow]
async fn waits_and_works(ctx: &mut Ctx<Counts>) -> stepwell::Result<u32> {
    ctx.state().begun.0.fetch_add(1, SeqCst);
    let (heard, worked) = ctx.join((stepwell::recv(GO), works_until_told())).await;
    worked?;
    Ok(heard)
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_works_while_it_waits_stays() {
    let test = harness().await;
    let handle = test.app.start(waits_and_works()).await.unwrap();
    tokio::time::sleep(AFTER * 20).await;
    let row = test.app.client().get(handle.id()).await.unwrap().unwrap();
    assert_eq!(row.state, WorkflowState::Running);
    test.app.state().go.notify_one();
    parked(&test.app, handle.id()).await;
    handle.send(GO, 1).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    assert_eq!(test.app.state().begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_workflow_in_a_queue_keeps_its_place() {
    let test = harness().await;
    let call = parks_for_a_message().queue(&LINE);
    let handle = test.app.start(call).await.unwrap();
    tokio::time::sleep(AFTER * 20).await;
    let row = test.app.client().get(handle.id()).await.unwrap().unwrap();
    assert_eq!(row.state, WorkflowState::Running);
    handle.send(GO, 1).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 1);
    assert_eq!(test.app.state().begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_parked_workflow_outlives_a_crash_and_can_be_cancelled() {
    let test = harness().await;
    let handle = test.app.start(parks_for_a_message()).await.unwrap();
    let other = test.app.start(parks_for_a_message()).await.unwrap();
    parked(&test.app, handle.id()).await;
    parked(&test.app, other.id()).await;
    test.crash().await;
    test.app.send(handle.id(), GO, 4).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 4);
    test.app.client().cancel(other.id()).await.unwrap();
    let row = test.app.client().get(other.id()).await.unwrap().unwrap();
    assert_eq!(row.state, WorkflowState::Cancelled);
    assert_eq!(test.app.state().steps(), 3);
}

/// Counts what it hears, and waits in many ways in between.
#[workflow]
async fn hears_all(ctx: &mut Ctx<Counts>, times: u32) -> stepwell::Result<u32> {
    let mut sum = 0;
    for _ in 0..times {
        let heard = stepwell::select!(ctx,
            heard = stepwell::recv(GO) => Some(heard),
            _ = sleep(DAY) => None,
        );
        sum += heard.unwrap_or_default();
        ctx.run(works()).await?;
        ctx.sleep(Duration::from_millis(1)).await;
    }
    Ok(sum)
}

/// Everything that waits is parked at once, again and again, while messages come from two threads:
/// none of them is slept through or heard twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_slept_through() {
    const WORKFLOWS: u32 = 40;
    const TIMES: u32 = 10;
    let app = App::builder("parking")
        .database("sqlite::memory:")
        .state(Counts::default())
        .park_after(Duration::ZERO)
        .launch()
        .await
        .unwrap();
    let runs = (0..WORKFLOWS).map(|number| {
        let app = app.clone();
        tokio::spawn(async move {
            let handle = app.start(hears_all(TIMES)).await.unwrap();
            for value in 1..=TIMES {
                handle.send(GO, value).await.unwrap();
                // Some are sent ahead, some meet one that is about to be parked.
                if (value + number) % 3 == 0 {
                    tokio::time::sleep(Duration::from_millis(u64::from(value * 7 % 40))).await;
                }
            }
            handle.result().await.unwrap()
        })
    });
    for run in runs.collect::<Vec<_>>() {
        let heard = tokio::time::timeout(Duration::from_secs(60), run).await;
        let heard = heard.expect("a message was slept through").unwrap();
        assert_eq!(heard, (1..=TIMES).sum::<u32>());
    }
    assert_eq!(app.state().steps(), WORKFLOWS * TIMES);
    app.shutdown().await;
}

/// A look at the database every few seconds would be fifty million.
#[tokio::test(start_paused = true)]
async fn a_sleep_of_years_takes_a_test_no_time() {
    #[workflow]
    async fn sleeps_for_years(ctx: &mut Ctx) -> stepwell::Result<()> {
        ctx.sleep(YEARS).await;
        Ok(())
    }
    let test = Harness::new(()).await;
    let begun = test.app.client().now();
    test.app.run(sleeps_for_years()).await.unwrap();
    assert_eq!(
        test.app.client().now().duration_since(begun).as_secs(),
        i64::try_from(YEARS.as_secs()).unwrap()
    );
}
