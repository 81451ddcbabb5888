//! The one statement that applies most of a batch: starts, records and ends, over arrays.
//!
//! Every row is addressed by its key, from the arrays: the plan is a loop over them with a look
//! into one index each, however large the tables are, and without their statistics. `offset 0`
//! keeps the planner from turning a look into a join, and conditions on state and owner stand
//! where, or in a form in which, it cannot take them for those of `workflows_running`: joining
//! through that index reads the dead entries of all that ran before. `plans.rs` reads the plans.

mod arrays;
pub(crate) mod sql;

use std::collections::{HashMap, HashSet};

use stepwell_core::{
    ExecutorId, WorkflowKey,
    store::{Applied, Change, Finished, Progressed, Started},
};
use tokio_postgres::Row;

use self::arrays::Arrays;
use crate::{connection::Connection, error::Failure, rows::get};

/// What became of the hot changes of a round.
pub(super) enum Hot {
    /// The fence did not hold: nothing was written.
    Fenced,
    /// The changes that did not go in, by their places. What became of them is asked apart.
    Done(Vec<usize>),
}

/// How starts come to bounded queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// What needs room in one does not go in: it is counted apart.
    Asked,
    /// All go in.
    Open,
}

/// The hot changes of a round, ready to be applied.
pub(super) struct Work<'c> {
    executor: Option<&'c ExecutorId>,
    changes: &'c [Change],
    /// Those that are in the arrays, by their places.
    places: Vec<usize>,
    /// Those that cannot be: nothing runs at a client.
    left: Vec<usize>,
    arrays: Arrays<'c>,
}

impl<'c> Work<'c> {
    /// The changes at `places`.
    pub(super) fn of(
        (executor, door): (Option<&'c ExecutorId>, Door),
        (changes, places): (&'c [Change], &[usize]),
    ) -> Self {
        let is_a_clients = |place: &usize| executor.is_none() && changes[*place].is_of_a_run();
        let (left, places): (Vec<_>, Vec<_>) = places.iter().copied().partition(is_a_clients);
        let mut arrays = Arrays::default();
        for place in &places {
            arrays.add(&changes[*place], (executor.is_some(), door));
        }
        Self {
            executor,
            changes,
            places,
            left,
            arrays,
        }
    }

    /// Prepares the statement: what is to be sent behind it without waiting would overtake it
    /// otherwise.
    pub(super) async fn prepare(&self, db: &Connection) -> Result<(), Failure> {
        self.arrays.prepare(db, self.executor.is_some()).await
    }

    /// Applies the changes, and answers those that went in.
    ///
    /// With `losses` the fence holds only while the executor has lost no more than that; without,
    /// somebody holds its lock already.
    pub(super) async fn apply(
        &self,
        db: &Connection,
        losses: Option<i64>,
        answers: &mut [Option<Applied>],
    ) -> Result<Hot, Failure> {
        let mut left = self.left.clone();
        if self.arrays.is_empty() {
            return Ok(Hot::Done(left));
        }
        let row = self.arrays.run(db, self.executor, losses).await?;
        let Some(row) = row.filter(|row| !matches!(get::<Option<i64>>(row, 0), Ok(None))) else {
            return Ok(Hot::Fenced);
        };
        let in_now = WentIn::read(&row)?;
        for place in &self.places {
            match in_now.answer(&self.changes[*place]) {
                Some(applied) => answers[*place] = Some(applied),
                None => left.push(*place),
            }
        }
        Ok(Hot::Done(left))
    }
}

/// The types of all that the statements are given.
#[cfg(test)]
pub(crate) fn types() -> Vec<tokio_postgres::types::Type> {
    Arrays::default().types()
}

/// What the statement says went in.
struct WentIn {
    /// The records; none where all of them did.
    added: Option<HashSet<(i64, String)>>,
    ended: HashSet<i64>,
    started: HashMap<String, i64>,
}

impl WentIn {
    fn read(row: &Row) -> Result<Self, Failure> {
        let all: bool = get(row, 3)?;
        let keys: Vec<i64> = get::<Option<_>>(row, 1)?.unwrap_or_default();
        let places: Vec<String> = get::<Option<_>>(row, 2)?.unwrap_or_default();
        let ended: Vec<i64> = get::<Option<_>>(row, 4)?.unwrap_or_default();
        let started: Vec<i64> = get::<Option<_>>(row, 5)?.unwrap_or_default();
        let ids: Vec<String> = get::<Option<_>>(row, 6)?.unwrap_or_default();
        Ok(Self {
            added: (!all).then(|| keys.into_iter().zip(places).collect()),
            ended: ended.into_iter().collect(),
            started: ids.into_iter().zip(started).collect(),
        })
    }

    /// What a change came to, if that is known from what went in.
    fn answer(&self, change: &Change) -> Option<Applied> {
        match change {
            Change::Start(new) => {
                let key = WorkflowKey(*self.started.get(new.id.as_str())?);
                Some(Applied::Start(Started::New {
                    key,
                    replaced: None,
                }))
            }
            Change::Finish(finish) => {
                let ended = self.ended.contains(&finish.key.0);
                ended.then_some(Applied::Finish(Finished::Now))
            }
            Change::Progress(progress) => {
                let Some(added) = &self.added else {
                    return Some(Applied::Progress(Progressed::Recorded(Vec::new())));
                };
                let key = progress.key.0;
                let is_new = |place: &stepwell_core::Place| added.contains(&(key, place.encode()));
                if progress.records.iter().all(|record| is_new(&record.place)) {
                    return Some(Applied::Progress(Progressed::Recorded(Vec::new())));
                }
                // It ran here until this very statement ended it, so its record was there before.
                // (Records that come together never share a statement with the end.)
                let has_ended = self.ended.contains(&key);
                has_ended.then_some(Applied::Progress(Progressed::Existing))
            }
            _ => None,
        }
    }
}
