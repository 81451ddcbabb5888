//! [`Follow`]: a workflow, watched while it runs.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::futures::OwnedNotified, time::Instant};

use super::Client;
use crate::{
    error::Error,
    hub::Watch,
    id::WorkflowKey,
    payload::Payload,
    store::{Mark, Moment, Recorded, StoreError, Values},
    workflow::{RecordKind, State},
};

/// How often the database is asked how far the workflows are that somebody watches. What this process
/// records is heard at once, and so are messages, events, entries and ends of others; of a step that
/// another process has recorded nobody tells.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many marks are read by one statement.
const MARKS_MAX: usize = 1_000;
/// How many operations are read at once, with the values that they published.
const PAGE: u32 = 32;
/// How many operations are read at once to be passed over.
const PASSED_PAGE: u32 = 1_000;

/// A workflow that is watched. It knows how far it has come, and reads what is new.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    id: String,
    key: WorkflowKey,
    watch: Watch,
    /// Taken before each look, so that no change after it is missed.
    next: Pin<Box<OwnedNotified>>,
    after: Option<Moment>,
    operations: u64,
    /// How many entries each stream has, as far as they were seen.
    entries: HashMap<String, u64>,
    _registered: Registered,
}

/// What is new of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Where the workflow is in its life; none if there is no such workflow any more.
    pub state: Option<State>,
    /// What it has recorded, in the order in which it did.
    pub operations: Vec<Followed>,
    /// Whether these are all: if not, there is more to read at once.
    pub is_all: bool,
}

/// An operation of a workflow that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Its number among all that the workflow has recorded, from 1.
    pub number: u64,
    /// What is known of it.
    pub record: Recorded,
    /// Of one that appended to a stream: the entry's offset and its value.
    pub entry: Option<(u64, Option<Payload>)>,
}

impl Client {
    /// Watches a workflow. Those who watch share their looks at the database, and nobody reads again
    /// what was seen.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such workflow.
    pub async fn follow(&self, id: &str) -> Result<Follow, Error> {
        let key = self.existing(id).await?.key;
        let watch = self.0.hub.watch(key);
        Ok(Follow {
            client: self.clone(),
            id: id.to_owned(),
            key,
            next: watch.next_record(),
            watch,
            after: None,
            operations: 0,
            entries: HashMap::new(),
            _registered: self.shared::<Followers>().register(key),
        })
    }
}

impl Follow {
    /// The id of the workflow.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How many of its operations were seen.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// How far the workflow is, whatever was seen of it; none if it is not there any more.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) without a database.
    pub async fn mark(&self) -> Result<Option<Mark>, Error> {
        let marks = self.client.0.store.marks(vec![self.key]).await;
        marks
            .map(|marks| marks.into_iter().next())
            .map_err(|error| self.failed(error))
    }

    /// Passes over the first so many operations, as if they had been seen. Fewer if there are fewer.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub async fn pass(&mut self, operations: u64) -> Result<(), Error> {
        while self.operations < operations {
            let left = operations - self.operations;
            let limit = u32::try_from(left).unwrap_or(u32::MAX).min(PASSED_PAGE);
            let passed = self.records(Values::LeftOut, limit).await?;
            if passed.is_empty() {
                return Ok(());
            }
            passed.into_iter().for_each(|record| drop(self.see(record)));
        }
        Ok(())
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub async fn progress(&mut self) -> Result<Progress, Error> {
        self.next = self.watch.next_record();
        // The state first: what is recorded before an end is among what is read after it.
        let state = self.mark().await?.map(|mark| mark.state);
        let records = self.records(Values::Published, PAGE).await?;
        let is_all = records.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let mut operations: Vec<Followed> =
            records.into_iter().map(|record| self.see(record)).collect();
        self.read_entries(&mut operations).await?;
        Ok(Progress {
            state,
            operations,
            is_all,
        })
    }

    /// Waits until the workflow may have done something since the last [`progress`](Self::progress)
    /// began.
    pub async fn changed(&mut self) {
        let followers = self.client.shared::<Followers>();
        tokio::select! {
            () = self.next.as_mut() => {}
            () = followers.look_for_all(&self.client) => {}
        }
        // A future that is done must not be polled again.
        self.next = self.watch.next_record();
    }

    async fn records(&self, values: Values, limit: u32) -> Result<Vec<Recorded>, Error> {
        let store = &self.client.0.store;
        let records = store.recorded(self.key, self.after.clone(), values, limit);
        records.await.map_err(|error| self.failed(error))
    }

    fn see(&mut self, record: Recorded) -> Followed {
        self.after = Some(record.moment());
        self.operations += 1;
        let entry = (record.kind == RecordKind::Append).then(|| {
            let entries = self.entries.entry(record.name.clone()).or_default();
            *entries += 1;
            (*entries - 1, None)
        });
        Followed {
            number: self.operations,
            record,
            entry,
        }
    }

    /// Reads the values of what was appended, those of one stream together.
    async fn read_entries(&self, operations: &mut [Followed]) -> Result<(), Error> {
        let mut streams: HashMap<String, (u64, u32)> = HashMap::new();
        for operation in operations.iter() {
            if let Some((offset, _)) = operation.entry {
                let name = operation.record.name.clone();
                streams.entry(name).or_insert((offset, 0)).1 += 1;
            }
        }
        for (name, (from, count)) in streams {
            let entries = self.client.0.store.stream(self.key, &name, from, count);
            let entries = entries.await.map_err(|error| self.failed(error))?;
            let mut values: HashMap<u64, Payload> = entries
                .into_iter()
                .map(|entry| (entry.offset, entry.value))
                .collect();
            for operation in operations.iter_mut().filter(|it| it.record.name == name) {
                if let Some((offset, value)) = &mut operation.entry {
                    *value = values.remove(&*offset);
                }
            }
        }
        Ok(())
    }

    fn failed(&self, error: StoreError) -> Error {
        Error::of_store(&format!("watch `{}`", self.id), error)
    }
}

/// Those who watch workflows in this process. One of them looks for all.
#[derive(Debug, Default)]
struct Followers {
    watched: Arc<Mutex<HashMap<WorkflowKey, Watched>>>,
    /// Held by the one who looks. When it goes away the next one goes on.
    turn: tokio::sync::Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Watched {
    by: usize,
    /// How far it was at the last look.
    mark: Option<Mark>,
}

#[derive(Debug, Default)]
struct Turn {
    looked_at: Option<Instant>,
    failing: bool,
}

/// Somebody watches a workflow, until this is dropped.
#[derive(Debug)]
struct Registered {
    watched: Arc<Mutex<HashMap<WorkflowKey, Watched>>>,
    key: WorkflowKey,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let left = watched.get_mut(&self.key).map_or(0, |it| {
            it.by -= 1;
            it.by
        });
        if left == 0 {
            watched.remove(&self.key);
        }
    }
}

impl Followers {
    fn register(&self, key: WorkflowKey) -> Registered {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.entry(key).or_default().by += 1;
        Registered {
            watched: Arc::clone(&self.watched),
            key,
        }
    }

    /// Looks at the database for all who watch, for as long as it is polled.
    async fn look_for_all(&self, client: &Client) {
        let mut turn = self.turn.lock().await;
        loop {
            let next = turn.looked_at.map(|at| at + LOOK_EVERY);
            tokio::time::sleep_until(next.unwrap_or_else(Instant::now)).await;
            // Noted after the look: one that is dropped half way does not count, and the next one who has
            // the turn looks at once.
            let looked = self.look(client).await;
            turn.looked_at = Some(Instant::now());
            match looked {
                Ok(()) => turn.failing = false,
                Err(error) => {
                    // Once, and not twice a second for as long as the database is away.
                    if !std::mem::replace(&mut turn.failing, true) {
                        tracing::warn!(
                            error = error.to_string(),
                            "could not look for those who watch"
                        );
                    }
                }
            }
        }
    }

    async fn look(&self, client: &Client) -> Result<(), StoreError> {
        let keys: Vec<WorkflowKey> = self.lock().keys().copied().collect();
        for keys in keys.chunks(MARKS_MAX) {
            let marks = client.0.store.marks(keys.to_vec()).await?;
            let marks: HashMap<_, _> = marks.into_iter().map(|mark| (mark.key, mark)).collect();
            for key in keys {
                let mark = marks.get(key).copied();
                let changed = self.lock().get_mut(key).is_some_and(|it| {
                    let before = std::mem::replace(&mut it.mark, mark);
                    // Without a mark before, nobody knows what those who watch have seen.
                    before.is_none() || before != mark
                });
                if changed {
                    client.0.hub.recorded(*key);
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WorkflowKey, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
