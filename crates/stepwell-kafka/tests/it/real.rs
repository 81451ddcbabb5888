//! Apache Kafka itself: `tests/with-kafka cargo test -p stepwell-kafka real -- --nocapture`.

use std::{
    collections::HashMap,
    env,
    io::Write as _,
    process::Command,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use stepwell::{App, State, events::Delivery, kafka::Kafka};
use tempfile::tempdir;

use crate::cluster::{app, consuming, number, stop};

const PARTITIONS: i32 = 4;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A broker that can be killed.
struct Broker {
    address: String,
    script: String,
    topic: String,
}

impl Broker {
    /// None, and a line that says so, without one.
    fn named() -> Option<Self> {
        let broker = env::var("STEPWELL_TEST_KAFKA").ok();
        let script = env::var("STEPWELL_TEST_KAFKA_BROKER").ok();
        let Some((address, script)) = broker.zip(script) else {
            // Not `eprintln!`: what passes must not hide what was left out.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: no Kafka broker is named; run tests/with-kafka cargo test -p stepwell-kafka \
                 real"
            );
            return None;
        };
        Some(Self {
            address,
            script,
            topic: format!("orders-{}", std::process::id()),
        })
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    async fn make_topic(&self) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let new = NewTopic::new(&self.topic, PARTITIONS, TopicReplication::Fixed(1));
        let made = admin.create_topics(&[new], &AdminOptions::new()).await;
        made.unwrap().remove(0).unwrap();
    }

    /// `kill -9`, and a new start with the same files.
    async fn kill(&self) {
        for command in ["kill", "start"] {
            let mut script = Command::new(&self.script);
            script.arg(command);
            let done = tokio::task::spawn_blocking(move || script.status());
            assert!(done.await.unwrap().unwrap().success(), "{command}");
        }
    }

    /// What an event is called is in its body: the same number may be sent twice.
    fn kafka(&self) -> Kafka {
        Kafka::new(&self.address)
            .group(&self.topic)
            .topic(&self.topic)
            .batch(50)
            .identity(|event: &Delivery| String::from_utf8(event.body.to_vec()).ok())
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500")
    }

    /// Messages by their numbers: one in ten comes twice, one in a hundred is poison.
    async fn send(&self, from: usize, to: usize) {
        let producer: FutureProducer = self
            .client()
            // What the producer itself sends again is one message.
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "120000")
            .set("linger.ms", "20")
            .create()
            .unwrap();
        let bodies = (from..to).flat_map(|number| match number {
            poison if poison % 100 == 50 => vec![format!("poison-{poison}")],
            twice if twice % 10 == 0 => vec![twice.to_string(), twice.to_string()],
            once => vec![once.to_string()],
        });
        let bodies: Vec<String> = bodies.collect();
        let sends = bodies.iter().map(|body| {
            let record = FutureRecord::<(), str>::to(&self.topic).payload(body);
            producer.send(record, PATIENCE)
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.map_err(|(error, _)| error).unwrap();
        }
    }
}

/// How many workflows there are of each name and state.
async fn counts(app: &App) -> HashMap<(String, State), u64> {
    let mut counts = HashMap::new();
    for tally in app.client().tallies().await.unwrap() {
        *counts.entry((tally.name, tally.state)).or_default() += tally.count;
    }
    counts
}

async fn reaches(app: &App, succeeded: usize) {
    let until = Instant::now() + PATIENCE;
    let of = ("handle".to_owned(), State::Succeeded);
    loop {
        let now = counts(app).await.get(&of).copied().unwrap_or(0);
        if now >= succeeded as u64 {
            return;
        }
        assert!(Instant::now() < until, "{now} of {succeeded}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_loses_and_doubles_nothing() {
    let Some(broker) = Broker::named() else {
        return;
    };
    let said = env::var("STEPWELL_KAFKA_MESSAGES").ok();
    let messages: usize = said.map_or(2_000, |said| said.parse().unwrap());
    let poison = messages / 100;
    broker.make_topic().await;
    let folder = tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let (one, other) = (app(&path).await, app(&path).await);
    let first = consuming(&one, broker.kafka(), number);
    broker.send(0, messages / 2).await;
    reaches(&one, messages / 4).await;
    broker.kill().await;
    // A second member: the partitions are shared out anew, perhaps in the middle of a batch.
    let second = consuming(&other, broker.kafka(), number);
    let sending = broker.send(messages / 2, messages);
    let trouble = async {
        reaches(&one, messages / 2).await;
        // Dropped where it stands: nothing is committed any more, and the group has to notice.
        drop(first);
        broker.kill().await;
    };
    tokio::join!(sending, trouble);
    reaches(&one, messages - poison).await;
    let counted = counts(&one).await;
    let expected = [
        (("handle".to_owned(), State::Succeeded), messages - poison),
        (("stepwell.poison".to_owned(), State::Failed), poison),
    ];
    let expected = expected.map(|(of, count)| (of, count as u64));
    assert_eq!(counted, expected.into());
    let _ = writeln!(
        std::io::stderr(),
        "kafka: {messages} events, {} of them twice, {poison} poison; the broker killed twice, a member \
         once: {counted:?}",
        messages / 10
    );
    stop(other, second).await;
    one.shutdown().await;
}

/// Messages come in clear text, and are consumed from the address that is encrypted and asks for a
/// password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_broker_that_asks_for_a_password_is_consumed_from() {
    let Some(mut broker) = Broker::named() else {
        return;
    };
    broker.topic = format!("encrypted-{}", std::process::id());
    broker.make_topic().await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let encrypted = Kafka::new(env::var("STEPWELL_TEST_KAFKA_TLS").unwrap())
        .group(&broker.topic)
        .topic(&broker.topic)
        .set("security.protocol", "sasl_ssl")
        .set(
            "ssl.ca.location",
            env::var("STEPWELL_TEST_KAFKA_CA").unwrap(),
        )
        .set("sasl.mechanism", "SCRAM-SHA-256")
        .set("sasl.username", "shop")
        .set("sasl.password", "for-tests");
    let consumers = consuming(&app, encrypted, number);
    broker.send(0, 5).await;
    // The first one comes twice; it has no id of its own here.
    reaches(&app, 6).await;
    stop(app, consumers).await;
}
