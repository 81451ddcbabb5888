//! [`Kafka`]: what to consume, and how.

use std::{fmt, sync::Arc};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, consumer::Consumer as _, error::KafkaError};
use stepwell_core::{Client, Error, ErrorKind, Workflow};
use stepwell_events::{Connected, Delivery, Intake, Source};

use crate::consume::{Consumer, Context, consume};

/// How many messages are accepted in one commit unless said otherwise.
const BATCH: usize = 500;

/// How often a consumer says how far behind it is unless said otherwise, in milliseconds.
const STATISTICS_MS: &str = "15000";

/// What this crate sets by itself: its promise stands on it.
const OURS: [&str; 5] = [
    "bootstrap.servers",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
];

/// Topics of a Kafka cluster, consumed as a member of a group.
#[derive(Clone)]
pub struct Kafka {
    pub(crate) source: String,
    brokers: String,
    group: String,
    topics: Vec<String>,
    pub(crate) batch: usize,
    settings: Vec<(String, String)>,
    pub(crate) kind_header: Option<String>,
    pub(crate) identity: Option<Identity>,
}

/// What tells an event from others, of messages that say it themselves.
pub(crate) type Identity = Arc<dyn Fn(&Delivery) -> Option<String> + Send + Sync>;

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names alone: a value may be a password, also under a name that is misspelt.
        let settings = self.settings.iter().map(|(name, _)| name);
        f.debug_struct("Kafka")
            .field("source", &self.source)
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("settings", &settings.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// The cluster of these brokers: `host:port`, several with commas between.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            source: "kafka".to_owned(),
            brokers: brokers.into(),
            group: String::new(),
            topics: Vec::new(),
            batch: BATCH,
            settings: Vec::new(),
            kind_header: None,
            identity: None,
        }
    }

    /// The consumer group. Its members share the partitions of the topics.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Consumes this topic, too.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Names the source, where one application consumes from several clusters: their messages'
    /// coordinates could be the same. A topic that was deleted and made again needs another name as well,
    /// or what is new at old offsets is kept as poison.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.source = name.into();
        self
    }

    /// How many messages are accepted in one commit at most; 500 unless said otherwise. Large ones are
    /// fewer: a batch is full with [`BATCH_BYTES`](stepwell_events::BATCH_BYTES), too. Two batches are in
    /// memory. A batch does not wait to be full.
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.batch = messages;
        self
    }

    /// The header that says what happened: `ce_type`.
    #[must_use]
    pub fn kind_header(mut self, name: impl Into<String>) -> Self {
        self.kind_header = Some(name.into());
        self
    }

    /// Takes the event's id from the message, where producers give it one and may send it twice. None, or
    /// an empty one, is its topic, partition and offset.
    ///
    /// With an id of its own a message is the one that had it before, whatever else it holds. A message
    /// that `identity` panics at is [`Poison`](stepwell_events::Poison).
    #[must_use]
    pub fn identity(
        mut self,
        identity: impl Fn(&Delivery) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.identity = Some(Arc::new(identity));
        self
    }

    /// Sets a [property of librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md):
    /// `security.protocol`, `sasl.password`, `auto.offset.reset` (which is `earliest` unless said
    /// otherwise).
    #[must_use]
    pub fn set(mut self, property: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((property.into(), value.into()));
        self
    }

    fn check(&self) -> Result<(), Error> {
        let problem = if self.group.is_empty() {
            "has no group; add `.group(\"…\")`".to_owned()
        } else if self.topics.is_empty() {
            "has no topic; add `.topic(\"…\")`".to_owned()
        } else if self.batch == 0 {
            "has batches of 0 messages; set at least 1".to_owned()
        } else if let Some((name, _)) = self.settings.iter().find(|(name, _)| is_ours(name)) {
            format!("sets `{name}`, which is not free; remove it")
        } else {
            return Ok(());
        };
        Err(self.refused(&problem))
    }

    fn refused(&self, problem: &str) -> Error {
        let message = format!("the Kafka source `{}` {problem}", self.source);
        Error::new(ErrorKind::Setup, message)
    }

    /// What librdkafka says, without the values of settings: one of them may be a password, also under a
    /// name that is misspelt.
    fn reason(&self, error: &KafkaError) -> String {
        let mut said = match error {
            KafkaError::ClientConfig(_, reason, name, _) => {
                let is_name = !name.contains(['@', '/', ':']);
                format!("`{}`: {reason}", if is_name { name } else { "…" })
            }
            other => other.to_string(),
        };
        for (_, value) in &self.settings {
            if !value.is_empty() {
                said = said.replace(value.as_str(), "…");
            }
        }
        said
    }

    fn consumer(&self, observed: Option<Client>) -> Result<Consumer, Error> {
        self.check()?;
        let mut config = ClientConfig::new();
        config.set("auto.offset.reset", "earliest");
        // How far behind it is, is told by the statistics.
        config.set("statistics.interval.ms", STATISTICS_MS);
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        let context = Context::new(self.source.clone(), observed);
        let consumer: Consumer = config
            .create_with_context(context)
            .map_err(|error| self.refused(&format!("cannot be set up: {}", self.reason(&error))))?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&topics)
            .map_err(|error| self.refused(&format!("cannot subscribe to {topics:?}: {error}")))?;
        Ok(consumer)
    }
}

fn is_ours(name: &str) -> bool {
    OURS.contains(&name)
}

impl<W: Workflow> Source<W> for Kafka {
    fn name(&self) -> &str {
        &self.source
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        // The client connects by itself, again and again: brokers that are away are waited for.
        let consumer = Arc::new(self.consumer(Some(intake.app().client().clone()))?);
        Ok(Connected::Consumer(Box::pin(async move {
            consume(consumer, self, intake).await;
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let kafka = || Kafka::new("localhost:9092").group("g").topic("t");
        for (kafka, said) in [
            (Kafka::new("localhost:9092").topic("t"), "no group"),
            (Kafka::new("localhost:9092").group("g"), "no topic"),
            (kafka().batch(0), "0 messages"),
            (
                kafka().set("enable.auto.commit", "true"),
                "`enable.auto.commit`",
            ),
            (kafka().set("no.such.property", "1"), "no.such.property"),
        ] {
            let error = kafka.consumer(None).map(drop).expect_err("it was set up");
            assert_eq!(error.kind(), ErrorKind::Setup);
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    /// Ways to sign in that brokers ask for: librdkafka refuses what it was built without.
    #[cfg(feature = "ssl")]
    #[tokio::test]
    async fn encrypted_connections_and_every_way_to_sign_in_over_them_can_be_set_up() {
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let kafka = Kafka::new("localhost:9092")
                .group("g")
                .topic("t")
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", "shop")
                .set("sasl.password", "hunter2");
            drop(kafka.consumer(None).expect(mechanism));
        }
        let kafka = Kafka::new("localhost:9092").group("g").topic("t");
        drop(
            kafka
                .set("security.protocol", "ssl")
                .consumer(None)
                .unwrap(),
        );
    }

    #[test]
    fn no_error_shows_a_setting() {
        for name in [
            "sasl.pasword",
            "ssl.key.pasword",
            "security.protocol",
            "a:b@c",
        ] {
            let kafka = Kafka::new("localhost:9092")
                .group("g")
                .topic("t")
                .set(name, "hunter2");
            let error = kafka.consumer(None).map(drop).expect_err("it was set up");
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2"), "{said}");
            assert!(said.contains(name) || name.contains('@'), "{said}");
        }
    }

    #[test]
    fn no_value_of_a_setting_is_printed() {
        let secrets = ["sasl.password", "sasl.pasword", "sasl.oauthbearer.config"];
        let kafka = secrets
            .iter()
            .fold(Kafka::new("b"), |kafka, name| kafka.set(*name, "hunter2"));
        let printed = format!("{kafka:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(
            secrets.iter().all(|name| printed.contains(name)),
            "{printed}"
        );
    }
}
