//! [`Handle`]: a workflow that was started, with its types.

use std::{fmt, marker::PhantomData, time::Duration};

use futures_util::{Stream as FuturesStream, stream};

use crate::{
    BoxFuture,
    client::{Client, Ended},
    durable::{Durable, Workflow},
    error::{Error, ErrorKind, Fault, WorkflowError},
    hub::Watch,
    id::WorkflowKey,
    names::{Event, Stream, Topic},
    payload::Payload,
    send::Sending,
    workflow::{Outcome, State},
};

/// How long an event is waited for if nothing else is said.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A workflow that was started, or is known by its id. Cheap to clone; dropping it does nothing.
pub struct Handle<W> {
    id: String,
    client: Client,
    /// Of a workflow that this process has made and watched from before it began.
    watched: Option<(WorkflowKey, Watch)>,
    /// Whether a workflow has started it, and so knows that it was there.
    was_started: bool,
    workflow: PhantomData<fn() -> W>,
}

impl<W> Clone for Handle<W> {
    fn clone(&self) -> Self {
        let (id, client) = (self.id.clone(), self.client.clone());
        Self {
            id,
            client,
            watched: self.watched.clone(),
            was_started: self.was_started,
            workflow: PhantomData,
        }
    }
}

impl<W> fmt::Debug for Handle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<W> Handle<W> {
    pub(crate) fn new(id: String, client: Client) -> Self {
        Self {
            id,
            client,
            watched: None,
            was_started: false,
            workflow: PhantomData,
        }
    }

    /// Of one that a workflow starts.
    pub(crate) fn started_here(mut self) -> Self {
        self.was_started = true;
        self
    }

    pub(crate) fn was_started(&self) -> bool {
        self.was_started
    }

    pub(crate) fn watched(mut self, key: WorkflowKey, watch: Watch) -> Self {
        self.watched = Some((key, watch));
        self
    }
}

impl<W: Workflow> Handle<W> {
    /// The workflow's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the result: the same the first time and on every later read.
    ///
    /// # Errors
    /// The workflow's own error with its type, or how else it ended. One that is stuck or dead
    /// comes back at once, although it may still go on later.
    pub async fn result(&self) -> Result<W::Output, WorkflowError<W::Error>> {
        let ended = match &self.watched {
            Some((key, watch)) => self.client.wait_from_start(*key, &self.id, watch).await?,
            None => self.client.wait(&self.id).await?,
        };
        result_of::<W>(&self.id, &ended)
    }

    /// Where the workflow is in its life.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn status(&self) -> Result<State, Error> {
        Ok(self.client.existing(&self.id).await?.state)
    }

    /// Waits for a value that the workflow publishes, for at most 60 s unless said otherwise.
    pub fn get_event<T: Durable>(&self, event: Event<T>) -> Wait<T> {
        Wait::new(self.client.clone(), self.id.clone(), event)
    }

    /// Puts a message into the workflow's inbox, once it is awaited. See [`Sending`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a message is sent away: callers have no more use for it"
    )]
    pub fn send<T: Durable>(&self, topic: Topic<T>, message: T) -> Sending {
        let message = Payload::of_durable(&message, self.client.0.payload_bytes_max);
        Sending::new(self.client.clone(), &self.id, topic.name(), message)
    }

    /// Cancels the workflow and its attached children.
    ///
    /// # Errors
    /// As [`Client::cancel`].
    pub async fn cancel(&self) -> Result<(), Error> {
        self.client.cancel(&self.id).await
    }

    /// Lets the workflow go on after it was cancelled, stuck or dead.
    ///
    /// # Errors
    /// As [`Client::resume`].
    pub async fn resume(&self) -> Result<(), Error> {
        self.client.resume(&self.id).await
    }

    /// Reads a stream of the workflow from an offset, live: it waits for entries until the workflow
    /// has ended.
    pub fn stream<T: Durable>(
        &self,
        stream: Stream<T>,
        from: u64,
    ) -> impl FuturesStream<Item = Result<T, Error>> + Send + use<T, W> {
        entries(self.client.clone(), self.id.clone(), stream, from)
    }
}

pub(crate) fn entries<T: Durable>(
    client: Client,
    id: String,
    stream: Stream<T>,
    from: u64,
) -> impl FuturesStream<Item = Result<T, Error>> + Send {
    let pages = stream::try_unfold((client, id, from), move |(client, id, from)| async move {
        let entries = client.next_entries(&id, stream.name(), from).await?;
        let Some(last) = entries.last() else {
            return Ok::<_, Error>(None);
        };
        let next = last.offset + 1;
        let what = format!("an entry of the stream `{}` of `{id}`", stream.name());
        let values: Vec<Result<T, Error>> = entries
            .iter()
            .map(|entry| Client::read(&what, &entry.value))
            .collect();
        Ok(Some((stream::iter(values), (client, id, next))))
    });
    futures_util::TryStreamExt::try_flatten(pages)
}

/// What a workflow that rests came to, with its types.
pub(crate) fn result_of<W: Workflow>(
    id: &str,
    ended: &Ended,
) -> Result<W::Output, WorkflowError<W::Error>> {
    let what = format!("the result of `{id}`");
    let reason = || ended.reason.clone().unwrap_or_default();
    match (ended.state, &ended.result) {
        (State::Succeeded, Some(Outcome::Ok(output))) => Ok(Client::read(&what, output)?),
        (State::Failed, Some(Outcome::Err(fault))) => {
            Err(Client::read::<Fault<W::Error>>(&what, fault)?.into())
        }
        (State::Cancelled, _) if reason() == crate::store::CancelCause::Deadline.as_str() => {
            Err(WorkflowError::DeadlineExceeded)
        }
        (State::Cancelled, _) => Err(WorkflowError::Cancelled),
        (State::Stuck, _) => Err(WorkflowError::Stuck(reason())),
        (State::Dead, _) => Err(WorkflowError::Dead(reason())),
        (state, _) => Err(WorkflowError::Engine(Error::new(
            ErrorKind::Internal,
            format!("{what} is missing although it is {state}"),
        ))),
    }
}

/// A wait for an event from outside a workflow; `.await` gives `Some(value)`, or `None` when the
/// time is up or the workflow has ended without publishing it.
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Wait<T> {
    client: Client,
    id: String,
    event: Event<T>,
    timeout: Duration,
}

impl<T> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("id", &self.id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

impl<T> Wait<T> {
    pub(crate) fn new(client: Client, id: String, event: Event<T>) -> Self {
        Self {
            client,
            id,
            event,
            timeout: EVENT_TIMEOUT,
        }
    }

    /// Waits for at most this long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<T: Durable> IntoFuture for Wait<T> {
    type Output = Result<Option<T>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let name = self.event.name();
            let value = self.client.event(&self.id, name, self.timeout).await?;
            let what = format!("the event `{name}` of `{}`", self.id);
            value.map(|value| Client::read(&what, &value)).transpose()
        })
    }
}
