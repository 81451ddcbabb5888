//! A mock cluster, and an application that consumes from it.

use std::{path::Path, time::Duration};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use stepwell::{
    App, Call, Ctx, State, Workflow,
    events::{Consumers, Delivery, Sources},
    kafka::Kafka,
    store::Filter,
    workflow,
};

/// How long a group may take to settle, at worst.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
}

impl Cluster {
    pub(crate) fn with_topic(topic: &str, partitions: i32) -> Self {
        let mock = MockCluster::new(3).unwrap();
        mock.create_topic(topic, partitions, 3).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .create()
            .unwrap();
        Self { mock, producer }
    }

    pub(crate) fn kafka(&self, topic: &str) -> Kafka {
        Kafka::new(self.mock.bootstrap_servers())
            .group("shop")
            .topic(topic)
            // A member that was killed is missed soon.
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500")
    }

    pub(crate) async fn send(&self, topic: &str, partition: i32, key: &str, body: &[u8]) {
        let headers = OwnedHeaders::new().insert(Header {
            key: "type",
            value: Some("placed"),
        });
        let record = FutureRecord::to(topic)
            .partition(partition)
            .key(key)
            .headers(headers)
            .payload(body);
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    pub(crate) fn brokers_down(&self) {
        (1..=3).for_each(|broker| self.mock.broker_down(broker).unwrap());
    }

    pub(crate) fn brokers_up(&self) {
        (1..=3).for_each(|broker| self.mock.broker_up(broker).unwrap());
    }
}

#[workflow]
pub(crate) async fn handle(_ctx: &mut Ctx, number: u32) -> stepwell::Result<u32> {
    Ok(number)
}

pub(crate) fn number(delivery: &Delivery) -> Result<Call<handle>, serde_json::Error> {
    delivery.json().map(handle)
}

pub(crate) async fn app(path: &Path) -> App {
    let url = format!("sqlite:{}", path.display());
    App::builder("kafka").database(url).launch().await.unwrap()
}

pub(crate) fn consuming<W: Workflow<State = ()>>(
    app: &App,
    kafka: Kafka,
    map: impl Fn(&Delivery) -> Result<Call<W>, serde_json::Error> + Send + Sync + 'static,
) -> Consumers {
    let sources = Sources::new(app).add(kafka, map).unwrap();
    sources.start()
}

/// The workflows of this state, once there are so many.
pub(crate) async fn wait_for(app: &App, state: State, count: usize) -> Vec<String> {
    let filter = Filter {
        states: vec![state],
        limit: 1_000,
        ..Filter::default()
    };
    let all = async {
        loop {
            let found = app.client().list(filter.clone()).await.unwrap();
            if found.len() >= count {
                break found.into_iter().map(|found| found.id.to_string());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, all).await;
    found.expect("they do not come").collect()
}

/// Stops in order.
pub(crate) async fn stop(app: App, consumers: Consumers) {
    app.stop_taking_work();
    consumers.ended().await;
    app.shutdown().await;
}
