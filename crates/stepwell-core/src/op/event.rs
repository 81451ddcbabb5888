//! Waiting for a value that another workflow publishes.

use std::time::Duration;

use super::{Here, Op, Ready, Slot, other};
use crate::{
    BoxFuture,
    durable::Durable,
    limits::Text,
    names::Event,
    payload::Payload,
    run::Awaited,
    store::Wait,
    workflow::{Outcome, RecordKind},
};

/// How often it is looked whether the other workflow was deleted, of which nobody is told.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A wait for a value that another workflow publishes.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct GetEvent<T> {
    id: String,
    event: Event<T>,
}

/// Waits until another workflow has published a value, and records it. One that is not there yet is
/// looked for: every second at first, later every ten minutes. What waits for one that was deleted is
/// stuck, with a sentence.
pub fn get_event<T>(id: impl Into<String>, event: Event<T>) -> GetEvent<T> {
    GetEvent {
        id: id.into(),
        event,
    }
}

impl<S: Send + Sync + 'static, T: Durable> Op<S> for GetEvent<T> {
    type Output = T;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<T>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            let name = self.event.name();
            if let Some(value) = here.recorded_value(RecordKind::GetEvent, name).await {
                return Ready::recorded(value);
            }
            here.stored("", Text::EventName.check(name)).await;
            let payload = published(&here, &self.id, name).await;
            let value: T = here.read(name, &payload).await;
            let record = here.record(RecordKind::GetEvent, name, Outcome::Ok(payload));
            Ready::new(value, record, Vec::new())
        })
    }
}

async fn published(here: &Here, id: &str, name: &'static str) -> Payload {
    let client = &here.run.engine.client;
    let site = here.site(RecordKind::GetEvent, name);
    let key = other::exists(here, id, &site).await.key;
    let awaited = Awaited::Change(Wait::Event {
        of: key,
        name: name.to_owned(),
    });
    let _waits = here.run.waits_for(site, awaited);
    let watch = client.0.hub.watch(key);
    loop {
        let changed = watch.next();
        match client.0.store.event(key, name).await {
            Ok(Some(value)) => return value,
            Ok(None) if !other::is_there(here, key).await => other::deleted(here, id).await,
            Ok(None) => drop(tokio::time::timeout(LOOK_AGAIN, changed).await),
            Err(error) => here.run.database_away("read an event", &error).await,
        }
    }
}
