//! One line of a history.

use std::time::Duration;

use rusqlite::params;
use stepwell_core::{Outcome, Place, RecordKind, WorkflowKey, store::NewRecord};

use super::Scope;
use crate::{
    error::Failure,
    rows::{before, micros},
};

/// Adds a record where there is none. One row of one table, addressed by its key.
pub(crate) const ADD: &str = "
    insert into records
        (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    on conflict do nothing";

/// Whether a record was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    New,
    Existing,
}

pub(super) fn add(
    scope: &mut Scope<'_>,
    key: WorkflowKey,
    record: &NewRecord,
) -> Result<Added, Failure> {
    let now = scope.now_micros();
    let started_at = match record.elapsed {
        Duration::ZERO => now,
        elapsed => micros(before(scope.now, elapsed)),
    };
    let added = scope.add_record.execute(params![
        key.0,
        record.place.encode(),
        record.kind.as_str(),
        record.name,
        matches!(record.outcome, Outcome::Err(_)),
        record.outcome.payload().as_str(),
        record.attempts,
        started_at,
        now,
    ])?;
    Ok(if added == 1 {
        Added::New
    } else {
        Added::Existing
    })
}

/// A record that the store makes itself: the first or the last.
pub(super) fn bare(place: Place, kind: RecordKind, outcome: Outcome) -> NewRecord {
    NewRecord {
        place,
        kind,
        name: String::new(),
        outcome,
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}
