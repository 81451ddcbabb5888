//! How many messages a queue holds.

use std::{convert::Infallible, time::Duration};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use stepwell_core::{Workflow, observe::Observation};
use stepwell_events::Intake;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use crate::{
    Sqs,
    requests::{ANSWERS_WITHIN, in_time},
};

/// How often the queue is asked.
const EVERY: Duration = Duration::from_secs(15);

/// Waiting, and received by somebody who has not deleted them.
const HELD: [Name; 2] = [
    Name::ApproximateNumberOfMessages,
    Name::ApproximateNumberOfMessagesNotVisible,
];

/// Tells observers how many messages the queue holds.
pub(crate) async fn watch<W: Workflow>(sqs: &Sqs, intake: &Intake<W>) -> Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(events) = held(sqs).await {
            intake.app().client().observe(&Observation::Lag {
                source: &sqs.source,
                part: queue_name(&sqs.queue_url),
                events,
            });
        }
    }
}

/// None if SQS does not say: that takes the right `sqs:GetQueueAttributes`, which consuming does not.
async fn held(sqs: &Sqs) -> Option<u64> {
    let request = sqs.client.get_queue_attributes().queue_url(&sqs.queue_url);
    let request = request.set_attribute_names(Some(HELD.to_vec())).send();
    let answer = in_time(ANSWERS_WITHIN, request).await;
    let answer = answer.map_err(|error| {
        debug!(source = sqs.source, error, "could not count messages");
    });
    let counts = answer.ok()?.attributes?;
    let count = |name| counts.get(name)?.parse::<u64>().ok();
    HELD.iter().map(count).sum()
}

/// The last part of a URL.
fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
