//! Appending to a stream, setting an attribute: records with an effect and no value of their own.

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    limits::{InvalidInput, NAME_BYTES_MAX, check_name},
    payload::Payload,
    store::Effect,
    workflow::{Outcome, RecordKind},
};

/// A value for a stream of the workflow.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub(crate) struct Append {
    pub(crate) stream: &'static str,
    pub(crate) value: Result<Payload, InvalidInput>,
}

impl<S: Send + Sync + 'static> Op<S> for Append {
    type Output = ();

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<()>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            if here
                .recorded(RecordKind::Append, self.stream)
                .await
                .is_some()
            {
                return Ready::recorded(());
            }
            if let Err(error) = check_name("stream's name", self.stream, NAME_BYTES_MAX) {
                return here.stuck(self.stream, &error.to_string()).await;
            }
            let value = here.stored(self.stream, self.value).await;
            // The entry holds the value; the record only says that it was appended.
            let record = here.record(
                RecordKind::Append,
                self.stream,
                Outcome::Ok(Payload::null()),
            );
            let effect = Effect::Append {
                stream: self.stream.to_owned(),
                value,
            };
            Ready::new((), record, vec![effect])
        })
    }
}

/// An attribute of the workflow, for search.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub(crate) struct SetAttribute {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl<S: Send + Sync + 'static> Op<S> for SetAttribute {
    type Output = ();

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<()>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            if here
                .recorded(RecordKind::SetAttribute, &self.name)
                .await
                .is_some()
            {
                return Ready::recorded(());
            }
            let checked = check_name("attribute's name", &self.name, NAME_BYTES_MAX)
                .and_then(|()| check_name("attribute's value", &self.value, NAME_BYTES_MAX));
            if let Err(error) = checked {
                return here.stuck(&self.name, &error.to_string()).await;
            }
            let value = here
                .stored(&self.name, Payload::of(&self.value, here.bytes_max()))
                .await;
            let record = here.record(RecordKind::SetAttribute, &self.name, Outcome::Ok(value));
            let effect = Effect::SetAttribute {
                name: self.name,
                value: self.value,
            };
            Ready::new((), record, vec![effect])
        })
    }
}
