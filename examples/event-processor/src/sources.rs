//! Which source starts which workflow.

use stepwell::{
    App, Error,
    events::Sources,
    kafka::Kafka,
    sqs::Sqs,
    webhooks::{GitHub, Hmac, IdFrom, Provider, Stripe},
};

use crate::{config::Config, events, inventory, orders, processor::Processor};

/// The consumer group of all processes of this application.
const GROUP: &str = "event-processor";

/// The sources that are set.
///
/// # Errors
/// If one is set as it cannot be.
pub async fn sources(app: &App<Processor>, config: &Config) -> Result<Sources<Processor>, Error> {
    let mut sources = Sources::new(app);
    if let Some(secret) = &config.stripe_secret {
        let stripe = Stripe::new(secret)?.at("/webhooks/stripe");
        sources = sources.add(stripe, events::process)?;
    }
    if let Some(secret) = &config.github_secret {
        let github = GitHub::new(secret)?.at("/webhooks/github");
        sources = sources.add(github, events::process)?;
    }
    if let Some(secret) = &config.partner_secret {
        // Whoever has no scheme of their own: the body's signature, and what it is, in headers.
        let id = IdFrom::Header("X-Event-Id".to_owned());
        let partner = Hmac::new("partner", secret, "X-Signature", id)?.kind_header("X-Event-Type");
        sources = sources.add(partner.at("/webhooks/partner"), events::process)?;
    }
    if let Some(brokers) = &config.kafka_brokers {
        let kafka = |topic: &str| {
            let kafka = Kafka::new(brokers)
                .group(GROUP)
                .topic(topic)
                .kind_header("event-type")
                // A producer that gives its events an id may send them twice. Otherwise topic, partition
                // and offset tell them apart.
                .identity(|message| message.attribute("event-id").map(str::to_owned))
                // For brokers that were started a moment ago and have no topics yet.
                .set("allow.auto.create.topics", "true");
            let settings = config.kafka_settings.iter();
            settings.fold(kafka, |kafka, (name, value)| kafka.set(name, value))
        };
        sources = sources.add(kafka("events"), events::process)?.add(
            kafka("inventory-updates").named("inventory"),
            inventory::update,
        )?;
    }
    if let Some(queue_url) = &config.orders_queue_url {
        let aws = aws_config::load_from_env().await;
        let client = aws_sdk_sqs::Client::new(&aws);
        sources = sources.add(Sqs::new(client, queue_url), orders::order)?;
    }
    Ok(sources)
}
