//! Sleeping: the deadline is recorded once, nothing at its end.

use std::time::Duration;

use jiff::Timestamp;

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    limits::check_duration,
    payload::Payload,
    workflow::{Outcome, RecordKind},
};

/// A wait for an instant of the store's clock.
#[derive(Debug)]
#[must_use = "operations do nothing unless they are run"]
pub struct Sleep(pub(crate) Duration);

/// Waits for a time. The instant is durable: a restart neither shortens nor lengthens the wait.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(duration)
}

impl<S: Send + Sync + 'static> Op<S> for Sleep {
    type Output = ();

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<()>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            wait(&here, self.0).await;
            Ready::recorded(())
        })
    }
}

async fn wait(here: &Here, duration: Duration) {
    let until = match here
        .recorded_value::<Timestamp>(RecordKind::Sleep, "")
        .await
    {
        Some(until) => until,
        None => begin(here, duration).await,
    };
    let site = here.site(RecordKind::Sleep, "");
    here.run.wait_until(site, until).await;
}

async fn begin(here: &Here, duration: Duration) -> Timestamp {
    if let Err(error) = check_duration("sleep", duration) {
        return here.stuck("sleep", &error.to_string()).await;
    }
    let now = here.run.engine.client.now();
    let until = now.checked_add(duration).unwrap_or(Timestamp::MAX);
    let value = here.stored("sleep", Payload::of_ours(&until)).await;
    let record = here.record(RecordKind::Sleep, "", Outcome::Ok(value));
    here.run.record(vec![record], Vec::new(), false);
    until
}
