//! Receiving messages from the workflow's own inbox.

use std::time::Duration;

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    durable::Durable,
    limits::Text,
    names::Topic,
    payload::Payload,
    run::{Awaited, ReservedMessage},
    store::{Effect, Message, PAGE_BYTES_MAX, Wait},
    workflow::{Outcome, RecordKind},
};

/// How many messages more than are wanted are looked at, to find those that no other receive of the
/// run has in hand.
const IN_HAND: u32 = 63;

/// After how long it is looked again behind large messages that another receive has in hand.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A wait for a message.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct Recv<T>(pub(crate) Topic<T>);

/// Receives the oldest message of a topic, waiting for it if there is none. A receive that loses a
/// race takes no message.
pub fn recv<T>(topic: Topic<T>) -> Recv<T> {
    Recv(topic)
}

/// A wait for messages.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct RecvBatch<T> {
    topic: Topic<T>,
    at_most: u32,
}

/// Receives all messages of a topic that are there, the oldest first, but for those beyond `at_most`
/// or beyond what fits one payload. Waits for the first one; none come of it only when `at_most`
/// is 0.
pub fn recv_batch<T>(topic: Topic<T>, at_most: u32) -> RecvBatch<T> {
    RecvBatch { topic, at_most }
}

impl<S: Send + Sync + 'static, T: Durable> Op<S> for Recv<T> {
    type Output = T;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<T>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            let name = self.0.name();
            if let Some(value) = here.recorded_value(RecordKind::Recv, name).await {
                return Ready::recorded(value);
            }
            here.stored("", Text::Topic.check(name)).await;
            let mut taken = next(&here, name, 1).await;
            let payload = taken.payloads.pop().unwrap_or_else(Payload::null);
            let value: T = here.read(name, &payload).await;
            received(&here, name, payload, (value, taken.reserved))
        })
    }
}

impl<S: Send + Sync + 'static, T: Durable> Op<S> for RecvBatch<T> {
    type Output = Vec<T>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Vec<T>>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            let name = self.topic.name();
            if let Some(values) = here.recorded_value(RecordKind::Recv, name).await {
                return Ready::recorded(values);
            }
            here.stored("", Text::Topic.check(name)).await;
            let taken = match self.at_most {
                0 => Taken::default(),
                at_most => next(&here, name, at_most).await,
            };
            let payload = Payload::array(&taken.payloads);
            let values: Vec<T> = here.read(name, &payload).await;
            received(&here, name, payload, (values, taken.reserved))
        })
    }
}

fn received<T>(
    here: &Here,
    topic: &str,
    payload: Payload,
    (output, reserved): (T, Vec<ReservedMessage>),
) -> Ready<T> {
    let record = here.record(RecordKind::Recv, topic, Outcome::Ok(payload));
    let receive = |message: &ReservedMessage| Effect::Receive {
        message: message.number,
    };
    let effects = reserved.iter().map(receive).collect();
    Ready::new(output, record, effects).with_messages(reserved)
}

/// Messages in the hands of a receive.
#[derive(Default)]
struct Taken {
    payloads: Vec<Payload>,
    reserved: Vec<ReservedMessage>,
}

/// Takes the oldest messages, and waits for the first. What is rare is boxed: many thousands wait here,
/// and each has room for all that it may do.
async fn next(here: &Here, topic: &'static str, at_most: u32) -> Taken {
    let client = &here.run.engine.client.0;
    let watch = client.hub.watch(here.run.key);
    let awaited = Awaited::Change(Wait::Message {
        topic: topic.to_owned(),
    });
    let site = here.site(RecordKind::Recv, topic);
    let _waits = here.run.waits_for(site, awaited);
    let look_at = at_most.saturating_add(IN_HAND);
    // What was received before stays in the inbox until that is on disk.
    let mut is_settled = at_most > 1;
    if is_settled {
        Box::pin(here.run.settle()).await;
    }
    loop {
        let changed = watch.next();
        match client.store.inbox(here.run.key, topic, look_at).await {
            Ok(messages) => {
                let is_anything = !messages.is_empty();
                let is_full = u32::try_from(messages.len()).is_ok_and(|count| count >= look_at);
                let bytes = messages.iter().map(|it| it.payload.as_str().len());
                let is_cut = bytes.sum::<usize>() >= PAGE_BYTES_MAX;
                let taken = take(here, messages, at_most);
                if !taken.reserved.is_empty() {
                    return taken;
                }
                if is_anything && !is_settled {
                    is_settled = true;
                    Box::pin(here.run.settle()).await;
                } else if is_cut || is_full {
                    // Others may stand behind those that other receives have in hand.
                    drop(tokio::time::timeout(LOOK_AGAIN, changed).await);
                } else {
                    changed.await;
                }
            }
            Err(error) => Box::pin(here.run.database_away("read the inbox", &error)).await,
        }
    }
}

/// Takes what no other receive of the run has in hand, as much as fits one payload.
fn take(here: &Here, messages: Vec<Message>, at_most: u32) -> Taken {
    let mut taken = Taken::default();
    // The brackets of the array.
    let mut bytes = 2;
    for message in messages {
        if taken.payloads.len() >= usize::try_from(at_most).unwrap_or(usize::MAX) {
            break;
        }
        let Some(reserved) = here.run.reserve_message(message.number) else {
            continue;
        };
        // And a comma.
        bytes += message.payload.as_str().len() + 1;
        if !taken.payloads.is_empty() && bytes > here.bytes_max() {
            break;
        }
        taken.reserved.push(reserved);
        taken.payloads.push(message.payload);
    }
    taken
}
