//! The one durable write: an event is accepted by starting its workflow.

use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use stepwell_core::{
    App, BoxFuture, Call, Error, ErrorKind, Handle, Payload, StartOutcome, Workflow,
    limits::Text,
    observe::{Fate, Observation},
    store::NewWorkflow,
};

use crate::{
    delivery::{Delivery, Repeats},
    event_id::{bounded, event_id},
    poisoned::{POISON_BYTES, Poison, Poisoned, cut, poison, poison_id},
};

/// The first and the longest pause before events are handed in again that could not be started.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

type Map<W> = dyn Fn(&Delivery) -> Result<Call<W>, String> + Send + Sync;
type Started<W> = Result<(Handle<W>, StartOutcome), Error>;

/// Accepts the events of one source. Cheap to clone.
pub struct Intake<W: Workflow> {
    entry: Arc<Entry<W>>,
}

/// What a poison event is tried again by.
struct Entry<W: Workflow> {
    app: App<W::State>,
    map: Box<Map<W>>,
}

impl<W: Workflow> Clone for Intake<W> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
        }
    }
}

impl<W: Workflow> fmt::Debug for Intake<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake")
            .field("workflow", &W::NAME)
            .finish_non_exhaustive()
    }
}

/// What became of a delivery. Each of them is durable: it may be acknowledged.
pub enum Taken<W> {
    /// Its workflow exists from now on.
    Started(Handle<W>),
    /// Its workflow was there, or one that it joins by its unique key.
    Duplicate(Handle<W>),
    /// No workflow can be made of it; it is kept among the dead letters.
    Poison {
        /// The id of the workflow that keeps it.
        id: String,
    },
}

impl<W> Clone for Taken<W> {
    fn clone(&self) -> Self {
        match self {
            Self::Started(handle) => Self::Started(handle.clone()),
            Self::Duplicate(handle) => Self::Duplicate(handle.clone()),
            Self::Poison { id } => Self::Poison { id: id.clone() },
        }
    }
}

impl<W> fmt::Debug for Taken<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(handle) => f.debug_tuple("Started").field(handle).finish(),
            Self::Duplicate(handle) => f.debug_tuple("Duplicate").field(handle).finish(),
            Self::Poison { id } => f.debug_struct("Poison").field("id", id).finish(),
        }
    }
}

/// The application stops: what was not accepted is not acknowledged, and the source has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping;

impl fmt::Display for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the application stops")
    }
}

impl std::error::Error for Stopping {}

impl<W: Workflow> Intake<W> {
    pub(crate) fn new<E: fmt::Display>(
        app: &App<W::State>,
        source: &str,
        map: impl Fn(&Delivery) -> Result<Call<W>, E> + Send + Sync + 'static,
    ) -> Self {
        let entry = Arc::new(Entry {
            app: app.clone(),
            map: Box::new(move |delivery| map(delivery).map_err(|error| error.to_string())),
        });
        let intakes = app.client().shared::<Intakes>();
        // Whoever holds the source holds the intake: the application must not hold itself.
        let again: Weak<dyn Again> = Arc::<Entry<W>>::downgrade(&entry);
        intakes.add(source, again);
        Self { entry }
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &App<W::State> {
        &self.entry.app
    }

    /// Returns when the application has begun to stop: fetch nothing more.
    pub async fn stopping(&self) {
        self.app().stopping().await;
    }

    /// Accepts one delivery, once it is durable.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] if its queue has no room, [`ErrorKind::Unavailable`] without a database: then
    /// it must not be acknowledged.
    pub async fn accept(&self, delivery: &Delivery) -> Result<Taken<W>, Error> {
        let mut all = self.accept_each(&[delivery]).await;
        all.pop().unwrap_or_else(|| {
            let message = "a start was not answered";
            Err(Error::new(ErrorKind::Internal, message))
        })
    }

    /// Accepts deliveries, in this order and in one commit. While their queue has no room, or the
    /// database is away, it pauses and tries those again that are left.
    ///
    /// # Errors
    /// When the application stops before all are accepted.
    pub async fn accept_all(&self, deliveries: &[Delivery]) -> Result<Vec<Taken<W>>, Stopping> {
        let mut left: Vec<usize> = (0..deliveries.len()).collect();
        let mut all: Vec<Option<Taken<W>>> = deliveries.iter().map(|_| None).collect();
        let mut pause = PAUSE.0;
        loop {
            let handed: Vec<&Delivery> = left.iter().map(|index| &deliveries[*index]).collect();
            let taken = self.accept_each(&handed).await;
            let mut refused = None;
            left = left
                .into_iter()
                .zip(taken)
                .filter_map(|(index, taken)| match taken {
                    Ok(taken) => {
                        all[index] = Some(taken);
                        None
                    }
                    Err(error) => {
                        refused.get_or_insert(error);
                        Some(index)
                    }
                })
                .collect();
            let Some(error) = refused else {
                return Ok(all.into_iter().flatten().collect());
            };
            if left.len() < handed.len() {
                pause = PAUSE.0;
            }
            tracing::warn!(%error, left = left.len(), "a source waits: events cannot be started");
            rest(self.app(), &mut pause).await?;
        }
    }

    /// Tries each of them once, all in one commit.
    async fn accept_each(&self, deliveries: &[&Delivery]) -> Vec<Result<Taken<W>, Error>> {
        let bounded: Vec<_> = deliveries.iter().map(|it| bounded(it)).collect();
        let mut calls = Vec::with_capacity(bounded.len());
        let mapped: Vec<Result<Id, String>> = bounded
            .iter()
            .map(|delivery| {
                let (id, call) = self.entry.call(delivery)?;
                calls.push(call);
                Ok(id)
            })
            .collect();
        let mut started = self.app().start_all(calls).await.into_iter();
        let taken = bounded.iter().zip(mapped).map(|(delivery, mapped)| {
            let started = match mapped {
                Ok(id) => Ok((id, started.next())),
                Err(reason) => Err(reason),
            };
            async move {
                let taken = match started {
                    Ok((id, Some(started))) => self.started(delivery, id, started).await,
                    Ok((id, None)) => Err(unanswered(id.as_str())),
                    Err(reason) => self.keep(delivery, reason).await,
                };
                taken.inspect(|taken| self.observe(delivery, taken))
            }
        });
        join_all(taken).await
    }

    fn observe(&self, delivery: &Delivery, taken: &Taken<W>) {
        let client = self.app().client();
        let since = |at| Duration::try_from(client.now().duration_since(at)).unwrap_or_default();
        client.observe(&Observation::Event {
            source: &delivery.source,
            kind: delivery.kind.as_deref(),
            fate: match taken {
                Taken::Started(_) => Fate::Started,
                Taken::Duplicate(_) => Fate::Duplicate,
                Taken::Poison { .. } => Fate::Poison,
            },
            age: delivery.at.map(since),
        });
    }

    async fn started(
        &self,
        delivery: &Delivery,
        id: Id,
        started: Started<W>,
    ) -> Result<Taken<W>, Error> {
        match started {
            Ok((handle, StartOutcome::New)) => Ok(Taken::Started(handle)),
            Ok((handle, StartOutcome::Existing(_))) => {
                let came = match handle.id() == id.as_str() {
                    true => "an event came again",
                    false => "an event joined the work that is there, as its unique key says",
                };
                let source = &delivery.source;
                tracing::info!(workflow_id = handle.id(), source, "{came}");
                Ok(Taken::Duplicate(handle))
            }
            // A limit stays broken however often the event comes.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                self.keep(delivery, error.to_string()).await
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.known(delivery, id, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// The start was refused: its id belongs to a workflow with another name or input, or its unique key
    /// to another one.
    async fn known(&self, delivery: &Delivery, id: Id, conflict: Error) -> Result<Taken<W>, Error> {
        let Id::OfTheEvent(id) = id else {
            // An id that the mapping chose may be of another event: this one would be kept nowhere.
            return self.keep(delivery, conflict.to_string()).await;
        };
        if delivery.repeats == Repeats::Alike {
            return self.keep(delivery, conflict.to_string()).await;
        }
        // Only what is really there is acknowledged: it has the event's own id, and is what its events
        // start.
        let known = self.app().client().get(&id).await?;
        if known.is_none_or(|known| known.name != W::NAME) {
            return self.keep(delivery, conflict.to_string()).await;
        }
        tracing::warn!(workflow_id = id, %conflict, "an event came again with other content");
        Ok(Taken::Duplicate(self.app().handle(id)))
    }

    /// Keeps an event that no workflow can be made of, once.
    async fn keep(&self, delivery: &Delivery, reason: String) -> Result<Taken<W>, Error> {
        let (source, event, reason) = (&delivery.source, &delivery.id, cut(reason));
        tracing::error!(
            source,
            event,
            reason,
            "no workflow can be made of an event: it is kept"
        );
        let bytes_max = self.app().payload_bytes_max();
        let kept = Poison::new(delivery, reason, bytes_max);
        let input = Payload::of(&(&kept,), bytes_max.max(POISON_BYTES))?;
        let id = poison_id(delivery);
        let new = NewWorkflow {
            origin: Some(origin(delivery)),
            ..NewWorkflow::new(id.clone(), poison::NAME, input)
        };
        match self.app().client().start_made(new.clone()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.keep_beside(new, &kept, &error).await
            }
            Err(error) => Err(error),
            Ok(_) => Ok(Taken::Poison { id: id.to_string() }),
        }
    }

    /// The id of the poison is taken: by the same event, which was kept with another reason, or by
    /// something else, which it must not be lost for.
    async fn keep_beside(
        &self,
        new: NewWorkflow,
        kept: &Poison,
        conflict: &Error,
    ) -> Result<Taken<W>, Error> {
        let client = self.app().client();
        let there = match client.history(new.id.as_str()).await {
            Ok(there) => there.input,
            // It was deleted since.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let there = there.and_then(|input| input.read::<(Poison,)>().ok());
        if there.is_some_and(|(there,)| there.is_of_the_event_of(kept)) {
            let id = new.id.to_string();
            return Ok(Taken::Poison { id });
        }
        let new = new.beside(conflict);
        let id = new.id.to_string();
        client.start_made(new).await?;
        Ok(Taken::Poison { id })
    }
}

/// Whose id a start has.
enum Id {
    /// The event's.
    OfTheEvent(String),
    /// One that its mapping chose.
    Chosen(String),
}

impl Id {
    fn as_str(&self) -> &str {
        match self {
            Self::OfTheEvent(id) | Self::Chosen(id) => id,
        }
    }
}

impl<W: Workflow> Entry<W> {
    /// The call that the event is mapped to, with its id.
    fn call(&self, delivery: &Delivery) -> Result<(Id, Call<W>), String> {
        if let Some(reason) = &delivery.unusable {
            return Err(reason.clone());
        }
        let mapped = std::panic::catch_unwind(AssertUnwindSafe(|| (self.map)(delivery)));
        let mut call =
            mapped.unwrap_or_else(|_| Err("the mapping of the event panicked".into()))?;
        if call.given_origin().is_none() {
            call = call.origin(origin(delivery));
        }
        // A source is faster than its workflows: what this process has no room for waits in the
        // database, for whoever has.
        if !self.app.has_room() {
            call = call.anywhere();
        }
        match call.given_id() {
            Some(id) => Ok((Id::Chosen(id.to_owned()), call)),
            // One id for all that have none: each after the first would pass for the first come again.
            None if delivery.id.is_empty() => Err("the event has no id".to_owned()),
            None => {
                let id = event_id(&delivery.source, &[&delivery.id]);
                Ok((Id::OfTheEvent(id.to_string()), call.id(id)))
            }
        }
    }
}

/// Where a workflow comes from: `stripe/invoice.paid`.
fn origin(delivery: &Delivery) -> String {
    let with_kind = delivery.kind.as_deref();
    let with_kind = with_kind.map(|kind| format!("{}/{kind}", delivery.source));
    with_kind
        .filter(|origin| Text::Origin.check(origin).is_ok())
        // What is only shown must not keep an event from being taken.
        .unwrap_or_else(|| Text::Origin.fit(&delivery.source))
}

/// Pauses, longer each time.
async fn rest<S: Send + Sync + 'static>(
    app: &App<S>,
    pause: &mut Duration,
) -> Result<(), Stopping> {
    tokio::select! {
        () = app.stopping() => return Err(Stopping),
        () = tokio::time::sleep(*pause) => {}
    }
    *pause = (*pause * 2).min(PAUSE.1);
    Ok(())
}

fn unanswered(id: &str) -> Error {
    let message = format!("the start of `{id}` was not answered");
    Error::new(ErrorKind::Internal, message)
}

/// Tries poison again, whatever it starts.
trait Again: Send + Sync {
    fn again(&self, delivery: Delivery) -> BoxFuture<'_, Result<String, Poisoned>>;
}

impl<W: Workflow> Again for Entry<W> {
    fn again(&self, delivery: Delivery) -> BoxFuture<'_, Result<String, Poisoned>> {
        Box::pin(async move {
            let mut pause = PAUSE.0;
            loop {
                let (_, call) = self.call(&delivery).map_err(Poisoned::new)?;
                match self.app.start_new(call).await {
                    Ok((handle, _)) => return Ok(handle.id().to_owned()),
                    Err(error) => match error.kind() {
                        ErrorKind::Invalid | ErrorKind::Conflict => {
                            return Err(Poisoned::new(error.to_string()));
                        }
                        _ => {}
                    },
                }
                // Trouble of the database is none of the event's. When the application stops, the step is
                // dropped here.
                if rest(&self.app, &mut pause).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
    }
}

/// The intakes of an application by their sources' names: how its poison finds them again.
#[derive(Default)]
pub(crate) struct Intakes(Mutex<HashMap<String, Weak<dyn Again>>>);

impl Intakes {
    fn add(&self, source: &str, intake: Weak<dyn Again>) {
        let mut intakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        intakes.insert(source.to_owned(), intake);
    }

    fn get(&self, source: &str) -> Option<Arc<dyn Again>> {
        let intakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        intakes.get(source)?.upgrade()
    }

    /// Starts what a poison event should have started, if its mapping can by now.
    pub(crate) async fn again(&self, kept: Poison) -> Result<String, Poisoned> {
        let Some(intake) = self.get(&kept.source) else {
            let (reason, source) = (kept.reason, kept.source);
            let reason =
                format!("{reason} (and this process has no source `{source}` to try again)");
            return Err(Poisoned::new(reason));
        };
        match kept.delivery() {
            Ok(delivery) => intake.again(delivery).await,
            Err(_) => Err(Poisoned::new(kept.reason)),
        }
    }
}
