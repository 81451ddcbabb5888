//! A database that refuses a change, for a while or for good: nothing is lost, nothing is written that
//! must not be, and nobody waits for ever.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Ctx, End, ErrorKind, Event, Failure, Payload, Queue, State, Topic, WorkflowError,
    WorkflowId,
    clock::{Clock, SystemClock},
    recv, step,
    store::{
        Batch, Change, Effect, ExecutorStore, Launch, NewMessage, NewWorkflow, Store,
        StoreErrorKind, StoreUrl, open_store,
    },
    workflow,
};
use stepwell_conformance::{Spoil, Spoiled};

const READY: Event<u32> = Event::new("ready");
const DONE: Event<u32> = Event::new("done");
const GO: Topic<u32> = Topic::new("go");
const MORE: Topic<u32> = Topic::new("more");
static LINE: Queue = Queue::new("trouble-line");

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every kind of trouble that may pass.
const PASSING: [StoreErrorKind; 7] = [
    StoreErrorKind::Unavailable,
    StoreErrorKind::Busy,
    StoreErrorKind::Full,
    StoreErrorKind::ReadOnly,
    StoreErrorKind::Corrupt,
    StoreErrorKind::Unusable,
    StoreErrorKind::Backend,
];

#[derive(stepwell::State, Default)]
struct Seen {
    #[provide]
    steps: AtomicU32,
    /// How many events were on disk when a step looked.
    #[provide]
    looked: Looked,
}

#[derive(Default)]
struct Looked {
    store: Mutex<Option<Arc<Spoiled>>>,
    events: AtomicU32,
}

#[step]
async fn count(#[state] steps: &AtomicU32) -> stepwell::Result<u32> {
    Ok(steps.fetch_add(1, SeqCst))
}

#[step]
async fn look(#[state] looked: &Looked) -> stepwell::Result<()> {
    let store = looked.store.lock().unwrap().clone().unwrap();
    let events = store
        .applied()
        .iter()
        .filter(|(it, _)| sets_event(it))
        .count();
    looked.events.store(u32::try_from(events)?, SeqCst);
    Ok(())
}

#[workflow]
async fn publishes(ctx: &mut Ctx<Seen>) -> stepwell::Result<u32> {
    ctx.set_event(READY, 7).await;
    Ok(8)
}

#[workflow]
async fn publishes_and_looks(ctx: &mut Ctx<Seen>) -> stepwell::Result<()> {
    ctx.set_event(READY, 7).await;
    ctx.set_event(DONE, 8).await;
    ctx.run(look()).await
}

#[workflow]
async fn three_steps(ctx: &mut Ctx<Seen>) -> stepwell::Result<u32> {
    for _ in 0..3 {
        ctx.run(count()).await?;
    }
    Ok(3)
}

#[workflow]
async fn fails(_ctx: &mut Ctx<Seen>) -> stepwell::Result<()> {
    Err(Failure::msg("no stock"))
}

#[workflow]
async fn tells(_ctx: &mut Ctx<Seen>, _about: String) -> stepwell::Result<()> {
    Ok(())
}

#[workflow]
async fn hears(ctx: &mut Ctx<Seen>) -> stepwell::Result<u32> {
    Ok(ctx.recv(GO).await)
}

async fn spoiled() -> Arc<Spoiled> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let url = StoreUrl::new("sqlite::memory:");
    Spoiled::new(open_store(&url, clock).await.unwrap())
}

async fn launch(store: &Arc<Spoiled>) -> App<Seen> {
    let builder = App::builder("trouble").store(Arc::clone(store) as _);
    let app = builder.state(Seen::default()).launch().await.unwrap();
    *app.state().looked.store.lock().unwrap() = Some(Arc::clone(store));
    app
}

type Picks = fn(&Change) -> bool;

fn sets_event(change: &Change) -> bool {
    let is_event = |effect: &Effect| matches!(effect, Effect::SetEvent { .. });
    matches!(change, Change::Progress(progress) if progress.effects.iter().any(is_event))
}

fn is_progress(change: &Change) -> bool {
    matches!(change, Change::Progress(_))
}

fn succeeds(change: &Change) -> bool {
    matches!(change, Change::Finish(finish) if matches!(finish.end, End::Succeeded(_)))
}

fn sticks(change: &Change) -> bool {
    matches!(change, Change::Finish(finish) if matches!(finish.end, End::Stuck { .. }))
}

/// What was written of runs, in a word each.
fn written(store: &Spoiled) -> Vec<&'static str> {
    let word = |change: &Change| match change {
        change if sets_event(change) => Some("event"),
        Change::Progress(_) => Some("record"),
        Change::Finish(finish) => Some(match finish.end {
            End::Succeeded(_) => "succeeded",
            End::Failed { .. } => "failed",
            End::Declined { .. } => "declined",
            End::Stuck { .. } => "stuck",
        }),
        _ => None,
    };
    let applied = store.applied();
    applied
        .iter()
        .filter_map(|(change, _)| word(change))
        .collect()
}

async fn state(app: &App<Seen>, id: &str) -> State {
    app.client().get(id).await.unwrap().unwrap().state
}

/// What comes of it, in time. By a clock that does not skip: the thread that keeps the lease, and compares
/// what runs with what is owned, goes by that one.
async fn in_time<T>(waits: impl Future<Output = T>) -> T {
    let (late, is_late) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        drop(late);
    });
    tokio::select! {
        biased;
        waited = waits => waited,
        _ = is_late => panic!("it would wait for ever"),
    }
}

async fn until_stuck(app: &App<Seen>, id: &str) -> String {
    in_time(async {
        loop {
            let workflow = app.client().get(id).await.unwrap().unwrap();
            match workflow.state {
                State::Stuck => return workflow.reason.unwrap(),
                State::Running => tokio::time::sleep(Duration::from_millis(20)).await,
                state => panic!("it is {state}, not stuck"),
            }
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_for_good_nothing_is_written_but_that_the_workflow_is_stuck() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let refusal = Spoil::Refuse(StoreErrorKind::Refused);
    let fault = store.spoil(refusal, (0, None), sets_event);
    let handle = app.start(publishes().id("order-1")).await.unwrap();
    let ended = in_time(handle.result()).await;
    let Err(WorkflowError::Stuck(reason)) = ended else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("spoiled on purpose"), "{reason}");
    assert!(fault.struck() > 1, "one refusal is no verdict");
    assert_eq!(written(&store), ["stuck"]);
    assert_eq!(state(&app, "order-1").await, State::Stuck);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_passes_is_no_verdict() {
    let store = spoiled().await;
    let app = launch(&store).await;
    store.spoil(
        Spoil::Refuse(StoreErrorKind::Refused),
        (0, Some(2)),
        sets_event,
    );
    assert_eq!(app.run(publishes()).await.unwrap(), 8);
    assert_eq!(written(&store), ["event", "succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_stops_no_other_workflow() {
    let store = spoiled().await;
    let app = launch(&store).await;
    store.spoil(
        Spoil::Refuse(StoreErrorKind::Refused),
        (3, None),
        sets_event,
    );
    let runs = (0..10).map(|_| app.run(publishes()));
    let ended = in_time(futures_util::future::join_all(runs)).await;
    let stuck = ended.iter().filter(|it| it.is_err()).count();
    assert_eq!(stuck, 1, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_refused_for_good_becomes_stuck() {
    let store = spoiled().await;
    let app = launch(&store).await;
    store.spoil(Spoil::Refuse(StoreErrorKind::Refused), (0, None), succeeds);
    // That it is stuck is not written at once either.
    store.spoil(Spoil::Refuse(StoreErrorKind::Refused), (0, Some(9)), sticks);
    let handle = app.start(three_steps().id("order-1")).await.unwrap();
    let reason = until_stuck(&app, "order-1").await;
    assert!(reason.contains("could not be recorded"), "{reason}");
    drop(handle);
    assert_eq!(written(&store), ["record", "record", "record", "stuck"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_refused_keeps_no_workflow_from_its_end() {
    let store = spoiled().await;
    let builder = App::builder("trouble").store(Arc::clone(&store) as _);
    let builder = builder.state(Seen::default());
    let builder = builder.on_dead_letter(|letter| tells(letter.id.clone()));
    let app = builder.launch().await.unwrap();
    let with_alerts =
        |change: &Change| matches!(change, Change::Finish(finish) if !finish.alerts.is_empty());
    let fault = store.spoil_all(Spoil::Refuse(StoreErrorKind::Refused), with_alerts);
    app.start(fails().id("order-1")).await.unwrap();
    until_stuck(&app, "order-1").await;
    assert_eq!(written(&store), ["stuck"]);
    assert!(fault.struck() >= 4, "as failed, and as stuck");
}

#[tokio::test(start_paused = true)]
async fn no_trouble_that_passes_ends_a_workflow_or_lets_its_changes_overtake() {
    for kind in PASSING {
        let cases: [(u32, Picks); 3] = [(1, sets_event), (9, sets_event), (9, succeeds)];
        for (times, picks) in cases {
            let store = spoiled().await;
            let app = launch(&store).await;
            let fault = store.spoil(Spoil::Refuse(kind), (0, Some(times)), picks);
            assert_eq!(app.run(publishes()).await.unwrap(), 8, "{kind:?}");
            assert_eq!(fault.struck(), times);
            assert_eq!(written(&store), ["event", "succeeded"], "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_with_any_error_counts_once() {
    for kind in PASSING {
        let store = spoiled().await;
        let app = launch(&store).await;
        let both: [Picks; 2] = [is_progress, succeeds];
        for picks in both {
            store.spoil(Spoil::Lose(kind), (0, Some(3)), picks);
        }
        assert_eq!(app.run(three_steps()).await.unwrap(), 3, "{kind:?}");
        assert_eq!(app.state().steps.load(SeqCst), 3, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_begins_only_when_all_before_it_is_on_disk() {
    for kind in PASSING {
        let store = spoiled().await;
        let app = launch(&store).await;
        // The first of two is in trouble; the second one alone is not.
        store.spoil(Spoil::Refuse(kind), (0, Some(5)), sets_event);
        app.run(publishes_and_looks()).await.unwrap();
        assert_eq!(app.state().looked.events.load(SeqCst), 2, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_of_one_change_holds_up_nobody_else() {
    for kind in [
        StoreErrorKind::Busy,
        StoreErrorKind::Unusable,
        StoreErrorKind::Backend,
    ] {
        let store = spoiled().await;
        let app = launch(&store).await;
        let fault = store.spoil(Spoil::Refuse(kind), (0, None), succeeds);
        let held_up = app.start(publishes().id("order-1")).await.unwrap();
        fault.has_struck().await;
        for _ in 0..3 {
            assert_eq!(app.run(three_steps()).await.unwrap(), 3);
        }
        assert_eq!(state(&app, "order-1").await, State::Running);
        fault.ends();
        assert_eq!(held_up.result().await.unwrap(), 8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_answered_while_a_run_is_in_trouble() {
    for kind in PASSING {
        let store = spoiled().await;
        let app = launch(&store).await;
        let fault = store.spoil(Spoil::Refuse(kind), (0, None), succeeds);
        let run = app.start(publishes().id("order-1")).await.unwrap();
        fault.has_struck().await;
        let send = app.client().send("order-1", "go", Payload::null(), None);
        // By the test's own clock, which skips.
        let sent = tokio::time::timeout(Duration::from_secs(15), send).await;
        drop(sent.unwrap_or_else(|_| panic!("{kind:?}: no answer")));
        fault.ends();
        assert_eq!(run.result().await.unwrap(), 8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_answered_while_the_database_takes_all_and_answers_nothing() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let silence = Spoil::Delay(Duration::from_secs(1_000));
    let fault = store.spoil(silence, (0, Some(1)), succeeds);
    let run = app.start(publishes().id("order-1")).await.unwrap();
    fault.has_struck().await;
    let send = app.client().send("order-1", "go", Payload::null(), None);
    let sent = tokio::time::timeout(Duration::from_secs(30), send).await;
    assert_eq!(sent.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(run.result().await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_start_in_a_silent_batch_is_answered_and_runs_all_the_same() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let silence = Spoil::Delay(Duration::from_secs(100));
    store.spoil(silence, (0, Some(1)), |change| {
        matches!(change, Change::Start(_))
    });
    let start = app.start(three_steps().id("order-1"));
    let started = tokio::time::timeout(Duration::from_secs(30), start).await;
    assert_eq!(started.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    while app.client().get("order-1").await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let handle = app.handle::<three_steps>("order-1");
    assert_eq!(handle.result().await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_for_good_is_invalid_and_stops_no_other() {
    let store = spoiled().await;
    let app = launch(&store).await;
    store.spoil(
        Spoil::Refuse(StoreErrorKind::Refused),
        (2, None),
        |change| matches!(change, Change::Start(_)),
    );
    let started = app.start_all((0..5).map(|_| three_steps())).await;
    let kinds: Vec<_> = started
        .iter()
        .map(|it| it.as_ref().err().map(stepwell::Error::kind))
        .collect();
    assert_eq!(kinds, [None, None, Some(ErrorKind::Invalid), None, None]);
}

/// The answer to a start was lost for good, and whoever asked has gone: the row is this executor's.
#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_owned_and_run_by_nobody_is_taken_up() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let ended = app.start(publishes()).await.unwrap();
    ended.result().await.unwrap();
    let executors = store.executors().await.unwrap();
    let id = WorkflowId::new("order-1").unwrap();
    let new = NewWorkflow {
        launch: Launch::Here,
        ..NewWorkflow::new(id, "three_steps", Payload::from_stored("[]".into()))
    };
    let batch = Batch {
        executor: Some(executors[0].id.clone()),
        changes: vec![Change::Start(new)],
    };
    store.commit(batch).await.unwrap();
    assert_eq!(state(&app, "order-1").await, State::Running);
    let handle = app.handle::<three_steps>("order-1");
    assert_eq!(in_time(handle.result()).await.unwrap(), 3);
    assert_eq!(app.state().steps.load(SeqCst), 3, "it ran twice");
}

#[tokio::test(start_paused = true)]
async fn what_an_application_owns_and_does_not_know_is_stuck_and_says_so() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let executors = store.executors().await.unwrap();
    let id = WorkflowId::new("order-1").unwrap();
    let new = NewWorkflow {
        launch: Launch::Here,
        ..NewWorkflow::new(id, "of_another_time", Payload::from_stored("[]".into()))
    };
    let batch = Batch {
        executor: Some(executors[0].id.clone()),
        changes: vec![Change::Start(new)],
    };
    store.commit(batch).await.unwrap();
    let reason = until_stuck(&app, "order-1").await;
    assert!(
        reason.contains("does not know the workflow `of_another_time`"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_arrives_together_and_is_large_goes_in_several_commits() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let before = store.commits();
    let large = "x".repeat(8 * 1024 * 1024);
    let started = app.start_all((0..10).map(|_| tells(large.clone()))).await;
    assert!(started.iter().all(Result::is_ok));
    assert!(store.commits() >= before + 2, "80 MiB in one commit");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_in_trouble_arrives_when_that_has_passed() {
    for kind in PASSING {
        let store = spoiled().await;
        let app = launch(&store).await;
        let handle = app.start(hears().id("order-1")).await.unwrap();
        let fault = store.spoil(Spoil::Refuse(kind), (0, Some(2)), |change| {
            matches!(change, Change::Send(_))
        });
        // A full or read-only database refuses clients at once: they ask again.
        while let Err(error) = app.send("order-1", GO, 7).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{kind:?}");
        }
        assert!(fault.struck() > 0);
        assert_eq!(handle.result().await.unwrap(), 7);
    }
}

/// Nobody hears of a message whose answer was lost, but whoever hands it in again.
#[tokio::test(start_paused = true)]
async fn a_message_whose_answer_is_lost_wakes_its_receiver() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let handle = app.start(hears().id("order-1")).await.unwrap();
    let fault = store.spoil(
        Spoil::Lose(StoreErrorKind::Unavailable),
        (0, Some(1)),
        |change| matches!(change, Change::Send(_)),
    );
    app.send("order-1", GO, 7).await.unwrap();
    assert_eq!(fault.struck(), 1);
    let heard = tokio::time::timeout(Duration::from_secs(30), handle.result()).await;
    assert_eq!(heard.expect("the receiver sleeps on").unwrap(), 7);
}

#[workflow]
async fn hears_many_at_once(ctx: &mut Ctx<Seen>) -> stepwell::Result<u32> {
    ctx.recv(GO).await;
    let heard = ctx.join_all((0..200).map(|_| recv(MORE))).await;
    Ok(heard.into_iter().sum())
}

/// More than a receive looks at: all that it sees is in the hands of others, whose records take their time.
#[tokio::test]
async fn hundreds_of_receives_at_once_get_their_messages() {
    let store = spoiled().await;
    let app = launch(&store).await;
    // What waits in a queue is not parked, which would wake it.
    let hears = hears_many_at_once().id("hears").queue(&LINE);
    let handle = app.start(hears).await.unwrap();
    for _ in 0..200 {
        handle.send(MORE, 1).await.unwrap();
    }
    store.spoil_all(Spoil::Delay(Duration::from_millis(100)), receives);
    handle.send(GO, 1).await.unwrap();
    let heard = in_time(handle.result()).await;
    assert_eq!(heard.unwrap(), 200);
}

fn receives(change: &Change) -> bool {
    let Change::Progress(progress) = change else {
        return false;
    };
    let receives = |effect: &Effect| matches!(effect, Effect::Receive { .. });
    progress.effects.iter().any(receives)
}

#[workflow]
async fn sends(ctx: &mut Ctx<Seen>, to: String) -> stepwell::Result<()> {
    ctx.send(&to, GO, 7).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_workflow_whose_answer_is_lost_wakes_its_receiver() {
    let store = spoiled().await;
    let app = launch(&store).await;
    let handle = app.start(hears().id("order-1")).await.unwrap();
    let fault = store.spoil(
        Spoil::Lose(StoreErrorKind::Unavailable),
        (0, Some(1)),
        is_progress,
    );
    app.run(sends("order-1".to_owned())).await.unwrap();
    assert_eq!(fault.struck(), 1);
    let heard = tokio::time::timeout(Duration::from_secs(30), handle.result()).await;
    assert_eq!(heard.expect("the receiver sleeps on").unwrap(), 7);
}

/// The message is there and nobody was told: the row refuses to park its receiver, which looks again.
#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_was_told_of_is_found_when_its_receiver_would_park() {
    let store = spoiled().await;
    let builder = App::builder("trouble").store(Arc::clone(&store) as _);
    let builder = builder.state(Seen::default());
    let app = builder
        .park_after(Duration::from_secs(20))
        .launch()
        .await
        .unwrap();
    let handle = app.start(hears().id("order-1")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let message = NewMessage {
        to: WorkflowId::new("order-1").unwrap(),
        topic: "go".to_owned(),
        payload: Payload::from_stored("7".to_owned()),
        key: None,
    };
    let batch = Batch {
        executor: None,
        changes: vec![Change::Send(message)],
    };
    store.commit(batch).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(600), handle.result()).await;
    assert_eq!(heard.expect("the receiver sleeps on").unwrap(), 7);
}
