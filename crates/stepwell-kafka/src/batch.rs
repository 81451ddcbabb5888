//! What was fetched, and which offsets it lets commit.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use jiff::Timestamp;
use rdkafka::{
    Message, TopicPartitionList,
    error::KafkaError,
    message::{BorrowedMessage, Headers},
    topic_partition_list::Offset,
};
use stepwell_events::{BATCH_BYTES, Delivery, Repeats};

use crate::{Kafka, kafka::Identity};

/// A message, and where it was.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) delivery: Delivery,
    pub(crate) at: Place,
}

/// Where a message was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    topic: String,
    partition: i32,
    offset: i64,
}

/// Messages that were fetched and are not handed in yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    fetched: Vec<Fetched>,
    /// Of their bodies.
    bytes: usize,
}

impl Batch {
    pub(crate) fn push(&mut self, fetched: Fetched) {
        self.bytes += fetched.delivery.body.len();
        self.fetched.push(fetched);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fetched.is_empty()
    }

    /// Whether it holds so many messages, or as many bytes as a batch may have.
    pub(crate) fn is_full(&self, messages: usize) -> bool {
        self.fetched.len() >= messages || self.bytes >= BATCH_BYTES
    }

    pub(crate) fn take(&mut self) -> (Vec<Delivery>, Vec<Place>) {
        let batch = std::mem::take(self);
        let fetched = batch.fetched.into_iter();
        fetched
            .map(|fetched| (fetched.delivery, fetched.at))
            .unzip()
    }
}

impl Fetched {
    pub(crate) fn read(kafka: &Kafka, message: &BorrowedMessage<'_>) -> Self {
        let at = Place {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
        };
        let mut delivery = Delivery {
            key: message
                .key()
                .map(|key| String::from_utf8_lossy(key).into_owned()),
            at: message
                .timestamp()
                .to_millis()
                .and_then(|at| Timestamp::from_millisecond(at).ok()),
            attributes: attributes(message, &at),
            ..Delivery::new(
                kafka.source.as_str(),
                format!("{}-{}-{}", at.topic, at.partition, at.offset),
                message.payload().unwrap_or_default().to_vec(),
            )
        };
        if let Some(name) = &kafka.kind_header {
            delivery.kind = delivery.attribute(name).map(str::to_owned);
        }
        if let Some(identity) = &kafka.identity {
            identify(&mut delivery, identity);
        }
        Self { delivery, at }
    }
}

/// Asks whoever consumes for the event's id. A panic there must not take the consumer along, which
/// would meet the same message again after each restart: the event is kept under its coordinates.
fn identify(delivery: &mut Delivery, identity: &Identity) {
    match catch_unwind(AssertUnwindSafe(|| identity(delivery))) {
        // A header without a value is no id: all such messages would have the same.
        Ok(Some(id)) if !id.is_empty() => {
            delivery.id = id;
            // A producer that sends it twice sends two messages, with coordinates of their own.
            delivery.repeats = Repeats::InOtherWords;
        }
        Ok(_) => {}
        Err(_) => delivery.unusable = Some("what names the event's id panicked".to_owned()),
    }
}

/// The coordinates, and the headers that are text.
fn attributes(message: &BorrowedMessage<'_>, at: &Place) -> Vec<(String, String)> {
    let mut attributes = vec![
        ("topic".to_owned(), at.topic.clone()),
        ("partition".to_owned(), at.partition.to_string()),
        ("offset".to_owned(), at.offset.to_string()),
    ];
    // A message without a body is not one with an empty body: it deletes its key.
    if message.payload().is_none() {
        attributes.push(("tombstone".to_owned(), "true".to_owned()));
    }
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    attributes.extend(headers.filter_map(|header| {
        let value = std::str::from_utf8(header.value?).ok()?;
        Some((header.key.to_owned(), value.to_owned()))
    }));
    attributes
}

/// Where the group goes on once these are durable: behind the last one of each partition.
///
/// They are in the order of each partition and without gaps, so that nothing before is left out.
///
/// # Errors
/// When the client refuses an offset, which it has handed out itself.
pub(crate) fn behind(
    batch: &[Place],
    mine: &TopicPartitionList,
) -> Result<TopicPartitionList, KafkaError> {
    let mut next: HashMap<(&str, i32), i64> = HashMap::new();
    for place in batch {
        let next = next.entry((&place.topic, place.partition)).or_default();
        *next = (*next).max(place.offset + 1);
    }
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        // What has gone to another member is that one's to commit.
        if mine.find_partition(topic, partition).is_some() {
            offsets.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str, partition: i32, offset: i64) -> Place {
        Place {
            topic: topic.to_owned(),
            partition,
            offset,
        }
    }

    #[test]
    fn a_batch_is_full_with_its_messages_or_with_their_bytes() {
        let fetched = |bytes: usize| Fetched {
            delivery: Delivery::new("kafka", "1", vec![0; bytes]),
            at: place("a", 0, 1),
        };
        let mut batch = Batch::default();
        batch.push(fetched(1));
        assert!(!batch.is_full(2));
        batch.push(fetched(1));
        assert!(batch.is_full(2) && !batch.is_full(3));
        batch.push(fetched(BATCH_BYTES - 3));
        assert!(!batch.is_full(4));
        batch.push(fetched(1));
        assert!(batch.is_full(5));
        assert_eq!(batch.take().0.len(), 4);
        assert!(batch.is_empty() && !batch.is_full(1));
    }

    #[test]
    fn the_group_goes_on_behind_the_last_of_each_partition_that_is_mine() {
        let mut mine = TopicPartitionList::new();
        mine.add_partition("a", 0);
        mine.add_partition("b", 0);
        let batch = [
            place("a", 0, 7),
            place("b", 0, 1),
            place("a", 0, 8),
            place("a", 1, 99),
            // Fetched again after a rebalance.
            place("b", 0, 0),
        ];
        let offsets = behind(&batch, &mine).expect("offsets can be listed");
        let found = |topic, partition| {
            let found = offsets.find_partition(topic, partition);
            found.map(|found| found.offset())
        };
        assert_eq!(found("a", 0), Some(Offset::Offset(9)));
        assert_eq!(found("b", 0), Some(Offset::Offset(2)));
        assert_eq!(found("a", 1), None);
    }
}
