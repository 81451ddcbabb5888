//! A cancellation reaches the run that it is about, and no other, whatever gets lost on the way.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use stepwell::{
    App, Attempt, Ctx, Payload, State, WorkflowError, WorkflowId, step,
    store::{Change, NewWorkflow, Store},
    workflow,
};
use tokio::{sync::Notify, time::timeout};

use crate::faults::Faulty;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the steps are at.
#[derive(stepwell::State, Default)]
struct Work {
    #[provide]
    desk: Desk,
}

#[derive(Default)]
struct Desk {
    begun: AtomicU32,
    at_once: AtomicU32,
    most_at_once: AtomicU32,
    cleaned_up: AtomicU32,
    /// What a step that was cancelled waits for before it ends.
    may_end: Notify,
    done: Notify,
    marked: AtomicU32,
}

/// Works until it is told to be done. When it is cancelled it takes its time.
#[step]
async fn work(#[state] desk: &Desk, #[attempt] attempt: &Attempt) -> stepwell::Result<u32> {
    let begun = desk.begun.fetch_add(1, SeqCst);
    let at_once = desk.at_once.fetch_add(1, SeqCst) + 1;
    desk.most_at_once.fetch_max(at_once, SeqCst);
    tokio::select! {
        () = attempt.cancelled() => {
            desk.may_end.notified().await;
            desk.cleaned_up.fetch_add(1, SeqCst);
        }
        () = desk.done.notified() => {}
    }
    desk.at_once.fetch_sub(1, SeqCst);
    Ok(begun)
}

/// Is done at once.
#[step]
async fn mark(#[state] desk: &Desk) -> stepwell::Result<u32> {
    Ok(desk.marked.fetch_add(1, SeqCst))
}

#[workflow]
async fn marker(ctx: &mut Ctx<Work>) -> stepwell::Result<u32> {
    ctx.run(mark()).await
}

#[workflow]
async fn marks_and_works(ctx: &mut Ctx<Work>) -> stepwell::Result<u32> {
    let (worked, marked) = ctx.join((work(), mark())).await;
    marked?;
    worked
}

#[workflow]
async fn worker(ctx: &mut Ctx<Work>) -> stepwell::Result<u32> {
    ctx.run(work()).await
}

#[workflow]
async fn impatient(ctx: &mut Ctx<Work>) -> stepwell::Result<bool> {
    let child = worker().id("child");
    let result = ctx.run(child).timeout(Duration::from_millis(50)).await;
    Ok(result.is_some())
}

async fn launch(store: &Arc<Faulty>) -> App<Work> {
    let store: Arc<dyn Store> = Arc::<Faulty>::clone(store);
    let app = App::builder("interrupts")
        .store(store)
        .state(Work::default());
    app.lease(Duration::from_millis(300))
        .grace(PATIENCE)
        .launch()
        .await
        .unwrap()
}

/// A process that runs nothing, on the same database.
async fn elsewhere(store: &Faulty) -> App {
    let app = App::builder("elsewhere").store(Arc::clone(&store.inner));
    app.build().await.unwrap()
}

async fn until(what: &'static str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "not seen: {what}");
}

async fn in_state(app: &App<Work>, id: &str, state: State) {
    let wait = async {
        while app.client().get(id).await.unwrap().unwrap().state != state {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "never {state}");
}

/// A worker that is at its step.
async fn at_work(app: &App<Work>, id: &str) {
    app.start(worker().id(id)).await.unwrap();
    let desk = &app.state().desk;
    until("the step begins", || desk.begun.load(SeqCst) == 1).await;
}

#[tokio::test]
async fn late_news_of_a_cancellation_does_not_end_the_run_after_it() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let elsewhere = elsewhere(&store).await;
    let desk = &app.state().desk;
    at_work(&app, "w").await;
    store.interrupts_gate.is_closed.store(true, SeqCst);
    store.is_busy.store(true, SeqCst);
    elsewhere.client().cancel("w").await.unwrap();
    store.interrupts_gate.reached.notified().await;
    elsewhere.client().resume("w").await.unwrap();
    in_state(&app, "w", State::Running).await;
    desk.may_end.notify_one();
    until("the step begins again", || desk.begun.load(SeqCst) == 2).await;
    store.interrupts_gate.opened.notify_one();
    // The news is there when the next look has come back.
    store.interrupts_gate.is_closed.store(true, SeqCst);
    app.start(worker().id("other")).await.unwrap();
    until("another step begins", || desk.begun.load(SeqCst) == 3).await;
    elsewhere.client().cancel("other").await.unwrap();
    store.interrupts_gate.reached.notified().await;
    store.interrupts_gate.opened.notify_one();
    desk.may_end.notify_one();
    until("the other one has ended", || desk.at_once.load(SeqCst) == 1).await;
    desk.done.notify_one();
    let result = timeout(PATIENCE, app.handle::<worker>("w").result()).await;
    assert_eq!(result.expect("nobody runs it").unwrap(), 1);
    assert_eq!(desk.cleaned_up.load(SeqCst), 2);
}

#[tokio::test]
async fn a_resumed_run_waits_for_the_end_of_the_one_before() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let desk = &app.state().desk;
    at_work(&app, "w").await;
    app.client().cancel("w").await.unwrap();
    app.client().resume("w").await.unwrap();
    in_state(&app, "w", State::Running).await;
    // What is claimed after it comes to its end, one after the other.
    for _ in 0..3 {
        let marked = timeout(PATIENCE, app.run(marker().anywhere())).await;
        marked.expect("the next claim runs").unwrap();
    }
    assert_eq!(desk.begun.load(SeqCst), 1, "its step runs in two runs");
    desk.may_end.notify_one();
    until("the step begins again", || desk.begun.load(SeqCst) == 2).await;
    assert_eq!(desk.cleaned_up.load(SeqCst), 1);
    assert_eq!(desk.most_at_once.load(SeqCst), 1);
    desk.done.notify_one();
}

/// When it was claimed nothing was recorded yet.
#[tokio::test]
async fn a_resumed_run_replays_what_the_one_before_records_last() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let elsewhere = elsewhere(&store).await;
    let desk = &app.state().desk;
    *store.full.lock().unwrap() = Some(|change| matches!(change, Change::Progress(_)));
    let handle = app.start(marks_and_works().id("w")).await.unwrap();
    until("both steps begin", || {
        desk.begun.load(SeqCst) == 1 && store.found_full.load(SeqCst) > 0
    })
    .await;
    store.is_busy.store(true, SeqCst);
    elsewhere.client().cancel("w").await.unwrap();
    elsewhere.client().resume("w").await.unwrap();
    in_state(&app, "w", State::Running).await;
    *store.full.lock().unwrap() = None;
    let recorded = async {
        while elsewhere
            .client()
            .history("w")
            .await
            .unwrap()
            .operations
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, recorded).await.expect("it is recorded");
    desk.may_end.notify_one();
    until("the step begins again", || desk.begun.load(SeqCst) == 2).await;
    desk.done.notify_one();
    let result = timeout(PATIENCE, handle.result()).await;
    assert_eq!(result.expect("it ends").unwrap(), 1);
    assert_eq!(desk.marked.load(SeqCst), 1, "a recorded step ran again");
}

/// The record of a step that has ended is still on its way when the steps of its run are over.
#[tokio::test]
async fn a_resumed_run_waits_for_what_the_one_before_has_handed_in() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let desk = &app.state().desk;
    *store.full.lock().unwrap() = Some(is_within_a_join);
    let handle = app.start(marks_and_works().id("w")).await.unwrap();
    until("both steps begin", || {
        desk.begun.load(SeqCst) == 1 && store.found_full.load(SeqCst) > 0
    })
    .await;
    let elsewhere = elsewhere(&store).await;
    elsewhere.client().cancel("w").await.unwrap();
    elsewhere.client().resume("w").await.unwrap();
    desk.may_end.notify_one();
    until("its step is over", || desk.cleaned_up.load(SeqCst) == 1).await;
    // What is claimed after it begins, one after the other. Nothing is recorded: the disk is full.
    for number in 1..=3 {
        // By a client whose own changes find room.
        let id = WorkflowId::given(format!("m-{number}")).unwrap();
        let new = NewWorkflow::new(id, "marker", Payload::from_stored("[]".to_owned()));
        elsewhere.client().start(new).await.unwrap();
        until("the next claim runs", || desk.marked.load(SeqCst) > number).await;
    }
    assert_eq!(desk.begun.load(SeqCst), 1, "it went on without the record");
    *store.full.lock().unwrap() = None;
    until("the step begins again", || desk.begun.load(SeqCst) == 2).await;
    desk.done.notify_one();
    let result = timeout(PATIENCE, handle.result()).await;
    assert_eq!(result.expect("it ends").unwrap(), 1);
    assert_eq!(
        desk.marked.load(SeqCst),
        4,
        "a step ran again that was handed in"
    );
}

fn is_within_a_join(change: &Change) -> bool {
    let Change::Progress(progress) = change else {
        return false;
    };
    (progress.records.iter()).any(|record| record.place.encode().contains('.'))
}

#[tokio::test]
async fn a_step_hears_of_a_cancellation_whose_caller_has_gone() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let desk = &app.state().desk;
    at_work(&app, "w").await;
    let client = app.client();
    let mut cancel = Box::pin(client.cancel("w"));
    assert!(futures_util::poll!(&mut cancel).is_pending());
    drop(cancel);
    desk.may_end.notify_one();
    until("it cleans up", || desk.cleaned_up.load(SeqCst) == 1).await;
}

#[tokio::test]
async fn a_step_hears_of_a_cancellation_whose_answer_was_lost() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let desk = &app.state().desk;
    at_work(&app, "w").await;
    store.commits_to_lose.store(1, SeqCst);
    app.client().cancel("w").await.unwrap();
    assert_eq!(store.commits_to_lose.load(Relaxed), 0, "no answer was lost");
    desk.may_end.notify_one();
    until("it cleans up", || desk.cleaned_up.load(SeqCst) == 1).await;
}

#[tokio::test]
async fn a_deadline_that_finds_the_disk_full_ends_the_workflow_when_there_is_room() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let desk = &app.state().desk;
    *store.full.lock().unwrap() = Some(|change| matches!(change, Change::Cancel(_)));
    let call = worker().id("w").deadline(Duration::from_millis(50));
    let handle = app.start(call).await.unwrap();
    until("it finds the disk full", || {
        store.found_full.load(SeqCst) > 1
    })
    .await;
    *store.full.lock().unwrap() = None;
    desk.may_end.notify_one();
    let ended = timeout(PATIENCE, handle.result()).await;
    let ended = ended.expect("the deadline never fires again");
    assert_eq!(ended.unwrap_err(), WorkflowError::DeadlineExceeded);
    until("it cleans up", || desk.cleaned_up.load(SeqCst) == 1).await;
}

/// What would be written behind the record of the race is never written: as after a crash there.
#[tokio::test]
async fn a_child_that_lost_a_race_is_cancelled_with_the_record_of_the_race() {
    let store = Faulty::new().await;
    let app = launch(&store).await;
    let desk = &app.state().desk;
    *store.full.lock().unwrap() = Some(|change| matches!(change, Change::Cancel(_)));
    let in_time = timeout(PATIENCE, app.run(impatient())).await;
    assert!(!in_time.expect("it ends").unwrap());
    let child = app.client().get("child").await.unwrap().unwrap();
    assert_eq!(child.state, State::Cancelled);
    assert_eq!(
        child.reason.as_deref(),
        Some("another operation of its parent's race won")
    );
    desk.may_end.notify_one();
    until("it cleans up", || desk.cleaned_up.load(SeqCst) == 1).await;
}
