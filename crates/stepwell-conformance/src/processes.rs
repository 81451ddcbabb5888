//! Two processes on one database.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use stepwell_core::{
    State, WorkflowKey,
    store::{Changed, Effect, News, Progressed, StartMessage, Started},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, Worker, here, limits, message, payload, queued, with_delay, workflow},
};

async fn changed(case: &Case<'_>) -> bool {
    let news = case.store.news().await;
    !news.expect("it can be asked what is new").is_nothing()
}

/// Waits until a store notices: one whose server tells it of news hears them a moment later.
async fn notices(case: &Case<'_>) {
    while !changed(case).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Claims with all workers at once.
async fn claim_at_once(workers: &[Worker]) -> Vec<usize> {
    let claimed = join_all(workers.iter().map(|worker| worker.claim(100))).await;
    claimed.iter().map(Vec::len).collect()
}

/// What one process has committed, another one reads.
pub async fn a_commit_is_seen_by_another_process(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;
    assert_eq!(other.places(key).await, ["", "0"]);

    worker.succeed(key, json!(1)).await;
    assert_eq!(other.state("order-1").await, State::Succeeded);
    assert_eq!(other.find("order-1").await, case.find("order-1").await);
}

/// A process that begins when others have written finds all of it.
pub async fn a_new_process_finds_what_others_left(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.append(key, 0, "log", json!(1)).await;
    case.new_workflow(with_delay("order-2", MINUTE)).await;
    let Some(other) = case.second_process().await else {
        return;
    };

    assert_eq!(other.find("order-2").await, case.find("order-2").await);
    assert_eq!(other.history(key).await, case.history(key).await);
    assert_eq!(other.stream(key, "log").await, [json!(1)]);
}

/// Two processes read one clock.
pub async fn processes_share_the_clock(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    case.new_workflow(with_delay("order-1", MINUTE)).await;
    let worker = other.register().await;
    assert!(worker.claim_ids().await.is_empty());

    case.advance(MINUTE).await;
    assert_eq!(worker.claim_ids().await, ["order-1"]);
}

/// The same id from two processes at the same time: exactly one makes it.
pub async fn one_of_two_processes_starts_an_id(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let sides = [&case, &other];

    let starts = (0..16).map(|number| sides[number % 2].start(workflow("order-1")));
    let started = join_all(starts).await;
    let new = |it: &&Started| matches!(it, Started::New { .. });
    assert_eq!(started.iter().filter(new).count(), 1, "{started:?}");
}

/// Executors of two processes that claim at the same time get disjoint work within the limits.
pub async fn claims_of_two_processes_keep_to_a_limit(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(case.register().await);
        workers.push(other.register().await);
    }
    for number in 0..20 {
        let mail = queued(&format!("mail-{number}"), "mail", limits(Some(7), Some(3)));
        case.new_workflow(mail).await;
    }

    let each = claim_at_once(&workers).await;
    assert_eq!(each.iter().sum::<usize>(), 7, "{each:?}");
    assert!(each.iter().all(|count| *count <= 3), "{each:?}");
}

/// What one process runs, another one cancels; the first hears of it.
pub async fn a_cancellation_reaches_another_process(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    other.cancel("order-1").await;

    assert_eq!(worker.interrupts().await, [key]);
    let progressed = worker.record(key, 0, "charge", json!(1)).await;
    assert!(
        matches!(progressed, Progressed::Refused(_)),
        "{progressed:?}"
    );
}

/// One process takes over from another one, which is fenced.
pub async fn a_process_takes_over_from_another(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let zombie = case.register().await;
    let key = zombie.start("order-1").await;
    zombie.record(key, 0, "charge", json!(1)).await;
    case.let_leases_end().await;
    let worker = other.register().await;
    worker.take_over().await;

    assert_eq!(worker.claim_ids().await, ["order-1"]);
    zombie
        .expect_fenced(vec![stepwell_core::store::Change::Start(here("order-2"))])
        .await;
    worker.record(key, 1, "ship", json!(1)).await;
    assert_eq!(case.places(key).await, ["", "0", "1"]);
}

/// "Whether another process has written since the last call."
pub async fn a_write_of_another_process_is_noticed_once(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    changed(&case).await;
    other.enqueue("order-1").await;

    notices(&case).await;
    assert!(!changed(&case).await);
}

/// Hears news until they say what is expected.
async fn hears(case: &Case<'_>, expected: impl Fn(&News) -> bool) {
    loop {
        let news = case.store.news().await;
        if expected(&news.expect("it can be asked what is new")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether news are, or may be, about a workflow.
fn about(key: WorkflowKey) -> impl Fn(&News) -> bool {
    move |news| match &news.workflows {
        Changed::Any => true,
        Changed::These(keys) => keys.contains(&key),
    }
}

/// Whoever waits for a message, an event, a stream entry or an end hears of it: what is not named is
/// not looked at.
pub async fn news_name_the_workflow_that_has_changed(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let worker = other.register().await;
    let key = worker.start("order-1").await;
    other.enqueue("order-2").await;
    changed(&case).await;

    other.send(message("order-1", json!(1))).await;
    hears(&case, about(key)).await;
    let effect = |value: Value| Effect::SetEvent {
        name: "status".to_owned(),
        value: payload(value),
    };
    worker.effects(key, 0, vec![effect(json!(1))]).await;
    hears(&case, about(key)).await;
    let send = Effect::Send(message("order-2", json!(2)));
    worker.effects(key, 1, vec![send]).await;
    hears(&case, about(other.find("order-2").await.key)).await;
    worker.succeed(key, json!(1)).await;
    hears(&case, about(key)).await;
    let mut start = workflow("order-2");
    start.message = Some(Box::new(StartMessage {
        topic: String::new(),
        payload: payload(json!(3)),
        key: "k".to_owned(),
    }));
    other.start(start).await;
    hears(&case, about(other.find("order-2").await.key)).await;
}

/// Whoever waits for work hears of it.
pub async fn news_say_that_there_is_work(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let worker = other.register().await;
    let key = worker.start("order-1").await;
    changed(&case).await;

    other
        .new_workflow(queued("mail-1", "mail", limits(Some(1), None)))
        .await;
    hears(&case, |news| news.work).await;
    // It may have held a place in a queue.
    worker.succeed(key, json!(1)).await;
    hears(&case, |news| news.work).await;
    worker.start("order-2").await;
    worker.retire().await;
    hears(&case, |news| news.work).await;
}

/// Whoever runs a workflow that is cancelled elsewhere hears of it.
pub async fn news_say_that_something_was_cancelled(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let Some(other) = case.second_process().await else {
        return;
    };
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    changed(&case).await;

    other.cancel("order-1").await;
    hears(&case, |news| news.interrupts && about(key)(news)).await;
}

/// A process's own writes are no news to it.
pub async fn own_writes_are_no_news(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    changed(&case).await;
    case.enqueue("order-1").await;
    worker.start("order-2").await;

    assert!(!changed(&case).await);
}

/// What a person calls the database.
pub async fn a_database_has_a_name_for_people(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert!(!case.store.describe().trim().is_empty());
}

/// The store's clock goes as its backend says.
pub async fn the_clock_can_be_moved(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let before = case.now();
    case.advance(MINUTE).await;

    crate::fixture::expect_about(case.now(), before + MINUTE);
}
