//! Operations that only write: a message, an event's value, a stream's entry, an attribute. Each is
//! one record with one effect, and returns nothing.

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    durable::Durable,
    id::WorkflowId,
    limits::{InvalidInput, Text, check_attribute},
    names::{Event, Stream, Topic},
    payload::Payload,
    store::{Effect, NewMessage},
    workflow::{Outcome, Place, RecordKind},
};

/// A record, and the effect that it stands for.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub(crate) struct Write {
    kind: RecordKind,
    name: String,
    made: Result<(Payload, Effect), InvalidInput>,
}

impl Write {
    /// A message to another workflow.
    pub(crate) fn message<T: Durable>(
        to: &str,
        topic: Topic<T>,
        message: &T,
        bytes_max: usize,
    ) -> Self {
        let made = Payload::of_durable(message, bytes_max).and_then(|payload| {
            Text::Topic.check(topic.name())?;
            let message = NewMessage {
                to: WorkflowId::new(to)?,
                topic: topic.name().to_owned(),
                payload: payload.clone(),
                // Set when its position is known.
                key: None,
            };
            Ok((payload, Effect::Send(message)))
        });
        Self {
            kind: RecordKind::Send,
            name: topic.name().to_owned(),
            made,
        }
    }

    /// A value to publish.
    pub(crate) fn event<T: Durable>(event: Event<T>, value: &T, bytes_max: usize) -> Self {
        let made = Payload::of_durable(value, bytes_max).and_then(|value| {
            Text::EventName.check(event.name())?;
            let effect = Effect::SetEvent {
                name: event.name().to_owned(),
                value: value.clone(),
            };
            Ok((value, effect))
        });
        Self {
            kind: RecordKind::SetEvent,
            name: event.name().to_owned(),
            made,
        }
    }

    /// A value for a stream of the workflow. The entry holds it; the record only says that it was
    /// appended.
    pub(crate) fn entry<T: Durable>(stream: Stream<T>, value: &T, bytes_max: usize) -> Self {
        let made = Payload::of_durable(value, bytes_max).and_then(|value| {
            Text::StreamName.check(stream.name())?;
            let effect = Effect::Append {
                stream: stream.name().to_owned(),
                value,
            };
            Ok((Payload::null(), effect))
        });
        Self {
            kind: RecordKind::Append,
            name: stream.name().to_owned(),
            made,
        }
    }

    /// An attribute of the workflow, for search.
    pub(crate) fn attribute(name: String, value: String) -> Self {
        let made = Payload::of_ours(&value).and_then(|payload| {
            check_attribute(&name, &value)?;
            let effect = Effect::SetAttribute {
                name: name.clone(),
                value,
            };
            Ok((payload, effect))
        });
        Self {
            kind: RecordKind::SetAttribute,
            name,
            made,
        }
    }
}

impl<S: Send + Sync + 'static> Op<S> for Write {
    type Output = ();

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<()>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            if here.recorded(self.kind, &self.name).await.is_some() {
                return Ready::recorded(());
            }
            let (payload, mut effect) = here.stored(&self.name, self.made).await;
            if let Effect::Send(message) = &mut effect {
                // The position is the key: a batch that is handed in twice sends once.
                let place = Place::At(here.position.clone());
                message.key = Some(NewMessage::key_at(here.run.key, &place));
            }
            let record = here.record(self.kind, &self.name, Outcome::Ok(payload));
            Ready::new((), record, vec![effect])
        })
    }
}
