//! Several executors on one database: applications in this process, each with a runtime of its own,
//! so that one of them can die without a word.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Ctx, Event, Queue, Timestamp, Topic, WorkflowError, step, store::Filter, workflow,
};
use tokio::{runtime::Runtime, sync::Notify};

use crate::server::{unique, url_with};

const GO: Topic<u32> = Topic::new("go");
const READY: Event<u32> = Event::new("ready");
/// The name of the threads that are to die.
const DOOMED: &str = "doomed";
static WORK: Queue = Queue::new("work").executor_concurrency(5);

/// What the executors of a test share, to see who did what.
#[derive(stepwell::State)]
struct Fleet {
    #[provide]
    member: Member,
}

#[derive(Clone, Default)]
struct Member {
    steps: Arc<AtomicU32>,
    reached: Arc<Notify>,
    ticks: Arc<AtomicU32>,
    ticked: Arc<Notify>,
}

#[step]
async fn count(#[state] member: &Member, number: u32) -> stepwell::Result<u32> {
    member.steps.fetch_add(1, SeqCst);
    Ok(number)
}

/// Hangs for ever in the executor that is to die.
#[step]
async fn reach(#[state] member: &Member) -> stepwell::Result<()> {
    member.reached.notify_one();
    if std::thread::current().name() == Some(DOOMED) {
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[step]
async fn note_tick(#[state] member: &Member) -> stepwell::Result<()> {
    member.ticks.fetch_add(1, SeqCst);
    member.ticked.notify_one();
    Ok(())
}

#[workflow]
async fn sum(ctx: &mut Ctx<Fleet>, count_to: u32) -> stepwell::Result<u32> {
    let mut sum = 0;
    for number in 1..=count_to {
        sum += ctx.run(count(number)).await?;
    }
    Ok(sum)
}

#[workflow]
async fn talk(ctx: &mut Ctx<Fleet>) -> stepwell::Result<u32> {
    ctx.set_event(READY, 7).await;
    let told = ctx.recv(GO).await;
    ctx.sleep(Duration::from_millis(5)).await;
    Ok(told + ctx.run(sum(3)).await?)
}

#[workflow]
async fn held_up(ctx: &mut Ctx<Fleet>) -> stepwell::Result<u32> {
    let before = ctx.run(count(1)).await?;
    ctx.run(reach()).await?;
    Ok(before)
}

#[workflow(schedule = "@every 1s")]
async fn tick(ctx: &mut Ctx<Fleet>, _at: Timestamp) -> stepwell::Result<()> {
    ctx.run(note_tick()).await
}

/// A schema of its own, and what opens applications on it.
fn database() -> String {
    url_with(&format!("schema={}", unique("fleet")))
}

async fn launch(url: &str) -> App<Fleet> {
    launch_as(url, Member::default()).await
}

async fn launch_as(url: &str, member: Member) -> App<Fleet> {
    App::builder("fleet")
        .database(url)
        .state(Fleet { member })
        .lease(Duration::from_secs(1))
        .launch()
        .await
        .unwrap()
}

fn steps(app: &App<Fleet>) -> u32 {
    app.state().member.steps.load(SeqCst)
}

#[tokio::test]
async fn a_workflow_waits_hears_and_starts_a_child() {
    let app = launch(&database()).await;
    let handle = app.start(talk().id("talk")).await.unwrap();
    assert_eq!(handle.get_event(READY).await.unwrap(), Some(7));
    handle.send(GO, 10).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 16);
    assert_eq!(app.run(talk().id("talk")).await.unwrap(), 16);
    assert_eq!(steps(&app), 3, "nothing ran again");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executors_share_a_queue_and_no_step_runs_twice() {
    let url = database();
    let apps = [launch(&url).await, launch(&url).await, launch(&url).await];
    for number in 0..60 {
        let call = sum(5).id(format!("sum-{number}")).queue(&WORK);
        apps[number % 3].start(call).await.unwrap();
    }
    for number in 0..60 {
        // Waited for by one that, most likely, does not run it.
        let handle = apps[(number + 1) % 3].handle::<sum>(format!("sum-{number}"));
        assert_eq!(handle.result().await.unwrap(), 15);
    }
    let each: Vec<_> = apps.iter().map(steps).collect();
    assert_eq!(each.iter().sum::<u32>(), 60 * 5, "{each:?}");
    for app in apps {
        app.shutdown().await;
    }
}

#[tokio::test]
async fn a_workflow_that_is_cancelled_from_elsewhere_stops() {
    let url = database();
    let (here, elsewhere) = (launch(&url).await, launch(&url).await);
    let handle = here.start(talk().id("talk")).await.unwrap();
    handle.get_event(READY).await.unwrap();
    elsewhere.client().cancel("talk").await.unwrap();
    assert!(matches!(
        handle.result().await,
        Err(WorkflowError::Cancelled)
    ));
    here.shutdown().await;
    elsewhere.shutdown().await;
}

#[tokio::test]
async fn what_a_stopped_executor_hands_back_goes_on_at_once() {
    let url = database();
    let (first, second) = (launch(&url).await, launch(&url).await);
    let handle = first.start(talk().id("talk")).await.unwrap();
    handle.get_event(READY).await.unwrap();
    first.shutdown().await;
    second.handle::<talk>("talk").send(GO, 1).await.unwrap();
    assert_eq!(second.handle::<talk>("talk").result().await.unwrap(), 7);
    let takeovers = second.client().takeovers("talk").await.unwrap();
    assert_eq!(takeovers.len(), 1);
    assert_eq!(takeovers[0].why, "handed back");
    second.shutdown().await;
}

/// Its threads are gone from one moment to the next: no lease is renewed, nothing is handed back.
#[tokio::test]
async fn a_dead_executors_workflow_goes_on_after_its_lease() {
    let url = database();
    let doomed = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(DOOMED)
        .enable_all()
        .build()
        .unwrap();
    let app = on(&doomed, {
        let url = url.clone();
        async move { launch(&url).await }
    })
    .await;
    let starting = app.clone();
    on(&doomed, async move {
        starting.start(held_up().id("held")).await.unwrap();
    })
    .await;
    app.state().member.reached.notified().await;
    doomed.shutdown_background();

    let second = launch(&url).await;
    assert_eq!(second.handle::<held_up>("held").result().await.unwrap(), 1);
    assert_eq!(
        (steps(&app), steps(&second)),
        (1, 0),
        "a recorded step ran again"
    );
    let takeovers = second.client().takeovers("held").await.unwrap();
    assert_eq!(takeovers.len(), 1);
    assert_eq!(takeovers[0].why, "lease ended");
    second.shutdown().await;
}

async fn on<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.spawn(work).await.unwrap()
}

#[tokio::test]
async fn each_tick_of_a_schedule_runs_once_in_the_whole_fleet() {
    let (url, member) = (database(), Member::default());
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(launch_as(&url, member.clone()).await);
    }
    while member.ticks.load(SeqCst) < 3 {
        member.ticked.notified().await;
    }
    for app in &apps {
        app.shutdown().await;
    }
    let ticks = Filter {
        name: Some("tick".into()),
        ..Filter::default()
    };
    let ticks = apps[0].client().list(ticks).await.unwrap();
    let ran = member.ticks.load(SeqCst) as usize;
    assert!(ran <= ticks.len(), "{ran} runs of {} ticks", ticks.len());
}
