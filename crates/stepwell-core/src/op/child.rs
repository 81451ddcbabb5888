//! Children: starting a workflow from a workflow, and awaiting its result.

use std::sync::Arc;

use super::{Here, Op, Ready, Slot, other};
use crate::{
    BoxFuture,
    call::Call,
    client::Client,
    durable::{HasState, Workflow},
    error::{ErrorKind, WorkflowError},
    handle::{Handle, result_of},
    id::made,
    payload::Payload,
    run::{Awaited, Run, Site, Underway},
    store::{Effect, NewWorkflow, Wait},
    workflow::{Outcome, RecordKind, State},
};

/// Starts a child without awaiting it.
pub(crate) struct Start<W: Workflow>(pub(crate) Call<W>);

impl<S: Send + Sync + 'static, W: Workflow> Op<S> for Start<W> {
    type Output = Handle<W>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Handle<W>>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            let start = start(&here, self.0).await;
            let client = here.run.engine.client.clone();
            start.map(|id| Handle::new(id, client).started_here())
        })
    }
}

/// The start of a child as an operation: what it comes to is the child's id.
async fn start<W: Workflow>(here: &Here, call: Call<W>) -> Ready<String> {
    if let Some(id) = here.recorded_value(RecordKind::Start, W::NAME).await {
        return Ready::recorded(id);
    }
    let id = || made::child(&here.run.id, here.run.key, &here.position);
    let new = match call.into_new(id, Some(here.run.key), here.bytes_max()) {
        Ok(new) => new,
        Err(error) => return here.stuck(W::NAME, &error.to_string()).await,
    };
    if new.id == here.run.id {
        let what = "it has the id of its own parent; give the child an id of its own";
        return here.stuck(W::NAME, what).await;
    }
    let engine = &here.run.engine;
    engine
        .client
        .use_queues(engine, std::slice::from_ref(&new))
        .await;
    started(here, new).await
}

async fn started(here: &Here, new: NewWorkflow) -> Ready<String> {
    let id = new.id.to_string();
    let value = here.stored(&new.name, Payload::of_ours(&id)).await;
    let record = here.record(RecordKind::Start, &new.name, Outcome::Ok(value));
    Ready::new(id, record, vec![Effect::Start(new)])
}

/// A child as one operation: start it, and wait for its result.
impl<S: Send + Sync + 'static + HasState<W::State>, W: Workflow> Op<S> for Call<W> {
    type Output = Result<W::Output, WorkflowError<W::Error>>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        Box::pin(async move {
            // The start is a record of its own, below: the child lives while the parent waits.
            let id = start(&here.child(0), self).await.commit(&here.run);
            // From here on: it may lose its race before the child is on disk.
            let mut racing = Racing::of(&here, &id);
            let ready = await_result::<W>(&here, &id, Other::WasThere).await;
            racing.child = None;
            ready
        })
    }
}

/// Awaits a workflow that was started before.
impl<S: Send + Sync + 'static, W: Workflow> Op<S> for Handle<W> {
    type Output = Result<W::Output, WorkflowError<W::Error>>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        let here = Here::from(&at);
        let other = match self.was_started() {
            true => Other::WasThere,
            false => Other::MayCome,
        };
        Box::pin(async move { await_result::<W>(&here, self.id(), other).await })
    }
}

/// Whether a workflow that is awaited has been there.
#[derive(Debug, Clone, Copy)]
enum Other {
    /// A workflow has started it: if it is not there any more, it was deleted.
    WasThere,
    /// It may be started later.
    MayCome,
}

async fn await_result<W: Workflow>(
    here: &Here,
    id: &str,
    other: Other,
) -> Ready<Result<W::Output, WorkflowError<W::Error>>> {
    if let Some(result) = here.recorded_value(RecordKind::Await, W::NAME).await {
        return Ready::recorded(result);
    }
    let site = here.site(RecordKind::Await, W::NAME);
    let busy = here.run.busy(site.clone());
    // The child exists on disk before it is looked for.
    here.run.settle().await;
    // Stuck and dead are no ends: somebody, or another version, may let the child go on.
    let ended = ended(here, id, other, site, busy).await;
    let result = result_of::<W>(id, &ended);
    let payload = here.stored(W::NAME, Payload::of_ours(&result)).await;
    let record = here.record(RecordKind::Await, W::NAME, Outcome::Ok(payload));
    Ready::new(result, record, Vec::new())
}

async fn ended(
    here: &Here,
    id: &str,
    other: Other,
    site: Site,
    busy: Underway<'_>,
) -> crate::client::Ended {
    let client: &Client = &here.run.engine.client;
    let (other, busy) = match other {
        Other::WasThere => (known_one(here, id).await, busy),
        Other::MayCome => {
            drop(busy);
            let other = other::exists(here, id, &site).await;
            (other, here.run.busy(site.clone()))
        }
    };
    other::refuse_ring(here, &other).await;
    let end = Wait::End { of: other.key };
    let _waits = here.run.waits_for(site, Awaited::Change(end));
    drop(busy);
    loop {
        match client.wait_until(other.key, id, State::has_ended).await {
            Ok(ended) => return ended,
            Err(error) if error.kind() == ErrorKind::NotFound => other::deleted(here, id).await,
            Err(error) => here.run.database_away("await a workflow", &error).await,
        }
    }
}

/// A workflow that was there. If it is not any more, it was deleted.
async fn known_one(here: &Here, id: &str) -> crate::workflow::Workflow {
    loop {
        match here.run.engine.client.existing(id).await {
            Ok(other) => return other,
            Err(error) if error.kind() == ErrorKind::NotFound => other::deleted(here, id).await,
            Err(error) => here.run.database_away("await a workflow", &error).await,
        }
    }
}

/// A child whose parent may stop waiting because another operation of a race won: then nobody wants
/// the child any more, and the record of the race cancels it. When the whole run is interrupted, it is
/// not.
struct Racing {
    run: Arc<Run>,
    child: Option<String>,
}

impl Racing {
    fn of(here: &Here, child: &str) -> Self {
        Self {
            run: Arc::clone(&here.run),
            child: Some(child.to_owned()),
        }
    }
}

impl Drop for Racing {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.run.leave_child(&child);
        }
    }
}
