//! A broker: the one that `STEPWELL_TEST_KAFKA` names, or librdkafka's mock cluster.

use std::{
    env, fmt,
    io::Write as _,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};

use super::PATIENCE;

pub(super) const INVENTORY: &str = "inventory-updates";
pub(super) const EVENTS: &str = "events";

const PARTITIONS: i32 = 4;
/// The consumer group of the event processor.
const GROUP: &str = "event-processor";
/// How long a broker may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked whether all is consumed.
const LOOK: Duration = Duration::from_millis(100);
/// How long the producer tries: longer than a broker is away.
const SENT_WITHIN: Duration = Duration::from_secs(300);

enum Broker {
    /// With the script that kills and starts it.
    Real {
        address: String,
        script: String,
    },
    Mock(MockCluster<'static, DefaultProducerContext>),
}

pub(super) struct Kafka {
    broker: Broker,
    kills: AtomicU32,
}

impl fmt::Display for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.broker {
            Broker::Real { .. } => {
                write!(f, "Apache Kafka, killed {} times", self.kills.load(Relaxed))
            }
            Broker::Mock(_) => write!(f, "a mock cluster in Kafka's place"),
        }
    }
}

impl Kafka {
    pub(super) async fn start() -> Self {
        let named = env::var("STEPWELL_TEST_KAFKA").ok();
        let broker = match named.zip(env::var("STEPWELL_TEST_KAFKA_BROKER").ok()) {
            Some((address, script)) => Broker::Real { address, script },
            None => {
                let _ = writeln!(
                    std::io::stderr(),
                    "LEFT OUT: Apache Kafka, since tests/with-kafka does not run this; librdkafka's mock \
                     cluster stands in for it, and is not killed"
                );
                Broker::Mock(MockCluster::new(1).unwrap())
            }
        };
        let kafka = Self {
            broker,
            kills: AtomicU32::new(0),
        };
        for topic in [INVENTORY, EVENTS] {
            kafka.make_topic(topic).await;
        }
        kafka
    }

    pub(super) fn brokers(&self) -> String {
        match &self.broker {
            Broker::Real { address, .. } => address.clone(),
            Broker::Mock(mock) => mock.bootstrap_servers(),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    async fn make_topic(&self, topic: &str) {
        if let Broker::Mock(mock) = &self.broker {
            return mock.create_topic(topic, PARTITIONS, 1).unwrap();
        }
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let made = admin.create_topics(&[new], &AdminOptions::new()).await;
        let made = made.unwrap().remove(0);
        made.expect("the broker has messages already; start a new one");
    }

    pub(super) fn producer(&self) -> FutureProducer {
        self.client()
            // What the producer itself sends again is one message.
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "300000")
            .set("linger.ms", "20")
            .create()
            .unwrap()
    }

    /// Returns when everything is acknowledged: what has come twice was looked at twice.
    pub(super) async fn is_consumed(&self) {
        let group: BaseConsumer = self.client().set("group.id", GROUP).create().unwrap();
        let until = Instant::now() + PATIENCE;
        let consumed = tokio::task::spawn_blocking(move || {
            loop {
                match has_consumed(&group) {
                    Ok(true) => return,
                    // A broker that has just been started may not know its groups yet.
                    other => assert!(Instant::now() < until, "messages stay: {other:?}"),
                }
                std::thread::sleep(LOOK);
            }
        });
        consumed.await.unwrap();
    }

    /// `kill -9`, and a new start with the same files. The mock cluster is left alone.
    pub(super) async fn kill(&self) {
        let Broker::Real { script, .. } = &self.broker else {
            return;
        };
        for command in ["kill", "start"] {
            let mut script = Command::new(script);
            script.arg(command);
            let done = tokio::task::spawn_blocking(move || script.status());
            assert!(done.await.unwrap().unwrap().success(), "{command}");
        }
        self.kills.fetch_add(1, Relaxed);
    }
}

/// Whether the group is behind the last message of each partition.
fn has_consumed(group: &BaseConsumer) -> KafkaResult<bool> {
    let mut parts = TopicPartitionList::new();
    for topic in [INVENTORY, EVENTS] {
        parts.add_partition_range(topic, 0, PARTITIONS - 1);
    }
    let committed = group.committed_offsets(parts, ANSWERED_WITHIN)?;
    for part in committed.elements() {
        let (topic, number) = (part.topic(), part.partition());
        let (first, end) = group.fetch_watermarks(topic, number, ANSWERED_WITHIN)?;
        if first < end && part.offset() != Offset::Offset(end) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends an event, which has an id of its own.
pub(super) async fn send(producer: &FutureProducer, topic: &str, id: &str, body: &str) {
    let header = Header {
        key: "event-id",
        value: Some(id),
    };
    let record = FutureRecord::<str, str>::to(topic)
        .payload(body)
        .headers(OwnedHeaders::new().insert(header));
    let sent = producer.send(record, SENT_WITHIN).await;
    sent.map_err(|(error, _)| error).unwrap();
}
