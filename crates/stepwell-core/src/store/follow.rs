//! Reads for those who watch workflows while they run: they ask often, and mostly nothing has happened.

use jiff::Timestamp;

use super::StoreFuture;
use crate::{
    id::WorkflowKey,
    payload::Payload,
    workflow::{Place, RecordKind, State},
};

/// Reads what workflows do.
pub trait FollowStore {
    /// How far these workflows are, in any order. One that is not there is left out, and so is one whose
    /// state is of a newer version.
    fn marks(&self, keys: Vec<WorkflowKey>) -> StoreFuture<'_, Vec<Mark>>;

    /// What a workflow has recorded after a moment, in the order in which it did, up to `limit`.
    fn recorded(
        &self,
        key: WorkflowKey,
        after: Option<Moment>,
        values: Values,
        limit: u32,
    ) -> StoreFuture<'_, Vec<Recorded>>;
}

/// How far a workflow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which workflow.
    pub key: WorkflowKey,
    /// Where it is in its life.
    pub state: State,
    /// How many operations it has recorded, failed attempts among them. Never becomes less.
    pub operations: u64,
}

/// Where a record stands among the others of its workflow, by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When it was made.
    pub at: Timestamp,
    /// Where it stands in the history: what is made in one moment has an order, too.
    pub place: Place,
}

/// Which values are read with the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// None.
    LeftOut,
    /// Those that the workflow has published.
    Published,
}

/// A record without what came of it: what a step returns may be large, and secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Where it stands in the history.
    pub place: Place,
    /// What the operation is.
    pub kind: RecordKind,
    /// Its name.
    pub name: String,
    /// `ok` or `error`, as [`Outcome::as_str`](crate::Outcome::as_str) says it.
    pub outcome: &'static str,
    /// The value of a record that published one, if it was asked for.
    pub published: Option<Payload>,
    /// How many attempts it took.
    pub attempts: u32,
    /// When the operation began.
    pub started_at: Timestamp,
    /// When the record was made.
    pub recorded_at: Timestamp,
}

impl Recorded {
    /// Where it stands among the others, by time.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment {
            at: self.recorded_at,
            place: self.place.clone(),
        }
    }
}
