//! What is sent: so many events of each source, one in ten twice, one in a hundred poison.

use std::{fmt, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
    types::{QueueAttributeName as Name, SendMessageBatchRequestEntry},
};
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{
    PATIENCE,
    kafka::{self, EVENTS, INVENTORY, Kafka},
};

/// How many products change.
pub(super) const PRODUCTS: usize = 20;
/// How many messages are on their way at once.
const AT_ONCE: usize = 500;
/// How long a message that a member has received and lost is hidden from others, in seconds.
const HIDDEN_S: &str = "5";

/// How many events there are of each source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) kafka: usize,
    pub(super) sqs: usize,
    pub(super) webhooks: usize,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kafka,
            sqs,
            webhooks,
        } = self;
        write!(
            f,
            "{kafka} Kafka messages, {sqs} SQS messages and {webhooks} webhooks, {} of them twice, {} of \
             them poison, each once",
            self.workflows() / 10,
            self.poison()
        )
    }
}

/// What an event of this number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    Twice,
    Poison,
}

pub(super) fn kind(number: usize) -> Kind {
    match number {
        poison if poison % 100 == 55 => Kind::Poison,
        twice if twice % 10 == 0 => Kind::Twice,
        _ => Kind::Good,
    }
}

/// Whether a Kafka message goes to the topic of events that are logged.
fn is_logged(number: usize) -> bool {
    number.is_multiple_of(3)
}

impl Load {
    pub(super) fn of(kafka: usize) -> Self {
        Self {
            kafka,
            sqs: kafka / 10,
            webhooks: kafka / 10,
        }
    }

    /// How many workflows come of it.
    pub(super) fn workflows(&self) -> usize {
        self.kafka + self.sqs + self.webhooks
    }

    fn good(events: usize, of_it: impl Fn(usize) -> bool) -> usize {
        let good = |number: &usize| kind(*number) != Kind::Poison && of_it(*number);
        (0..events).filter(good).count()
    }

    pub(super) fn inventory_updates(&self) -> usize {
        Self::good(self.kafka, |number| !is_logged(number))
    }

    pub(super) fn logged(&self) -> usize {
        Self::good(self.kafka, is_logged) + Self::good(self.webhooks, |_| true)
    }

    pub(super) fn orders(&self) -> usize {
        Self::good(self.sqs, |_| true)
    }

    pub(super) fn poison(&self) -> usize {
        self.workflows() - self.inventory_updates() - self.logged() - self.orders()
    }

    pub(super) async fn send_to_kafka(&self, kafka: &Kafka) {
        let producer = &kafka.producer();
        let sends = (0..self.kafka).flat_map(|number| {
            let (topic, body) = match (kind(number), is_logged(number)) {
                (Kind::Poison, true) => (EVENTS, format!("poison-{number}")),
                (Kind::Poison, false) => (INVENTORY, r#"{"product_id": 7}"#.to_owned()),
                (_, true) => (EVENTS, json!({ "event_type": "greeting" }).to_string()),
                (_, false) => {
                    let product = format!("p{}", number % PRODUCTS);
                    let update = json!({ "product_id": product, "quantity_change": 1 });
                    (INVENTORY, update.to_string())
                }
            };
            let times = if kind(number) == Kind::Twice { 2 } else { 1 };
            let send = move |_| {
                let body = body.clone();
                async move { kafka::send(producer, topic, &number.to_string(), &body).await }
            };
            (0..times).map(send)
        });
        stream::iter(sends)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    pub(super) async fn send_to_sqs(&self, orders: &Orders) {
        let bodies = (0..self.sqs).flat_map(|number| {
            let order = json!({
                "order_id": format!("o-{number}"), "customer_id": "ann",
                "items": [{ "product_id": "widget", "quantity": 1 }],
            });
            match kind(number) {
                Kind::Poison => vec![format!("poison-{number}")],
                Kind::Twice => vec![order.to_string(), order.to_string()],
                Kind::Good => vec![order.to_string()],
            }
        });
        for bodies in bodies.collect::<Vec<_>>().chunks(10) {
            orders.send(bodies).await;
        }
    }
}

/// The queue of orders.
pub(super) struct Orders {
    client: Client,
    pub(super) url: String,
}

impl Orders {
    pub(super) async fn queue(endpoint: &str) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(super::fleet::REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url(endpoint);
        let client = Client::from_conf(config.build());
        let queue = client
            .create_queue()
            .queue_name(format!("orders-{}", std::process::id()))
            .attributes(Name::VisibilityTimeout, HIDDEN_S);
        let url = queue.send().await.unwrap().queue_url.unwrap();
        Self { client, url }
    }

    async fn send(&self, bodies: &[String]) {
        let entries = bodies.iter().enumerate().map(|(index, body)| {
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string());
            entry.message_body(body).build().unwrap()
        });
        let batch = self.client.send_message_batch().queue_url(&self.url);
        let sent = batch.set_entries(Some(entries.collect())).send().await;
        assert!(sent.unwrap().failed.is_empty());
    }

    /// Everything is acknowledged, in the end.
    pub(super) async fn is_empty(&self) {
        let empty = async {
            while self.held().await > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, empty)
            .await
            .expect("messages stay");
    }

    async fn held(&self) -> u32 {
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let counts = asked.attribute_names(Name::All).send().await.unwrap();
        let counts = counts.attributes.unwrap();
        let count = |name| counts[&name].parse::<u32>().unwrap();
        count(Name::ApproximateNumberOfMessages)
            + count(Name::ApproximateNumberOfMessagesNotVisible)
    }
}
