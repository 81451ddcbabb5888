//! Reads of workflows and their histories.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::StoreFuture;
use crate::{
    id::{WorkflowId, WorkflowKey},
    limits::{InvalidInput, Text},
    workflow::{Outcome, Place, Record, State, Takeover, Workflow},
};

/// Once the rows of a page hold this many bytes of payloads, the page ends: 16 MiB. So what one answer
/// brings into memory is bounded by this and one payload, however many rows were asked for.
pub const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads workflows and their histories.
pub trait WorkflowStore {
    /// The workflow with an id.
    fn find(&self, id: &WorkflowId) -> StoreFuture<'_, Option<Workflow>>;

    /// The workflow's state and, when it has ended with one, its result.
    fn result(&self, key: WorkflowKey) -> StoreFuture<'_, Option<(Workflow, Option<Outcome>)>>;

    /// Whether a stuck workflow may still go on by itself: a live executor has a version that did not
    /// get stuck in it and has not come past it yet. Of an executor that never looked at anything of
    /// its name nobody knows whether it will: it counts for as long as `patience` after the workflow got
    /// stuck.
    fn is_untried(&self, key: WorkflowKey, patience: Duration) -> StoreFuture<'_, bool>;

    /// The records after a place, in the order of the history, up to `limit`; fewer when they hold
    /// [`PAGE_BYTES_MAX`].
    fn history(
        &self,
        key: WorkflowKey,
        after: Option<Place>,
        limit: u32,
    ) -> StoreFuture<'_, Vec<Record>>;

    /// The workflows that a filter lets through, newest first.
    fn list(&self, filter: Filter) -> StoreFuture<'_, Vec<Workflow>>;

    /// The dead letters that nobody has acknowledged, grouped by what they have in common: the largest
    /// groups first, up to [`DEAD_LETTER_GROUPS_MAX`].
    fn dead_letters(&self) -> StoreFuture<'_, Vec<DeadLetters>>;

    /// How many workflows there are of each origin, name and state: the largest numbers first, up to
    /// [`TALLIES_MAX`]. Reads every workflow, or an index of all.
    fn tallies(&self) -> StoreFuture<'_, Vec<Tally>>;

    /// The names of workflows that wait for an executor, the most frequent first, up to
    /// [`NAMES_WAITING_MAX`]. Looks at no more than [`LOOKED_AT_MAX`] workflows.
    fn names_waiting(&self) -> StoreFuture<'_, Vec<NameWaiting>>;

    /// The take-overs of a workflow, oldest first.
    fn takeovers(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<Takeover>>;

    /// The workflows that this one started, oldest first.
    fn children(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<Workflow>>;
}

/// How many groups of dead letters are told at most.
pub const DEAD_LETTER_GROUPS_MAX: u32 = 1_000;

/// Dead letters that are alike: failed, stuck or dead, and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetters {
    /// The name of the function.
    pub name: String,
    /// Failed, stuck or dead.
    pub state: State,
    /// The error's type, and its message without digits and ids; none of those that are stuck or dead.
    pub fingerprint: Option<String>,
    /// How many there are.
    pub count: u64,
    /// When the first of them was started.
    pub first_at: Timestamp,
    /// When the last of them was started.
    pub last_at: Timestamp,
    /// The newest of them.
    pub newest: WorkflowId,
}

/// How many tallies are told at most.
pub const TALLIES_MAX: u32 = 10_000;

/// How many workflows have an origin, a name and a state in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Where they came from.
    pub origin: Option<String>,
    /// The name of the function.
    pub name: String,
    /// Where they are in their lives.
    pub state: State,
    /// How many there are.
    pub count: u64,
}

/// The bound of names in [`WorkflowStore::names_waiting`].
pub const NAMES_WAITING_MAX: u32 = 1_000;

/// The bound of workflows that are looked at for their names.
pub const LOOKED_AT_MAX: u32 = 100_000;

/// The number of workflows of one name that wait for an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameWaiting {
    /// The name of the function.
    pub name: String,
    /// Their number, of those that were looked at.
    pub count: u64,
}

/// Which workflows a list shows. Every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states; all when empty.
    pub states: Vec<State>,
    /// The name of the function.
    pub name: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// Ids that begin with this.
    pub id_prefix: Option<String>,
    /// An attribute with this name and value.
    pub attribute: Option<(String, String)>,
    /// What it has in common with others that failed alike.
    pub fingerprint: Option<String>,
    /// Only dead letters that nobody has acknowledged.
    pub unacknowledged: bool,
    /// Started at this instant or later.
    pub created_from: Option<Timestamp>,
    /// Started before this instant.
    pub created_before: Option<Timestamp>,
    /// Only those older than this one: the last of the page before.
    pub before: Option<WorkflowKey>,
    /// How many at most; 100 when it is 0, never more than 1,000.
    pub limit: u32,
}

impl Filter {
    /// The bound of a page.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        match self.limit {
            0 => 100,
            more => more.min(1_000),
        }
    }

    /// Refuses texts that no workflow could have, and that not every database could be asked for.
    ///
    /// # Errors
    /// For the first of them, with its bound.
    pub fn check(&self) -> Result<(), InvalidInput> {
        let attribute = self.attribute.as_ref();
        let texts = [
            (Text::WorkflowName, self.name.as_ref()),
            (Text::QueueName, self.queue.as_ref()),
            (Text::IdPrefix, self.id_prefix.as_ref()),
            (Text::AttributeName, attribute.map(|(name, _)| name)),
            (Text::AttributeValue, attribute.map(|(_, value)| value)),
            (Text::Fingerprint, self.fingerprint.as_ref()),
        ];
        texts
            .into_iter()
            .try_for_each(|(kind, text)| text.map_or(Ok(()), |text| kind.check(text)))
    }
}
