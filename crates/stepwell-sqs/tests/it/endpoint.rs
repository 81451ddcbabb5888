//! Queues of the endpoint, and applications that consume from them.

use std::{path::Path, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
    types::{MessageAttributeValue, QueueAttributeName},
};
use stepwell::{
    App, Call, Ctx, State, Workflow,
    events::{Consumers, Delivery, Sources},
    sqs::Sqs,
    store::Filter,
    workflow,
};

/// How long something may take, at worst.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) url: String,
}

pub(crate) fn client() -> Client {
    let endpoint = std::env::var("STEPWELL_TEST_SQS")
        .expect("STEPWELL_TEST_SQS is not set; run the tests by `tests/with-sqs cargo test`");
    client_of(&endpoint)
}

pub(crate) fn client_of(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

impl Queue {
    /// A queue whose messages are hidden for so many seconds when they were received.
    pub(crate) async fn new(name: &str, hidden_s: u32) -> Self {
        let client = client();
        let made = client.create_queue().queue_name(name);
        let made = made.attributes(QueueAttributeName::VisibilityTimeout, hidden_s.to_string());
        let made = if name.ends_with(".fifo") {
            made.attributes(QueueAttributeName::FifoQueue, "true")
        } else {
            made
        };
        let url = made.send().await.unwrap().queue_url.unwrap();
        Self { client, url }
    }

    pub(crate) fn sqs(&self) -> Sqs {
        Sqs::new(self.client.clone(), &self.url)
    }

    /// Sends a message, and returns its id.
    pub(crate) async fn send(&self, body: &str) -> String {
        let kind = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("placed");
        let sent = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        let sent = sent.message_attributes("type", kind.build().unwrap());
        sent.send().await.unwrap().message_id.unwrap()
    }

    /// How many messages are there, hidden ones included.
    pub(crate) async fn count(&self) -> u32 {
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let asked = asked
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let attributes = asked.attributes.unwrap();
        let count = |name| attributes[&name].parse::<u32>().unwrap();
        count(QueueAttributeName::ApproximateNumberOfMessages)
            + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
    }

    pub(crate) async fn wait_until_empty(&self) {
        let empty = async {
            while self.count().await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, empty)
            .await
            .expect("messages stay");
    }
}

#[workflow]
pub(crate) async fn handle(_ctx: &mut Ctx, number: u32) -> stepwell::Result<u32> {
    Ok(number)
}

pub(crate) fn number(delivery: &Delivery) -> Result<Call<handle>, String> {
    delivery
        .json()
        .map(handle)
        .map_err(|error| error.to_string())
}

pub(crate) async fn app(path: &Path) -> App {
    let url = format!("sqlite:{}", path.display());
    App::builder("sqs").database(url).launch().await.unwrap()
}

pub(crate) fn consuming<W: Workflow<State = ()>>(
    app: &App,
    sqs: Sqs,
    map: impl Fn(&Delivery) -> Result<Call<W>, String> + Send + Sync + 'static,
) -> Consumers {
    Sources::new(app).add(sqs, map).unwrap().start()
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
