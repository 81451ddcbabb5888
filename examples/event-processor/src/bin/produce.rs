//! Sends a message to a topic, for trying out:
//! `cargo run -p event-processor --bin produce -- inventory-updates '{…}' [event-id]`

use std::{env, process::ExitCode, time::Duration};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use stepwell::{Failure, bail};

/// How long the brokers may take to keep a message.
const SENT_WITHIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let sent = match arguments.as_slice() {
        [topic, message] => send(topic, message, None).await,
        [topic, message, event_id] => send(topic, message, Some(event_id)).await,
        _ => {
            eprintln!("usage: KAFKA_BROKERS=host:port produce TOPIC MESSAGE [EVENT-ID]");
            return ExitCode::from(2);
        }
    };
    match sent {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn send(topic: &str, message: &str, event_id: Option<&str>) -> stepwell::Result<()> {
    let Ok(brokers) = env::var("KAFKA_BROKERS") else {
        bail!("KAFKA_BROKERS is not set; write KAFKA_BROKERS=host:port")
    };
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    // What the producer itself sends again is one message.
    config.set("enable.idempotence", "true");
    let producer: FutureProducer = config.create()?;
    let mut record = FutureRecord::<str, str>::to(topic).payload(message);
    if let Some(value) = event_id {
        let header = Header {
            key: "event-id",
            value: Some(value),
        };
        record = record.headers(OwnedHeaders::new().insert(header));
    }
    let sent = producer.send(record, SENT_WITHIN).await;
    let sent = sent.map_err(|(error, _)| Failure::from(error))?;
    eprintln!(
        "{topic}, partition {}, offset {}",
        sent.partition, sent.offset
    );
    Ok(())
}
