//! Values that would differ on replay: the time, random numbers, UUIDs. Made once, recorded.

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    durable::Durable,
    payload::Payload,
    run::Run,
    workflow::{Outcome, RecordKind},
};

/// A value that is made once.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub(crate) struct Once<T> {
    pub(crate) kind: RecordKind,
    pub(crate) make: fn(&Run) -> T,
}

impl<S: Send + Sync + 'static, T: Durable> Op<S> for Once<T> {
    type Output = T;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<T>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            if let Some(value) = here.recorded_value(self.kind, "").await {
                return Ready::recorded(value);
            }
            let value = (self.make)(&here.run);
            let payload = Payload::of_ours(&value);
            let payload = here.stored(self.kind.as_str(), payload).await;
            let record = here.record(self.kind, "", Outcome::Ok(payload));
            Ready::new(value, record, Vec::new())
        })
    }
}

/// The mark that a run takes the new path at a `patched`.
#[derive(Debug)]
pub(crate) struct Patch(pub(crate) &'static str);

impl<S: Send + Sync + 'static> Op<S> for Patch {
    type Output = ();

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<()>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            if here.recorded(RecordKind::Patch, self.0).await.is_some() {
                return Ready::recorded(());
            }
            let record = here.record(RecordKind::Patch, self.0, Outcome::Ok(Payload::null()));
            Ready::new((), record, Vec::new())
        })
    }
}
