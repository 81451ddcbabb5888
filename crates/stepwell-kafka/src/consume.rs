//! Fetch, accept, commit.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::FutureExt;
use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    consumer::{
        BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
    },
    error::{KafkaError, KafkaResult},
};
use stepwell_core::{Client, Workflow, observe::Observation};
use stepwell_events::Intake;
use tracing::{debug, info, warn};

use crate::{
    Kafka,
    batch::{Batch, Fetched, Place, behind},
};

/// The pause after the client has reported an error. It goes on by itself.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// How long a full batch waits until the partitions are paused. Far below `max.poll.interval.ms` (five
/// minutes), after which a member is taken for dead.
const PAUSE_AFTER: Duration = Duration::from_secs(1);

pub(crate) type Consumer = StreamConsumer<Context>;

/// Hears of rebalances and commits, and how far behind the group is.
#[derive(Debug)]
pub(crate) struct Context {
    source: String,
    /// Whom to tell.
    observed: Option<Client>,
}

impl Context {
    pub(crate) fn new(source: String, observed: Option<Client>) -> Self {
        Self { source, observed }
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let Some(client) = &self.observed else {
            return;
        };
        for (name, topic) in &statistics.topics {
            for (number, partition) in &topic.partitions {
                // What this member does not have, or has not asked for yet, has none.
                let Ok(events) = u64::try_from(partition.consumer_lag) else {
                    continue;
                };
                client.observe(&Observation::Lag {
                    source: &self.source,
                    part: &format!("{name}-{number}"),
                    events,
                });
            }
        }
    }
}

impl ConsumerContext for Context {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let source = &self.source;
        match rebalance {
            Rebalance::Assign(partitions) => {
                let partitions = listed(partitions);
                info!(source, partitions, "partitions were assigned");
            }
            Rebalance::Revoke(partitions) => {
                let partitions = listed(partitions);
                info!(source, partitions, "partitions were taken back");
            }
            Rebalance::Error(error) => warn!(
                source,
                error = error.to_string(),
                "partitions could not be shared out"
            ),
        }
    }

    fn commit_callback(&self, committed: KafkaResult<()>, _: &TopicPartitionList) {
        // What was not committed comes again, and finds its workflows.
        if let Err(error) = committed {
            warn!(
                source = self.source,
                error = error.to_string(),
                "offsets could not be committed"
            );
        }
    }
}

/// `orders-0, orders-1`.
fn listed(partitions: &TopicPartitionList) -> String {
    let elements = partitions.elements();
    let names = elements
        .iter()
        .map(|at| format!("{}-{}", at.topic(), at.partition()));
    names.collect::<Vec<_>>().join(", ")
}

/// Consumes until the application stops.
pub(crate) async fn consume<W: Workflow>(consumer: Arc<Consumer>, kafka: Kafka, intake: Intake<W>) {
    let mut ahead = Ahead {
        consumer: &consumer,
        kafka: &kafka,
        batch: Batch::default(),
        paused: false,
    };
    let mut done = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = intake.stopping() => break,
            () = ahead.wait() => {}
        }
        let (deliveries, places) = ahead.batch.take();
        // The next ones are fetched meanwhile, which also tells the group that this member is alive.
        let accepted = tokio::select! {
            biased;
            accepted = intake.accept_all(&deliveries) => accepted,
            never = ahead.fetch() => match never {},
        };
        if accepted.is_err() {
            break;
        }
        ahead.go_on();
        commit(&consumer, &places, CommitMode::Async);
        done = places;
    }
    // Leaving the group waits for the brokers.
    let leaving = tokio::task::spawn_blocking(move || {
        commit(&consumer, &done, CommitMode::Sync);
        drop(consumer);
    });
    if let Err(error) = leaving.await {
        warn!(
            error = error.to_string(),
            "the consumer could not leave its group"
        );
    }
}

/// What was fetched and is not handed in yet.
struct Ahead<'a> {
    consumer: &'a Consumer,
    kafka: &'a Kafka,
    batch: Batch,
    paused: bool,
}

impl Ahead<'_> {
    /// Waits for a message, and takes those that are there with it.
    async fn wait(&mut self) {
        if self.batch.is_empty() {
            self.fetch_one().await;
        }
        while !self.batch.is_full(self.kafka.batch) && self.fetch_one().now_or_never().is_some() {}
    }

    /// Fetches for ever. When a batch is full, and nobody takes it for a while, the partitions are paused:
    /// a member that does not ask for messages would be taken for dead. Not at once: librdkafka throws
    /// away what it has fetched of a partition that is paused, and fetches it anew.
    async fn fetch(&mut self) -> Infallible {
        loop {
            if self.batch.is_full(self.kafka.batch) {
                tokio::time::sleep(PAUSE_AFTER).await;
                self.pause();
            }
            self.fetch_one().await;
        }
    }

    /// Cancelled while it waits, it has taken nothing.
    async fn fetch_one(&mut self) {
        match self.consumer.recv().await {
            Ok(message) => self.batch.push(Fetched::read(self.kafka, &message)),
            Err(error) => {
                warn!(
                    source = self.kafka.source,
                    error = error.to_string(),
                    "Kafka reports trouble"
                );
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }

    /// Also when they are paused: a rebalance may have brought others.
    fn pause(&mut self) {
        let paused = self.consumer.assignment();
        let paused = paused.and_then(|mine| self.consumer.pause(&mine));
        self.paused = true;
        self.heed("pause", paused);
    }

    fn go_on(&mut self) {
        if std::mem::take(&mut self.paused) {
            let resumed = self.consumer.assignment();
            let resumed = resumed.and_then(|mine| self.consumer.resume(&mine));
            self.heed("resume", resumed);
        }
    }

    /// It matters to memory or to speed only.
    fn heed(&self, what: &str, done: Result<(), KafkaError>) {
        if let Err(error) = done {
            debug!(
                source = self.kafka.source,
                error = error.to_string(),
                "could not {what} the partitions"
            );
        }
    }
}

/// Lets the group go on behind a batch that is durable.
fn commit(consumer: &Consumer, batch: &[Place], mode: CommitMode) {
    let committed = consumer.assignment().and_then(|mine| {
        let offsets = behind(batch, &mine)?;
        match offsets.count() {
            0 => Ok(()),
            _ => consumer.commit(&offsets, mode),
        }
    });
    if let Err(error) = committed {
        warn!(
            source = consumer.context().source,
            error = error.to_string(),
            "offsets could not be committed"
        );
    }
}
