//! Messages of Kafka, accepted and processed: a batch in a commit, beside the same consumer with a
//! commit for each message.
//!
//! The brokers are librdkafka's mock cluster in this process, or those that `STEPWELL_TEST_KAFKA` names;
//! the consumer is another process.

use std::{env, process::Command, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use tokio::runtime::Handle;

use crate::{
    Size,
    consumer::Consumed,
    driver::Error,
    field::{Entry, Field, Place},
    table::{Goal, Spread, Table},
};

const PARTITIONS: i32 = 4;
/// How many messages become one commit.
const BATCHES: [u32; 3] = [1, 50, 500];
/// How many times as many messages a batch of 500 brings as one of 1.
const TARGET: f64 = 5.0;
const PATIENCE: Duration = Duration::from_secs(60);

struct Brokers {
    address: String,
    producer: FutureProducer,
    /// None where the brokers are real.
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Brokers {
    fn start() -> Result<Self, Error> {
        let (address, mock) = match env::var("STEPWELL_TEST_KAFKA") {
            Ok(address) => (address, None),
            Err(_) => {
                let mock = MockCluster::new(1)?;
                (mock.bootstrap_servers(), Some(mock))
            }
        };
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &address)
            .set("linger.ms", "20")
            .create()?;
        Ok(Self {
            address,
            producer,
            mock,
        })
    }

    fn name(&self) -> &'static str {
        match self.mock {
            Some(_) => "librdkafka's mock cluster in the measuring process",
            None => "the brokers that STEPWELL_TEST_KAFKA names",
        }
    }

    async fn make(&self, topic: &str) -> Result<(), Error> {
        if let Some(mock) = &self.mock {
            return Ok(mock.create_topic(topic, PARTITIONS, 1)?);
        }
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .create()?;
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        for made in admin.create_topics(&[new], &AdminOptions::new()).await? {
            made.map_err(|(topic, error)| format!("topic {topic}: {error}"))?;
        }
        Ok(())
    }

    /// A new topic with so many messages.
    async fn fill(&self, topic: &str, messages: usize) -> Result<(), Error> {
        self.make(topic).await?;
        let bodies: Vec<String> = (0..messages).map(|number| number.to_string()).collect();
        let sends = bodies.iter().enumerate().map(|(number, body)| {
            let partition = i32::try_from(number % 4).unwrap_or_default();
            let record = FutureRecord::<(), str>::to(topic).payload(body);
            self.producer.send(record.partition(partition), PATIENCE)
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.map_err(|(error, _)| error)?;
        }
        Ok(())
    }
}

pub(crate) fn measure(table: &mut Table, size: Size, field: &Field<'_>) -> Result<(), Error> {
    let brokers = Brokers::start()?;
    table.note("Kafka", brokers.name());
    let mut places = vec![Place::Sqlite];
    if field.postgres().is_some() {
        places.push(Place::Postgres);
    }
    for place in places {
        on(table, size, field, (place, &brokers))?;
    }
    Ok(())
}

fn on(
    table: &mut Table,
    size: Size,
    field: &Field<'_>,
    (place, brokers): (Place, &Brokers),
) -> Result<(), Error> {
    let name = Entry::Stepwell(place).name();
    let mut consumer = field.start_consumer(place)?;
    let mut rounds: Vec<Vec<(usize, Consumed)>> = BATCHES.iter().map(|_| Vec::new()).collect();
    // The first round warms it up.
    for round in 0..=size.rounds() {
        for (batch, rounds) in BATCHES.into_iter().zip(&mut rounds) {
            let messages = messages(size, batch);
            let topic = format!("bench-{}-{place:?}-{round}-{batch}", std::process::id());
            Handle::current().block_on(brokers.fill(&topic, messages))?;
            let command = format!("consume {} {topic} {batch} {messages}", brokers.address);
            let consumed = consumer.ask(&command)?;
            if round > 0 {
                rounds.push((messages, consumed));
            }
        }
    }
    report(table, name, &rounds);
    Ok(())
}

/// Enough for some seconds.
fn messages(size: Size, batch: u32) -> usize {
    match (size, batch) {
        (Size::Quick, _) => 100,
        (Size::Full, 1) => 2_000,
        (Size::Full, _) => 10_000,
    }
}

fn report(table: &mut Table, name: &str, rounds: &[Vec<(usize, Consumed)>]) {
    let rates: Vec<Spread> = rounds
        .iter()
        .map(|rounds| speed(rounds, |it| it.seconds))
        .collect();
    for ((batch, rounds), rate) in BATCHES.iter().zip(rounds).zip(&rates) {
        let median = |of: fn(&Consumed) -> f64| {
            Spread::of(rounds.iter().map(|(_, consumed)| of(consumed)).collect()).median
        };
        let accepting = speed(rounds, |it| it.accepting_seconds).median;
        let (p50, p99) = (median(|it| it.p50_ms), median(|it| it.p99_ms));
        let cpu = median(|it| it.cpu_us_per_message);
        let what = format!(
            "{rate} messages/s, accepted {accepting:.0}/s, accept → done p50 {p50:.1} ms, p99 {p99:.1} ms, {cpu:.0} µs of CPU each"
        );
        let row = format!("{name}: Kafka, {batch} in a commit");
        match rates.first().filter(|_| *batch == 500) {
            Some(alone) => {
                let times = rate.median / alone.median;
                let what = format!("{times:.1} times as many: {what}");
                table.ratio(row, what, Goal::AtLeast(times, TARGET));
            }
            None => table.row(row, what),
        }
    }
}

fn speed(rounds: &[(usize, Consumed)], seconds: fn(&Consumed) -> f64) -> Spread {
    let rates = rounds
        .iter()
        .map(|(messages, consumed)| *messages as f64 / seconds(consumed));
    Spread::of(rates.collect())
}

/// Our own program as a consumer: workflows in one database, what they do in another one.
pub(crate) fn command(workflows: &str, users: &str) -> Result<Command, Error> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--serve-consumer", workflows, users]);
    Ok(command)
}
