//! [`Client`]: the one way to workflows from outside, without types and without running any.
//!
//! The application, the web integration, the CLI, the console and other languages all go through it.

mod explain;
mod follow;
mod hearing;
mod inbox;
mod letters;
mod open;
mod queues;
mod redrive;
mod schedules;
mod shared;
mod waits;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    config::LOOK_AGAIN,
    engine::Engine,
    error::{Error, ErrorKind},
    hub::{Hub, Watch},
    id::{MARK, WorkflowId, WorkflowKey, check_given},
    journal::Journal,
    limits::{
        InvalidInput, PRINCIPAL_ATTRIBUTE, Text, check_attribute, check_duration, check_queue,
        check_unique,
    },
    observe::{Observation, Observers},
    payload::Payload,
    position::Position,
    send::key_in_step,
    store::{
        Applied, Cancel, CancelCause, Cancelled, Change, Executor, Filter, Fork, Forked, Launch,
        NewMessage, NewWorkflow, PAGE_BYTES_MAX, PublishedEvent, Resumed, Sent, Started, Store,
        StoreError, StreamEntry,
    },
    workflow::{Outcome, Place, Record, State, Takeover, Workflow},
};

use shared::Shared;

pub(crate) use hearing::hear;

pub use follow::{Follow, Followed, Progress};
pub use schedules::ScheduleSpec;
pub use waits::Ended;

/// How many records or entries are read at once.
const PAGE: u32 = 1_000;

/// Reads and steers workflows by id. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(pub(crate) Arc<ClientCore>);

/// What a client and an engine share.
#[derive(Debug)]
pub(crate) struct ClientCore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) payload_bytes_max: usize,
    /// The longest wait for a workflow without a look at the database.
    pub(crate) look_again: Duration,
    pub(crate) observers: Observers,
    /// Its own tasks, where there is no engine.
    tasks: Option<open::Tasks>,
    shared: Shared,
    queues: queues::Used,
}

impl ClientCore {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        payload_bytes_max: usize,
        observers: Observers,
    ) -> Self {
        let hub = Arc::new(Hub::default());
        let journal = Journal::new(Arc::clone(&store), Arc::clone(&hub), observers.clone());
        let journal = Arc::new(journal);
        Self {
            store,
            journal,
            hub,
            payload_bytes_max,
            look_again: LOOK_AGAIN,
            observers,
            tasks: None,
            shared: Shared::default(),
            queues: queues::Used::default(),
        }
    }
}

/// What a start came to, for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOutcome {
    /// The workflow was made now.
    New,
    /// It was there, with the same input or the same unique key.
    Existing(State),
}

/// What a start by an application came to.
#[derive(Debug)]
pub(crate) struct StartedHere {
    pub(crate) id: WorkflowId,
    pub(crate) started: Started,
    /// If it was made now, and by an application that runs workflows.
    pub(crate) watch: Option<Watch>,
}

/// One operation of a workflow, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The arguments.
    pub input: Option<Payload>,
    /// The operations in their order, failed attempts among them.
    pub operations: Vec<Record>,
    /// The output or the error, when it has ended with one.
    pub result: Option<Outcome>,
}

impl Client {
    /// The value of this type that an application and its workflows share, made when it is asked for
    /// the first time. For integrations that are no part of the application's state.
    #[must_use]
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.0.shared.get()
    }

    /// Tells the application's observer of something, if there is one. For sources of events.
    pub fn observe(&self, observation: &Observation<'_>) {
        self.0.observers.tell(observation);
    }

    /// The workflow with an id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an impossible id, [`ErrorKind::Unavailable`] without a database.
    pub async fn get(&self, id: &str) -> Result<Option<Workflow>, Error> {
        let id = WorkflowId::new(id)?;
        let found = self.0.store.find(&id).await;
        found.map_err(|error| Error::of_store(&format!("look up the workflow `{id}`"), error))
    }

    /// The workflow with an id, which must exist.
    pub(crate) async fn existing(&self, id: &str) -> Result<Workflow, Error> {
        self.get(id)
            .await?
            .ok_or_else(|| Error::no_such_workflow(id))
    }

    /// Workflows, newest first.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a condition that no workflow could meet (a name of more than 255
    /// bytes), [`ErrorKind::Unavailable`] without a database.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Workflow>, Error> {
        filter.check()?;
        self.0
            .store
            .list(filter)
            .await
            .map_err(|error| Error::of_store("list workflows", error))
    }

    /// Everything that a workflow has recorded.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn history(&self, id: &str) -> Result<History, Error> {
        let key = self.existing(id).await?.key;
        let records = self.records(key).await;
        let records = records.map_err(|error| Error::of_store(&format!("read `{id}`"), error))?;
        let mut history = History {
            input: None,
            operations: Vec::new(),
            result: None,
        };
        for record in records {
            match record.place {
                Place::Input => history.input = Some(record.outcome.payload().clone()),
                Place::Result => history.result = Some(record.outcome),
                Place::At(_) | Place::Attempt(..) | Place::Unknown(_) => {
                    history.operations.push(record);
                }
            }
        }
        Ok(history)
    }

    /// All records of a workflow, read page by page.
    pub(crate) async fn records(&self, key: WorkflowKey) -> Result<Vec<Record>, StoreError> {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let after = records.last().map(|record| record.place.clone());
            let page = self.0.store.history(key, after, PAGE).await?;
            let bytes = |record: &Record| record.outcome.payload().as_str().len();
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX)
                && page.iter().map(bytes).sum::<usize>() < PAGE_BYTES_MAX;
            records.extend(page);
            if is_last {
                return Ok(records);
            }
        }
    }

    /// Starts a workflow by name, to be run by any executor that knows the name. The same id again
    /// starts nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the id belongs to a workflow with another name or input,
    /// [`ErrorKind::Invalid`] for an id that callers may not choose ([`WorkflowId::given`]).
    pub async fn start(&self, new: NewWorkflow) -> Result<StartOutcome, Error> {
        check_given(&new.id)?;
        check_attributes(&new)?;
        self.start_made(new).await
    }

    /// As [`start`](Self::start), for a principal: what [`Call::principal`](crate::Call::principal) says
    /// where the type of the workflow is known.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_for(
        &self,
        principal: &str,
        mut new: NewWorkflow,
    ) -> Result<StartOutcome, Error> {
        check_given(&new.id)?;
        check_attributes(&new)?;
        let principal = (PRINCIPAL_ATTRIBUTE.to_owned(), principal.to_owned());
        new.attributes.push(principal);
        self.start_made(new).await
    }

    /// Starts a workflow whose id and attributes Stepwell has made, or that were checked.
    #[doc(hidden)]
    pub async fn start_made(&self, new: NewWorkflow) -> Result<StartOutcome, Error> {
        match self.start_change(new).await? {
            Started::New { .. } => Ok(StartOutcome::New),
            Started::Existing { state, .. } => Ok(StartOutcome::Existing(state)),
            Started::Joined { state, .. } => Ok(StartOutcome::Existing(state)),
            Started::Conflict { .. } | Started::Full { .. } | Started::Taken { .. } => {
                Err(unexpected("a start"))
            }
        }
    }

    async fn start_change(&self, new: NewWorkflow) -> Result<Started, Error> {
        check_start(&new)?;
        let (id, name) = (new.id.clone(), new.name.clone());
        let what = format!("start `{name}` as `{id}`");
        let applied = self.request(&what, Change::Start(new)).await?;
        started(applied, &id, &name)
    }

    /// Starts workflows in one commit, in their order. The executor of this process may run them at
    /// once; then they are watched from before they began.
    pub(crate) async fn start_here(
        &self,
        engine: &Arc<Engine>,
        new: Vec<NewWorkflow>,
    ) -> Vec<Result<StartedHere, Error>> {
        let named = |new: &NewWorkflow| (new.id.clone(), new.name.clone());
        let names: Vec<(WorkflowId, String)> = new.iter().map(named).collect();
        self.use_queues(engine, &new).await;
        let answers = self.0.journal.start_all(engine, new);
        let mut all = Vec::with_capacity(answers.len());
        for ((id, name), answer) in names.into_iter().zip(answers) {
            all.push(match answer.await {
                Ok((applied, watch)) => {
                    started(applied, &id, &name).map(|started| StartedHere { id, started, watch })
                }
                Err(error) => {
                    let what = format!("start `{name}` as `{id}`");
                    Err(Error::of_store(&what, error))
                }
            });
        }
        all
    }

    /// Puts a message into a workflow's inbox. With a `key`, once per key; without, each call is a
    /// message of its own, also if the database's answer to it is lost. From within a step it has a
    /// key by itself: an attempt that comes after another one sends nothing twice.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it has ended.
    pub async fn send(
        &self,
        id: &str,
        topic: &str,
        message: Payload,
        key: Option<String>,
    ) -> Result<(), Error> {
        let message = check_send(NewMessage {
            to: WorkflowId::new(id)?,
            topic: topic.to_owned(),
            payload: message,
            key,
        })?;
        let applied = self
            .request(&format!("send to `{id}`"), Change::Send(message))
            .await?;
        sent(&applied, id)
    }

    /// Cancels a workflow and its attached children, also one that is stuck or dead. Cancelling one that
    /// is cancelled is no error.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it has ended
    /// otherwise.
    pub async fn cancel(&self, id: &str) -> Result<(), Error> {
        match self
            .cancel_because(&WorkflowId::new(id)?, CancelCause::Request)
            .await?
        {
            Cancelled::Now(_) | Cancelled::Already(State::Cancelled) => Ok(()),
            Cancelled::Already(state) => Err(Error::new(
                ErrorKind::Conflict,
                format!("the workflow `{id}` has {state} and can no longer be cancelled"),
            )),
            Cancelled::NoSuchWorkflow => Err(Error::no_such_workflow(id)),
            Cancelled::NotDue => Err(unexpected("a cancellation")),
        }
    }

    pub(crate) async fn cancel_because(
        &self,
        id: &WorkflowId,
        cause: CancelCause,
    ) -> Result<Cancelled, Error> {
        let change = Change::Cancel(Cancel {
            id: id.clone(),
            cause,
        });
        match self.request(&format!("cancel `{id}`"), change).await? {
            Applied::Cancel(cancelled) => Ok(cancelled),
            _ => Err(unexpected("a cancellation")),
        }
    }

    /// Lets a cancelled, stuck or dead workflow go on from its last record.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow, [`ErrorKind::Conflict`] if it is on its
    /// way or has a result.
    pub async fn resume(&self, id: &str) -> Result<(), Error> {
        let change = Change::Resume(WorkflowId::new(id)?);
        match self.request(&format!("resume `{id}`"), change).await? {
            Applied::Resume(Resumed::Now) => Ok(()),
            Applied::Resume(Resumed::Not(state)) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the workflow `{id}` is {state}; only a cancelled, stuck or dead one can be \
                         resumed (fork it to run a part again)"
                ),
            )),
            Applied::Resume(Resumed::NoSuchWorkflow) => Err(Error::no_such_workflow(id)),
            _ => Err(unexpected("a resumption")),
        }
    }

    /// Starts the workflow `new_id` with the history of `id` before `from`; what comes at `from` and
    /// after it runs anew. The same fork again forks nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no workflow `id`, [`ErrorKind::Conflict`] if `new_id` belongs
    /// to another workflow, or to a fork from somewhere else.
    pub async fn fork(&self, id: &str, new_id: &str, from: Position) -> Result<(), Error> {
        let fork = Fork::new(WorkflowId::new(id)?, WorkflowId::given(new_id)?, from);
        match self
            .request(&format!("fork `{id}` as `{new_id}`"), Change::Fork(fork))
            .await?
        {
            Applied::Fork(Forked::New { .. } | Forked::Existing) => Ok(()),
            Applied::Fork(Forked::Taken) => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the id `{new_id}` belongs to a workflow that is not this fork of `{id}`; give the \
                     fork an id of its own"
                ),
            )),
            Applied::Fork(Forked::NoSuchWorkflow) => Err(Error::no_such_workflow(id)),
            _ => Err(unexpected("a fork")),
        }
    }

    /// What a workflow has published, by name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn events(&self, id: &str) -> Result<Vec<PublishedEvent>, Error> {
        let key = self.existing(id).await?.key;
        let events = self.0.store.events(key).await;
        events.map_err(|error| Error::of_store(&format!("read the events of `{id}`"), error))
    }

    /// The entries of a workflow's stream from an offset that are there now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn stream(&self, id: &str, name: &str, from: u64) -> Result<Vec<StreamEntry>, Error> {
        Text::StreamName.check(name)?;
        let key = self.existing(id).await?.key;
        let entries = self.0.store.stream(key, name, from, PAGE).await;
        entries
            .map_err(|error| Error::of_store(&format!("read the stream `{name}` of `{id}`"), error))
    }

    /// The take-overs of a workflow, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn takeovers(&self, id: &str) -> Result<Vec<Takeover>, Error> {
        let key = self.existing(id).await?.key;
        let takeovers = self.0.store.takeovers(key).await;
        takeovers.map_err(|error| Error::of_store(&format!("read the take-overs of `{id}`"), error))
    }

    /// The workflows that a workflow has started, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such workflow.
    pub async fn children(&self, id: &str) -> Result<Vec<Workflow>, Error> {
        let key = self.existing(id).await?.key;
        let children = self.0.store.children(key).await;
        children.map_err(|error| Error::of_store(&format!("read the children of `{id}`"), error))
    }

    /// The processes that run workflows, or did until lately.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] without a database.
    pub async fn executors(&self) -> Result<Vec<Executor>, Error> {
        self.0
            .store
            .executors()
            .await
            .map_err(|error| Error::of_store("list executors", error))
    }

    /// The time by the store's clock, the only one that counts.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.store.now()
    }

    /// Changes that reach the disk together.
    pub(crate) async fn request(&self, what: &str, change: Change) -> Result<Applied, Error> {
        self.0
            .journal
            .request(change)
            .await
            .map_err(|error| Error::of_store(what, error))
    }
}

/// A message that may be handed in. Without a key of the caller's it has one of its own.
pub(crate) fn check_send(mut message: NewMessage) -> Result<NewMessage, InvalidInput> {
    Text::Topic.check(&message.topic)?;
    match &message.key {
        Some(key) => {
            Text::MessageKey.check(key)?;
            if key.starts_with(MARK) {
                return Err(InvalidInput::new(format!(
                    "the key of the message {key:?} begins with `{MARK}`, as those do of messages that \
                     workflows send; choose one that does not"
                )));
            }
        }
        None => {
            let key = key_in_step(message.to.as_str(), &message.topic, &message.payload);
            message.key = Some(key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
        }
    }
    Ok(message)
}

/// What a send came to; a receiver that there is not is an error.
pub(crate) fn sent(applied: &Applied, id: &str) -> Result<(), Error> {
    match applied {
        Applied::Send(Sent::New { .. } | Sent::Duplicate { .. }) => Ok(()),
        Applied::Send(Sent::NoSuchWorkflow) => Err(Error::no_such_workflow(id)),
        Applied::Send(Sent::Ended { state }) => Err(Error::new(
            ErrorKind::Conflict,
            format!("the workflow `{id}` is {state} and receives nothing more"),
        )),
        _ => Err(unexpected("a send")),
    }
}

/// Checks the attributes of a start that a caller has made by hand.
pub(crate) fn check_attributes(new: &NewWorkflow) -> Result<(), InvalidInput> {
    let mut attributes = new.attributes.iter();
    attributes.try_for_each(|(name, value)| check_attribute(name, value))
}

pub(crate) fn check_start(new: &NewWorkflow) -> Result<(), Error> {
    for (what, duration) in [("delay", new.delay), ("deadline", new.deadline)] {
        check_duration(what, duration.unwrap_or(Duration::ZERO))?;
    }
    for (name, value) in &new.attributes {
        Text::AttributeName.check(name)?;
        Text::AttributeValue.check(value)?;
    }
    Text::WorkflowName.check(&new.name)?;
    if let Some(origin) = &new.origin {
        Text::Origin.check(origin)?;
    }
    if let Launch::Queue(queue) = &new.launch {
        check_queue(queue)?;
    }
    if let Some(unique) = &new.unique {
        check_unique(unique)?;
    }
    if let Some(message) = &new.message {
        Text::Topic.check(&message.topic)?;
        Text::MessageKey.check(&message.key)?;
    }
    Ok(())
}

/// What a start came to; a conflict is an error.
pub(crate) fn started(applied: Applied, id: &WorkflowId, name: &str) -> Result<Started, Error> {
    match applied {
        Applied::Start(Started::Conflict { name: other }) => Err(start_conflict(id, name, &other)),
        Applied::Start(Started::Full { waiting_max }) => Err(Error::new(
            ErrorKind::Full,
            format!(
                "`{id}` was not started: {waiting_max} workflows wait in its queue, as many as may; \
                 try again later, or raise the queue's limit"
            ),
        )),
        Applied::Start(Started::Taken { id: other }) => Err(Error::new(
            ErrorKind::Conflict,
            format!("`{id}` was not started: `{other}` of the same unique key is there"),
        )),
        Applied::Start(started) => Ok(started),
        _ => Err(unexpected("a start")),
    }
}

fn start_conflict(id: &WorkflowId, name: &str, other: &str) -> Error {
    let what = if name == other {
        format!("the id `{id}` belongs to a `{name}` that was started with another input")
    } else {
        format!("the id `{id}` belongs to a `{other}`, not to a `{name}`")
    };
    Error::new(
        ErrorKind::Conflict,
        format!("{what}; give every piece of work an id of its own"),
    )
}

pub(crate) fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("the store answered {what} with the outcome of another change"),
    )
}
