//! What a message says.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System};
use jiff::Timestamp;
use stepwell_events::{Delivery, Repeats};

use crate::{Sqs, sqs::Identity};

/// A message, and what it is deleted by.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) delivery: Delivery,
    pub(crate) receipt: String,
}

impl Received {
    /// None for what is no message: SQS gives each of them an id and a receipt.
    pub(crate) fn read(sqs: &Sqs, message: &Message) -> Option<Self> {
        let system = |name: System| message.attributes()?.get(&name).cloned();
        let given = match sqs.identity {
            Identity::Message => None,
            Identity::Deduplication => system(System::MessageDeduplicationId),
        };
        let (id, repeats) = match given {
            Some(id) => {
                let group = system(System::MessageGroupId);
                (in_group(group.as_deref(), &id), Repeats::InOtherWords)
            }
            None => (message.message_id()?.to_owned(), Repeats::Alike),
        };
        let body = message.body().unwrap_or_default().to_owned();
        let sent_at = system(System::SentTimestamp).and_then(|at| at.parse().ok());
        let mut delivery = Delivery {
            key: system(System::MessageGroupId),
            at: sent_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            attributes: attributes(message),
            repeats,
            ..Delivery::new(sqs.source.as_str(), id, body)
        };
        if let Some(name) = &sqs.kind_attribute {
            delivery.kind = delivery.attribute(name).map(str::to_owned);
        }
        Some(Self {
            delivery,
            receipt: message.receipt_handle()?.to_owned(),
        })
    }
}

/// A queue may tell messages apart by their groups and ids (`DeduplicationScope` is `messageGroup`), so
/// both are the event's id. Neither can hold a blank ([SendMessage]).
///
/// [SendMessage]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
fn in_group(group: Option<&str>, id: &str) -> String {
    match group {
        Some(group) => format!("{group} {id}"),
        None => id.to_owned(),
    }
}

/// Those that are text or a number, in the order of their names.
fn attributes(message: &Message) -> Vec<(String, String)> {
    let attributes = message.message_attributes().into_iter().flatten();
    let mut attributes: Vec<(String, String)> = attributes
        .filter_map(|(name, value)| Some((name.clone(), value.string_value()?.to_owned())))
        .collect();
    attributes.sort();
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a queue deduplicates within a group, they are two events.
    #[test]
    fn one_deduplication_id_in_two_groups_is_two_events() {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version_latest()
            .build();
        let sqs = Sqs::new(aws_sdk_sqs::Client::from_conf(config), "queue");
        let sqs = sqs.by_deduplication_id();
        let id = |group: Option<&str>| {
            let message = Message::builder()
                .message_id("m-1")
                .receipt_handle("r")
                .attributes(System::MessageDeduplicationId, "1")
                .set_attributes(group.map(|group| {
                    let given = [
                        (System::MessageDeduplicationId, "1".to_owned()),
                        (System::MessageGroupId, group.to_owned()),
                    ];
                    given.into()
                }));
            Received::read(&sqs, &message.build()).unwrap().delivery.id
        };
        assert_eq!([id(Some("ann")), id(Some("bob"))], ["ann 1", "bob 1"]);
    }
}
