//! Receiving a message from the workflow's own inbox.

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    durable::Durable,
    names::Topic,
    run::ReservedMessage,
    store::{Effect, Message},
    workflow::{Outcome, RecordKind},
};

/// How many messages are looked at to find one that no other receive of the run has in hand.
const LOOK_AT: u32 = 64;

/// A wait for a message.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct Recv<T>(pub(crate) Topic<T>);

/// Receives the oldest message of a topic, waiting for it if there is none. A receive that loses a
/// race takes no message.
pub fn recv<T>(topic: Topic<T>) -> Recv<T> {
    Recv(topic)
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
            let (message, reserved) = next(&here, name).await;
            let value: T = here.read(name, &message.payload).await;
            let record = here.record(RecordKind::Recv, name, Outcome::Ok(message.payload));
            let effect = Effect::Receive {
                message: message.number,
            };
            Ready::new(value, record, vec![effect]).with_message(reserved)
        })
    }
}

async fn next(here: &Here, topic: &str) -> (Message, ReservedMessage) {
    let client = &here.run.engine.client.0;
    let watch = client.hub.watch(here.run.key);
    loop {
        let changed = watch.next();
        match client.store.inbox(here.run.key, topic, LOOK_AT).await {
            Ok(messages) => {
                let numbers = messages.iter().map(|message| message.number);
                if let Some(reserved) = here.run.reserve_message(numbers)
                    && let Some(message) = messages
                        .into_iter()
                        .find(|message| message.number == reserved.number)
                {
                    return (message, reserved);
                }
                changed.await;
            }
            Err(error) => here.run.database_away("read the inbox", &error).await,
        }
    }
}
