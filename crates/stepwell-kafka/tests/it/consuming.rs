//! One consumer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    App, Ctx, Queue, State,
    events::Delivery,
    observe::{Observation, Observer},
    workflow,
};
use tempfile::tempdir;

use crate::cluster::{Cluster, PATIENCE, app, consuming, handle, number, stop, wait_for};

#[tokio::test]
async fn each_message_is_one_workflow_and_poison_is_kept() {
    let cluster = Cluster::with_topic("orders", 2);
    for offset in 0..20 {
        let body = if offset == 7 {
            "seven".to_owned()
        } else {
            offset.to_string()
        };
        cluster.send("orders", 0, "key", body.as_bytes()).await;
        cluster.send("orders", 1, "key", body.as_bytes()).await;
    }
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let consumers = consuming(&app, cluster.kafka("orders"), number);
    let done = wait_for(&app, State::Succeeded, 38).await;
    let expected = |offset: u32| {
        (0..2).map(move |partition| format!("kafka~event-orders-{partition}-{offset}"))
    };
    for id in (0..20).filter(|offset| *offset != 7).flat_map(expected) {
        assert!(done.contains(&id), "{id} in {done:?}");
    }
    let poison = wait_for(&app, State::Failed, 2).await;
    assert!(
        poison
            .iter()
            .all(|id| id.starts_with("kafka~event-orders-") && id.contains("~poison-")),
        "{poison:?}"
    );
    stop(app, consumers).await;
}

#[tokio::test]
async fn a_message_says_where_it_was_and_what_it_is() {
    let cluster = Cluster::with_topic("orders", 1);
    cluster.send("orders", 0, "customer-7", b"1").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let kafka = cluster.kafka("orders").kind_header("type").named("eu");
    let kafka =
        kafka.identity(|event: &Delivery| Some(format!("own-{}", event.attribute("offset")?)));
    let consumers = consuming(&app, kafka, move |delivery: &Delivery| {
        *note.lock().unwrap() = Some(delivery.clone());
        number(delivery)
    });
    assert_eq!(
        wait_for(&app, State::Succeeded, 1).await,
        ["eu~event-own-0"]
    );
    let origin = app
        .client()
        .get("eu~event-own-0")
        .await
        .unwrap()
        .unwrap()
        .origin;
    assert_eq!(origin.as_deref(), Some("eu/placed"));
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen.key.as_deref(), Some("customer-7"));
    assert_eq!(seen.kind.as_deref(), Some("placed"));
    assert_eq!(seen.attribute("topic"), Some("orders"));
    assert_eq!(seen.attribute("partition"), Some("0"));
    assert!(seen.at.is_some());
    stop(app, consumers).await;
}

#[tokio::test]
async fn a_panic_over_an_events_id_keeps_the_event_and_the_consumer_goes_on() {
    let cluster = Cluster::with_topic("orders", 1);
    cluster.send("orders", 0, "no key", b"0").await;
    cluster.send("orders", 0, "order-1", b"1").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let kafka = cluster.kafka("orders").identity(|event: &Delivery| {
        let key = event.key.clone()?;
        assert!(key.starts_with("order-"), "a key of another producer");
        Some(key)
    });
    let consumers = consuming(&app, kafka, number);
    assert_eq!(
        wait_for(&app, State::Succeeded, 1).await,
        ["kafka~event-order-1"]
    );
    let poison = wait_for(&app, State::Failed, 1).await;
    assert!(
        poison[0].starts_with("kafka~event-orders-0-0~poison-"),
        "{poison:?}"
    );
    stop(app, consumers).await;
}

/// A header without a value is no id: all of them would be one event.
#[tokio::test]
async fn an_empty_id_of_a_message_is_none() {
    let cluster = Cluster::with_topic("orders", 1);
    cluster.send("orders", 0, "key", b"0").await;
    cluster.send("orders", 0, "key", b"1").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let kafka = cluster.kafka("orders");
    let kafka = kafka.identity(|_: &Delivery| Some(String::new()));
    let consumers = consuming(&app, kafka, number);
    let mut done = wait_for(&app, State::Succeeded, 2).await;
    done.sort();
    assert_eq!(done, ["kafka~event-orders-0-0", "kafka~event-orders-0-1"]);
    stop(app, consumers).await;
}

#[tokio::test]
async fn a_group_goes_on_behind_what_was_accepted() {
    let cluster = Cluster::with_topic("orders", 1);
    for body in ["0", "1", "2"] {
        cluster.send("orders", 0, "key", body.as_bytes()).await;
    }
    let folder = tempdir().unwrap();
    let one = app(&folder.path().join("one.db")).await;
    let consumers = consuming(&one, cluster.kafka("orders"), number);
    wait_for(&one, State::Succeeded, 3).await;
    stop(one, consumers).await;
    cluster.send("orders", 0, "key", b"3").await;
    // Another database, which would take the first three as well.
    let other = app(&folder.path().join("other.db")).await;
    let consumers = consuming(&other, cluster.kafka("orders"), number);
    assert_eq!(
        wait_for(&other, State::Succeeded, 1).await,
        ["kafka~event-orders-0-3"]
    );
    stop(other, consumers).await;
}

#[tokio::test]
async fn brokers_that_are_away_are_waited_for() {
    let cluster = Cluster::with_topic("orders", 1);
    cluster.send("orders", 0, "key", b"0").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let consumers = consuming(&app, cluster.kafka("orders"), number);
    wait_for(&app, State::Succeeded, 1).await;
    cluster.brokers_down();
    tokio::task::yield_now().await;
    cluster.brokers_up();
    cluster.send("orders", 0, "key", b"1").await;
    wait_for(&app, State::Succeeded, 2).await;
    stop(app, consumers).await;
}

static ONE_BY_ONE: Queue = Queue::new("one-by-one").concurrency(1).waiting_max(5);

type Seen = Arc<Mutex<Vec<u32>>>;

#[workflow]
async fn note(ctx: &mut Ctx<Seen>, number: u32) -> stepwell::Result<()> {
    ctx.state().lock().unwrap().push(number);
    Ok(())
}

#[tokio::test]
async fn a_full_queue_pauses_the_partitions_and_keeps_their_order() {
    let cluster = Cluster::with_topic("orders", 1);
    for offset in 0..100 {
        cluster
            .send("orders", 0, "key", offset.to_string().as_bytes())
            .await;
    }
    let folder = tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let seen = Seen::default();
    let app = App::builder("kafka").state(Arc::clone(&seen)).database(url);
    let app = app.launch().await.unwrap();
    let kafka = cluster.kafka("orders").batch(10);
    let sources = stepwell::events::Sources::new(&app).add(kafka, |delivery: &Delivery| {
        delivery
            .json()
            .map(|number| note(number).queue(&ONE_BY_ONE))
    });
    let consumers = sources.unwrap().start();
    let last = tokio::time::timeout(crate::cluster::PATIENCE, async {
        while seen.lock().unwrap().len() < 100 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    last.await.unwrap();
    assert_eq!(*seen.lock().unwrap(), (0..100).collect::<Vec<u32>>());
    app.stop_taking_work();
    consumers.ended().await;
    app.shutdown().await;
}

/// What was told last of how far behind each partition is.
#[derive(Clone, Default)]
struct Behind(Arc<Mutex<BTreeMap<String, u64>>>);

impl Observer for Behind {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::Lag {
            source,
            part,
            events,
        } = observation
        {
            let part = format!("{source} {part}");
            self.0.lock().unwrap().insert(part, *events);
        }
    }
}

#[tokio::test]
async fn a_consumer_says_how_far_behind_it_is() {
    let cluster = Cluster::with_topic("orders", 2);
    let folder = tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let behind = Behind::default();
    let app = App::builder("kafka").database(url);
    let app = app.observer(behind.clone()).launch().await.unwrap();
    let kafka = cluster.kafka("orders").set("statistics.interval.ms", "50");
    for number in 0..30 {
        let body = number.to_string();
        cluster
            .send("orders", number % 2, "key", body.as_bytes())
            .await;
    }
    let consumers = consuming(&app, kafka, number);
    wait_for(&app, State::Succeeded, 30).await;
    let none = [("kafka orders-0", 0), ("kafka orders-1", 0)];
    let none: BTreeMap<_, _> = none.map(|(part, events)| (part.to_owned(), events)).into();
    let caught_up = async {
        while *behind.0.lock().unwrap() != none {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let caught_up = tokio::time::timeout(PATIENCE, caught_up).await;
    assert!(caught_up.is_ok(), "{:?}", behind.0.lock().unwrap());
    stop(app, consumers).await;
}

#[workflow]
async fn place_of(_ctx: &mut Ctx, offset: String) -> stepwell::Result<String> {
    Ok(offset)
}

/// A producer sends an event twice: as two messages, with one id in both.
#[tokio::test]
async fn an_event_with_an_id_of_its_own_is_one_wherever_it_lies() {
    let cluster = Cluster::with_topic("orders", 1);
    for body in ["7", "7", "8"] {
        cluster.send("orders", 0, "key", body.as_bytes()).await;
    }
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let of_itself = |event: &Delivery| String::from_utf8(event.body.to_vec()).ok();
    let kafka = cluster.kafka("orders").identity(of_itself);
    let consumers = consuming(&app, kafka, |event: &Delivery| {
        let offset = event.attribute("offset").unwrap_or_default();
        Ok(place_of(offset.to_owned()))
    });
    let mut done = wait_for(&app, State::Succeeded, 2).await;
    done.sort();
    assert_eq!(done, ["kafka~event-7", "kafka~event-8"]);
    let poison = app.client().dead_letters().await.unwrap();
    assert!(poison.is_empty(), "{poison:?}");
    stop(app, consumers).await;
}

static SHUT: Queue = Queue::new("kafka-shut").waiting_max(1);

/// A process that ends between the two loses nothing: what was not started comes again.
#[tokio::test]
async fn what_is_not_started_yet_is_not_committed() {
    let cluster = Cluster::with_topic("orders", 1);
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("one.db")).await;
    let client = app.client();
    app.run(handle(9).queue(&SHUT)).await.unwrap();
    client.pause_queue("kafka-shut", "test", "").await.unwrap();
    for body in ["0", "1", "2"] {
        cluster.send("orders", 0, "key", body.as_bytes()).await;
    }
    let tries = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&tries);
    let queued = move |delivery: &Delivery| {
        seen.fetch_add(1, SeqCst);
        number(delivery).map(|call| call.queue(&SHUT))
    };
    let consumers = consuming(&app, cluster.kafka("orders"), queued.clone());
    // One is started, two find the queue full and are tried again and again.
    let all = async {
        while tries.load(SeqCst) < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("they come");
    drop(consumers);

    client.resume_queue("kafka-shut").await.unwrap();
    let consumers = consuming(&app, cluster.kafka("orders"), queued);
    wait_for(&app, State::Succeeded, 4).await;
    stop(app, consumers).await;
}
