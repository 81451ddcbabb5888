//! Starts: of one workflow, of several in one commit, with a message, or with a wait for the result.

use super::App;
use crate::{
    call::Call,
    client::{StartOutcome, StartedHere, check_start},
    durable::{Durable, Workflow},
    error::{Error, ErrorKind, WorkflowError},
    handle::Handle,
    id::WorkflowId,
    names::Topic,
    payload::Payload,
    send::key_in_step,
    store::{NewWorkflow, StartMessage, Started},
};

/// How many starts go into one commit.
const STARTED_TOGETHER_MAX: usize = 1_000;

/// A workflow that was started or found, and which of the two.
type Handed<W> = Result<(Handle<W>, StartOutcome), Error>;

impl<S: Send + Sync + 'static> App<S> {
    /// Starts a workflow. Once this returns, it exists on disk and runs to an end, whatever dies. The
    /// same id again starts nothing: the first one's handle comes back.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the id belongs to a workflow with another name or input,
    /// [`ErrorKind::Invalid`] for bad input, [`ErrorKind::Unavailable`] without a database; then
    /// starting again with the same id is safe.
    pub async fn start<W: Workflow<State = S>>(&self, call: Call<W>) -> Result<Handle<W>, Error> {
        Ok(self.start_new(call).await?.0)
    }

    /// Starts a workflow and puts a message into its inbox, both or neither. With
    /// [`unique`](Call::unique) it comes to the one that is there: so work that comes in pieces is
    /// gathered and done together.
    ///
    /// ```ignore
    /// // Documents of one customer, indexed together when no other has come for five seconds.
    /// let call = index().queue(&INDEX).unique(Unique::new(customer).while_waiting()).delay(FIVE_SECONDS);
    /// app.start_and_send(call, DOCUMENT, document).await?;
    ///
    /// #[workflow]
    /// async fn index(ctx: &mut Ctx<Search>) -> stepwell::Result<()> {
    ///     let documents = ctx.recv_batch(DOCUMENT, 1_000).await;
    ///     ctx.run(write_index(documents)).await
    /// }
    /// ```
    ///
    /// One that has ended receives nothing more.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_and_send<W: Workflow<State = S>, T: Durable>(
        &self,
        call: Call<W>,
        topic: Topic<T>,
        message: T,
    ) -> Result<Handle<W>, Error> {
        let bytes_max = self.inner.config.payload_bytes_max;
        let payload = Payload::of_durable(&message, bytes_max)?;
        // Which workflow it comes to is not known yet.
        let key = key_in_step(W::NAME, topic.name(), &payload);
        let message = StartMessage {
            topic: topic.name().to_owned(),
            payload,
            key: key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        };
        let mut new = call.into_new(WorkflowId::generate, None, bytes_max)?;
        new.message = Some(Box::new(message));
        Ok(self.hand_in(new).await?.0)
    }

    /// Starts a workflow, and says whether it was made now.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_new<W: Workflow<State = S>>(
        &self,
        call: Call<W>,
    ) -> Result<(Handle<W>, StartOutcome), Error> {
        let bytes_max = self.inner.config.payload_bytes_max;
        let new = call.into_new(WorkflowId::generate, None, bytes_max)?;
        self.hand_in(new).await
    }

    /// Starts several workflows, in this order and in one commit. Says of each one what came of it: a
    /// bad one does not keep the others from being started.
    ///
    /// More than 1,000 take several commits, one after the other. When one is not started for want
    /// of room or of a database, those of the commits after it are not either.
    ///
    /// ```ignore
    /// let calls = orders.into_iter().map(|order| checkout(order).queue(&ORDERS));
    /// for started in app.start_all(calls).await {
    ///     let (handle, outcome) = started?;
    /// }
    /// ```
    pub async fn start_all<W: Workflow<State = S>>(
        &self,
        calls: impl IntoIterator<Item = Call<W>>,
    ) -> Vec<Result<(Handle<W>, StartOutcome), Error>> {
        let bytes_max = self.inner.config.payload_bytes_max;
        let new = calls
            .into_iter()
            .map(|call| call.into_new(WorkflowId::generate, None, bytes_max));
        let new: Vec<Result<NewWorkflow, Error>> = new.collect();
        let mut all = Vec::with_capacity(new.len());
        let mut left = new.into_iter().peekable();
        while left.peek().is_some() {
            let together = left.by_ref().take(STARTED_TOGETHER_MAX).collect();
            let started = self.hand_in_together(together).await;
            let refused = started.iter().find_map(stops).cloned();
            all.extend(started);
            if let Some(error) = refused {
                all.extend(left.by_ref().map(|_| Err(error.clone())));
            }
        }
        all
    }

    async fn hand_in_together<W: Workflow<State = S>>(
        &self,
        new: Vec<Result<NewWorkflow, Error>>,
    ) -> Vec<Handed<W>> {
        let mut good = Vec::with_capacity(new.len());
        let places: Vec<Result<(), Error>> = new
            .into_iter()
            .map(|new| new.map(|new| good.push(new)))
            .collect();
        let client = &self.inner.client;
        let mut started = client.start_here(&self.engine(), good).await.into_iter();
        places
            .into_iter()
            .map(|place| {
                place?;
                self.handed(started.next().unwrap_or_else(|| Err(unanswered()))?)
            })
            .collect()
    }

    async fn hand_in<W: Workflow<State = S>>(&self, new: NewWorkflow) -> Handed<W> {
        check_start(&new)?;
        let mut handed = self.hand_in_together(vec![Ok(new)]).await;
        handed.pop().unwrap_or_else(|| Err(unanswered()))
    }

    fn handed<W: Workflow<State = S>>(&self, here: StartedHere) -> Handed<W> {
        let handle = |id: WorkflowId| Handle::new(id.to_string(), self.inner.client.clone());
        match (here.started, here.watch) {
            (Started::New { key, .. }, Some(watch)) => {
                Ok((handle(here.id).watched(key, watch), StartOutcome::New))
            }
            (Started::New { .. }, None) => Ok((handle(here.id), StartOutcome::New)),
            (Started::Existing { state, .. }, _) => {
                Ok((handle(here.id), StartOutcome::Existing(state)))
            }
            (Started::Joined { id, state, .. }, _) => {
                Ok((handle(id), StartOutcome::Existing(state)))
            }
            (Started::Conflict { .. } | Started::Full { .. } | Started::Taken { .. }, _) => {
                Err(unanswered())
            }
        }
    }

    /// Starts a workflow and waits for its result.
    ///
    /// # Errors
    /// The workflow's own error, or how else it ended, or the engine's.
    pub async fn run<W: Workflow<State = S>>(
        &self,
        call: Call<W>,
    ) -> Result<W::Output, WorkflowError<W::Error>> {
        self.start(call).await?.result().await
    }
}

/// Whether those that come later are not to be started: room or the database may be back for them.
fn stops<W>(handed: &Handed<W>) -> Option<&Error> {
    let error = handed.as_ref().err()?;
    matches!(error.kind(), ErrorKind::Full | ErrorKind::Unavailable).then_some(error)
}

fn unanswered() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the client answered a start with nothing, or with a refusal that is no error",
    )
}
