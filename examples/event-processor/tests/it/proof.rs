//! All sources at once, while everything is killed: each event is processed exactly once, each poison one
//! is kept, and none is lost. `STEPWELL_EVENTS` says how many Kafka messages there are; of the others a
//! tenth.

mod fleet;
mod kafka;
mod load;
mod truth;
mod webhooks;

use std::{
    env,
    io::Write as _,
    time::{Duration, Instant},
};

use scratch::Database;

use fleet::Fleet;
use kafka::Kafka;
use load::{Load, Orders};
use truth::Truth;

/// How many messages come through Kafka unless said otherwise.
const EVENTS: usize = 500;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// How many processes share the work.
const MEMBERS: usize = 2;

/// What is needed beside a database. None, and a line that says so, without it.
fn needed(variable: &str, wrapper: &str) -> Option<String> {
    let named = env::var(variable).ok();
    if named.is_none() {
        // Not `eprintln!`: what passes must not hide what was left out.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {variable} is not set; run tests/with-postgres {wrapper} cargo test \
             -p event-processor proof"
        );
    }
    named
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_processed_exactly_once() {
    let (Some(sqs), Some(signers)) = (
        needed("STEPWELL_TEST_SQS", "tests/with-sqs tests/with-signers"),
        needed("STEPWELL_TEST_SIGNERS", "tests/with-sqs tests/with-signers"),
    ) else {
        return;
    };
    let Some(database) = Database::new("proof") else {
        return;
    };
    let events = env::var("STEPWELL_EVENTS").ok();
    let load = Load::of(events.map_or(EVENTS, |events| events.parse().unwrap()));
    let begun = Instant::now();
    let kafka = Kafka::start().await;
    let orders = Orders::queue(&sqs).await;
    let truth = Truth::open(database.url()).await;
    let mut fleet = Fleet::new(database.url(), &kafka.brokers(), &sqs, &orders.url);
    for _ in 0..MEMBERS {
        fleet.add().await;
    }
    let addresses = fleet.addresses();
    let sending = async {
        tokio::join!(
            load.send_to_kafka(&kafka),
            load.send_to_sqs(&orders),
            webhooks::send(&load, &signers, &addresses),
        );
    };
    let trouble = async {
        // Each when so much of all is done: the next kill meets what the last one has left.
        for (number, percent) in [10, 25, 40, 55, 70, 85].into_iter().enumerate() {
            truth.reaches(load.workflows() * percent / 100).await;
            match number % 3 {
                0 => fleet.kill_one().await,
                1 => kafka.kill().await,
                _ => fleet.replace_one().await,
            }
        }
        fleet
    };
    let all = async { tokio::join!(sending, trouble).1 };
    let fleet = tokio::time::timeout(PATIENCE, all).await;
    let fleet = fleet.expect("it takes too long");
    let done = tokio::time::timeout(PATIENCE, truth.reaches(load.workflows()));
    done.await.expect("it takes too long");
    // What came twice is looked at twice, perhaps by the next after a kill.
    kafka.is_consumed().await;
    orders.is_empty().await;
    let counts = truth.holds(&load, &fleet).await;
    let _ = writeln!(
        std::io::stderr(),
        "proof: {load} in {:.0?}; {fleet}; {kafka}; in the database and in the metrics: {counts:?}",
        begun.elapsed()
    );
}
