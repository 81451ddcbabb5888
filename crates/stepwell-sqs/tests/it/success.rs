//! Messages that are deleted when their workflows have succeeded.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stepwell::{
    App, Call, Ctx, State, Topic,
    events::Delivery,
    observe::{Observation, Observer},
    workflow,
};
use tempfile::tempdir;

use crate::endpoint::{Queue, app, consuming, stop, wait_for};

const GO: Topic<bool> = Topic::new("go");

/// Succeeds or fails as it is told.
#[workflow]
async fn told(ctx: &mut Ctx, _number: u32) -> stepwell::Result<()> {
    match ctx.recv(GO).await {
        true => Ok(()),
        false => Err(stepwell::Failure::msg("it was told to")),
    }
}

fn as_told(delivery: &Delivery) -> Result<Call<told>, String> {
    delivery.json().map(told).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_message_stays_until_its_workflow_has_succeeded() {
    let queue = Queue::new("success", 30).await;
    let good = format!("sqs~event-{}", queue.send("1").await);
    let bad = format!("sqs~event-{}", queue.send("2").await);
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let consumers = consuming(&app, queue.sqs().delete_when_succeeded(), as_told);
    wait_for(&app, State::Running, 2).await;
    assert_eq!(queue.count().await, 2);
    app.send(&bad, GO, false).await.unwrap();
    wait_for(&app, State::Failed, 1).await;
    app.send(&good, GO, true).await.unwrap();
    let one_left = async {
        while queue.count().await > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::endpoint::PATIENCE, one_left)
        .await
        .unwrap();
    assert_eq!(queue.count().await, 1, "the one that failed");
    stop(app, consumers).await;
}

#[tokio::test]
async fn a_workflow_that_takes_long_holds_up_no_message_after_it() {
    let queue = Queue::new("long", 30).await;
    let long = format!("sqs~event-{}", queue.send("1").await);
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let sqs = queue.sqs().delete_when_succeeded().receivers(1);
    let consumers = consuming(&app, sqs, as_told);
    wait_for(&app, State::Running, 1).await;
    let next = format!("sqs~event-{}", queue.send("2").await);
    wait_for(&app, State::Running, 2).await;
    app.send(&next, GO, true).await.unwrap();
    assert_eq!(wait_for(&app, State::Succeeded, 1).await, [next]);
    app.send(&long, GO, true).await.unwrap();
    queue.wait_until_empty().await;
    stop(app, consumers).await;
}

#[tokio::test]
async fn no_more_messages_are_in_work_than_there_is_room_for() {
    let queue = Queue::new("room", 30).await;
    for number in 0..3 {
        queue.send(&number.to_string()).await;
    }
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let sqs = queue.sqs().delete_when_succeeded().in_work(1);
    let consumers = consuming(&app, sqs, as_told);
    for done in 1..=3 {
        let running = wait_for(&app, State::Running, 1).await;
        assert_eq!(running.len(), 1);
        app.send(&running[0], GO, true).await.unwrap();
        wait_for(&app, State::Succeeded, done).await;
    }
    queue.wait_until_empty().await;
    stop(app, consumers).await;
}

#[tokio::test]
async fn what_was_not_deleted_before_a_stop_finds_its_workflow_after_it() {
    let queue = Queue::new("stopped", 0).await;
    let id = format!("sqs~event-{}", queue.send("1").await);
    let folder = tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let one = app(&path).await;
    let sqs = || queue.sqs().delete_when_succeeded().receivers(1);
    let consumers = consuming(&one, sqs(), as_told);
    wait_for(&one, State::Running, 1).await;
    stop(one, consumers).await;
    // It is hidden for a minute unless somebody shows it.
    let hidden = queue
        .client
        .receive_message()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap();
    assert_eq!(hidden.messages().len(), 0);
    let other = app(&path).await;
    other.send(&id, GO, true).await.unwrap();
    assert_eq!(wait_for(&other, State::Succeeded, 1).await, [id]);
    other.shutdown().await;
}

/// How many messages there were when the queue was asked last.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Option<(String, u64)>>>);

impl Observer for Held {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::Lag {
            source,
            part,
            events,
        } = observation
        {
            *self.0.lock().unwrap() = Some((format!("{source} {part}"), *events));
        }
    }
}

#[tokio::test]
async fn a_consumer_says_how_many_messages_there_are() {
    let queue = Queue::new("held", 30).await;
    for number in 0..3 {
        queue.send(&number.to_string()).await;
    }
    let folder = tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let held = Held::default();
    let app = App::builder("sqs").database(url).observer(held.clone());
    let app = app.launch().await.unwrap();
    // Nobody tells the workflows what to do: the messages stay.
    let consumers = consuming(&app, queue.sqs().delete_when_succeeded(), as_told);
    let told = async {
        while held.0.lock().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::endpoint::PATIENCE, told)
        .await
        .unwrap();
    let told = held.0.lock().unwrap().take();
    assert_eq!(told, Some(("sqs held".to_owned(), 3)));
    stop(app, consumers).await;
}
