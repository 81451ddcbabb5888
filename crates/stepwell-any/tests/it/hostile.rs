//! Code of users that blocks its threads or panics in odd places: no step runs twice, every
//! workflow comes to an end, and so does a shutdown.
//!
//! `STEPWELL_HOSTILE_WORKFLOWS` says how many workflows each of the runs has; `just
//! hostile-threads-long` runs many.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use stepwell::{
    App, Attempt, Client, Ctx, Retry, State, Topic, WorkflowKey, select, sleep, step,
    store::{Filter, Workflow},
    workflow,
};
use tokio::time::timeout;

use crate::{
    database::Database,
    on_both,
    threads::{Flavor, Threads},
    wait::{PATIENCE, until_within},
};

on_both!(
    hostile_code_in_one_thread_harms_nothing_else,
    hostile_code_on_one_worker_harms_nothing_else,
);

const LEASE: Duration = Duration::from_secs(1);

const MOMENT: Duration = Duration::from_millis(1);

/// Longer than the lease.
const LONG: Duration = Duration::from_millis(1_500);

/// A harm that a workflow does to its executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Deed {
    StepBlocks,
    StepSpins,
    BodyBlocks,
    StepPanics,
    BodyPanics,
    ClosurePanics,
    StepDropPanics,
    BodyDropPanics,
    LoserDropPanics,
    OutputSerializePanics,
    OutputDeserializePanics,
    ErrorDisplayPanics,
    RetryWhenPanics,
    Nothing,
}

/// In this order, again and again. Few block: each holds up all that run beside it.
const DEEDS: [Deed; 14] = [
    Deed::Nothing,
    Deed::StepPanics,
    Deed::BodyPanics,
    Deed::StepBlocks,
    Deed::ClosurePanics,
    Deed::StepDropPanics,
    Deed::BodyDropPanics,
    Deed::StepSpins,
    Deed::LoserDropPanics,
    Deed::OutputSerializePanics,
    Deed::OutputDeserializePanics,
    Deed::BodyBlocks,
    Deed::ErrorDisplayPanics,
    Deed::RetryWhenPanics,
];

/// Counts the beginnings of each attempt of each step, by its key and number.
#[derive(stepwell::State, Clone, Default)]
struct Shared {
    #[provide]
    begun: Arc<Mutex<BTreeMap<String, u32>>>,
}

type Begun = Arc<Mutex<BTreeMap<String, u32>>>;

fn note(begun: &Begun, attempt: &Attempt) {
    let key = format!("{}#{}", attempt.idempotency_key(), attempt.number());
    *begun.lock().unwrap().entry(key).or_default() += 1;
}

/// Panics when it is dropped, unless that would abort the process.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(thread::panicking(), "a destructor panics");
    }
}

/// A value that panics on its way to the database, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Good,
    Unwritable,
    Unreadable,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(*self != Self::Unwritable, "a value cannot be written");
        serializer.serialize_bool(*self == Self::Good)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_good = bool::deserialize(deserializer)?;
        assert!(is_good, "a value cannot be read");
        Ok(Self::Good)
    }
}

/// An error that cannot even be shown.
#[derive(Debug, Serialize, Deserialize)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("an error cannot be shown")
    }
}

impl std::error::Error for Unspeakable {}

#[step]
async fn act(
    #[state] begun: &Begun,
    #[attempt] attempt: &Attempt,
    deed: Deed,
) -> stepwell::Result<Value> {
    note(begun, attempt);
    match deed {
        Deed::StepBlocks => block(),
        Deed::StepSpins => {
            let began = Instant::now();
            while began.elapsed() < LONG {
                std::hint::spin_loop();
            }
        }
        Deed::StepPanics => panic!("a step panics"),
        Deed::StepDropPanics => drop(Bomb),
        Deed::OutputSerializePanics => return Ok(Value::Unwritable),
        Deed::OutputDeserializePanics => return Ok(Value::Unreadable),
        Deed::RetryWhenPanics => stepwell::bail!("it fails"),
        _ => {}
    }
    Ok(Value::Good)
}

#[step]
async fn fail(#[state] begun: &Begun, #[attempt] attempt: &Attempt) -> Result<(), Unspeakable> {
    note(begun, attempt);
    Err(Unspeakable)
}

/// Out of sight of the lint for workflows.
fn block() {
    thread::sleep(LONG);
}

const NEVER: Topic<u32> = Topic::new("never");

#[workflow]
async fn hostile(ctx: &mut Ctx<Shared>, deed: Deed) -> stepwell::Result<Value> {
    let before = ctx.run(act(Deed::Nothing)).await?;
    match deed {
        Deed::BodyBlocks => block(),
        Deed::BodyPanics => panic!("a workflow panics"),
        Deed::ClosurePanics => {
            let panics = |text: &str| -> std::future::Ready<stepwell::Result<u32>> {
                panic!("a closure panics: {text}")
            };
            ctx.step("closure", || panics("before it has made its future"))
                .await?;
        }
        Deed::BodyDropPanics => {
            let _bomb = Bomb;
            ctx.recv(NEVER).await;
        }
        Deed::LoserDropPanics => {
            let loser = || async {
                let _bomb = Bomb;
                std::future::pending::<()>().await;
                Ok(())
            };
            select!(ctx, _ = step("loser", loser) => {}, () = sleep(MOMENT) => {});
        }
        Deed::ErrorDisplayPanics => ctx.run(fail()).await?,
        Deed::RetryWhenPanics => {
            let retry = Retry::times(3).when(|_: &stepwell::Failure| panic!("a closure panics"));
            ctx.run(act(deed).retry(retry)).await?;
        }
        deed => return ctx.run(act(deed)).await,
    }
    Ok(before)
}

/// An argument that panics when it is read.
#[workflow]
async fn bombed(ctx: &mut Ctx<Shared>, value: Value) -> stepwell::Result<Value> {
    ctx.run(act(Deed::Nothing)).await?;
    Ok(value)
}

async fn launch(url: String, shared: Shared) -> App<Shared> {
    App::builder("hostile")
        .database(url)
        .state(shared)
        .lease(LEASE)
        .grace(Duration::from_millis(500))
        // Whoever is told of it panics, too.
        .on_dead_letter(|letter| -> stepwell::Call<hostile> { panic!("told of {letter}") })
        .launch()
        .await
        .unwrap()
}

async fn hostile_code_in_one_thread_harms_nothing_else(db: &Database) {
    harm(db, Flavor::CurrentThread).await;
}

async fn hostile_code_on_one_worker_harms_nothing_else(db: &Database) {
    harm(db, Flavor::OneWorker).await;
}

fn dose() -> usize {
    let set = std::env::var("STEPWELL_HOSTILE_WORKFLOWS");
    set.map_or(2 * DEEDS.len(), |set| set.parse().unwrap())
}

/// Those that block do so one after the other.
fn patience() -> Duration {
    PATIENCE + LONG * u32::try_from(dose()).unwrap()
}

async fn harm(db: &Database, flavor: Flavor) {
    let (url, shared) = (db.workflows(), Shared::default());
    let client = Client::open(&url).await.unwrap();
    let mut apps = Vec::new();
    for _ in 0..2 {
        let threads = Threads::new(flavor);
        let app = threads.run(launch(url.clone(), shared.clone())).await;
        apps.push((threads, app));
    }
    let incarnations: Vec<_> = apps.iter().map(|(_, app)| app.executor()).collect();
    let started = start(&apps).await;
    until_within(
        patience(),
        "only those are left that wait for ever",
        async || {
            let left = unfinished(&client).await;
            let waiting = left.iter().filter(|it| waits_for_ever(&it.id.to_string()));
            waiting.count() == left.len() && all(&client).await.len() >= started
        },
    )
    .await;
    for left in unfinished(&client).await {
        client.cancel(left.id.as_str()).await.unwrap();
    }
    until_within(patience(), "every workflow has ended", async || {
        unfinished(&client).await.is_empty()
    })
    .await;
    let again: Vec<_> = (shared.begun.lock().unwrap().iter())
        .filter(|(_, times)| **times > 1)
        .map(|(key, _)| key.clone())
        .collect();
    assert!(again.is_empty(), "ran again: {again:?}");
    let after: Vec<_> = apps.iter().map(|(_, app)| app.executor()).collect();
    assert_eq!(after, incarnations, "a lease was lost");
    for (threads, app) in apps {
        let ended = timeout(PATIENCE, app.shutdown()).await;
        assert!(ended.is_ok(), "a shutdown does not end");
        drop(app);
        threads.end().await;
    }
    assert_eq!(ended_wrongly(&client).await, []);
}

/// Starts as many as the dose says, half of them in each process. How many.
async fn start(apps: &[(Threads, App<Shared>)]) -> usize {
    let dose = dose();
    for (number, (threads, app)) in apps.iter().enumerate() {
        let app = app.clone();
        let starting = async move {
            for (index, deed) in DEEDS.iter().cycle().take(dose).enumerate() {
                if index % 2 == number {
                    let call = hostile(*deed).id(format!("{deed:?}-{index}"));
                    app.start(call).await.unwrap();
                }
            }
            if number == 0 {
                let call = bombed(Value::Unreadable).id("Bombed-0");
                // Whoever starts it may meet the same panic.
                let started = tokio::spawn(async move { app.start(call).await.map(drop) });
                drop(started.await);
            }
        };
        threads.run(starting).await;
    }
    dose
}

fn waits_for_ever(id: &str) -> bool {
    id.starts_with("BodyDropPanics")
}

async fn all(client: &Client) -> Vec<Workflow> {
    let mut all = Vec::new();
    let mut before: Option<WorkflowKey> = None;
    loop {
        let page = Filter {
            before,
            limit: 1_000,
            ..Filter::default()
        };
        let page = client.list(page).await.unwrap();
        let Some(last) = page.last() else {
            return all;
        };
        before = Some(last.key);
        all.extend(page);
    }
}

async fn unfinished(client: &Client) -> Vec<Workflow> {
    let mut left = all(client).await;
    left.retain(|it| {
        use State::{Delayed, Enqueued, Parked, Running};
        matches!(it.state, Delayed | Enqueued | Parked | Running)
    });
    left
}

/// Those that have not ended as they must.
async fn ended_wrongly(client: &Client) -> Vec<(String, State)> {
    let all = all(client).await.into_iter();
    let wrongly = all.filter(|it| !may_end(it.id.as_str(), it.state));
    wrongly.map(|it| (it.id.to_string(), it.state)).collect()
}

fn may_end(id: &str, state: State) -> bool {
    let is = |deed: &Deed| id.starts_with(&format!("{deed:?}-"));
    match DEEDS.iter().find(|deed| is(deed)) {
        Some(Deed::StepBlocks | Deed::StepSpins | Deed::BodyBlocks | Deed::Nothing) => {
            state == State::Succeeded
        }
        Some(Deed::BodyDropPanics) => state == State::Cancelled,
        // The time may be over before the loser has begun.
        Some(Deed::LoserDropPanics) => state.has_ended() && state != State::Cancelled,
        // Whatever panics, somebody is told.
        _ => matches!(state, State::Failed | State::Stuck),
    }
}
