//! From rows to values and back.

use std::time::Duration;

use jiff::Timestamp;
use stepwell_core::{
    Acknowledgement, ExecutorId, Nonce, Outcome, Payload, Place, Record, State, WorkflowId,
    WorkflowKey, kind_and_name,
    store::{PAGE_BYTES_MAX, Workflow},
};
use tokio_postgres::{Row, types::FromSql};

use crate::{
    error::{Failure, corrupt, corrupt_column},
    params::At,
};

/// Where a page ends, as statements are given it. Lengths are read without the values: a large one is
/// kept beside its row.
pub(crate) fn page_bytes() -> i64 {
    i64::try_from(PAGE_BYTES_MAX).unwrap_or(i64::MAX)
}

/// The longest that a duration is taken for: what it is added to must stay an instant that both
/// Postgres and `Timestamp` know.
const YEARS_1000: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// What [`workflow`] reads, from `workflows as w`.
macro_rules! workflow_columns {
    () => {
        "
        w.workflow_key, w.workflow_id, w.name, w.state, w.reason,
        coalesce(w.executor_id, w.previous_executor_id), nullif(w.queue_name, ''),
        (select p.workflow_id from {schema}.workflows as p where p.workflow_key = w.parent_key),
        w.origin, w.recoveries, w.created_at, w.started_at, w.ended_at, w.deadline_at, w.wake_at,
        (select array_agg(a.name order by a.name)
            from {schema}.attributes as a where a.workflow_key = w.workflow_key),
        (select array_agg(a.value order by a.name)
            from {schema}.attributes as a where a.workflow_key = w.workflow_key),
        w.fingerprint, w.acknowledged_at, w.acknowledged_note, w.forked_from"
    };
}
pub(crate) use workflow_columns;

/// The number of columns that [`workflow`] reads.
pub(crate) const WORKFLOW_COLUMNS: usize = 21;

/// Reads a column.
pub(crate) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|error| corrupt_column(&error))
}

/// Reads a number that is never negative.
pub(crate) fn number(row: &Row, column: usize) -> Result<u32, Failure> {
    let number: i64 = get(row, column)?;
    u32::try_from(number).map_err(|_| corrupt("count", number))
}

/// Reads an instant.
pub(crate) fn instant(row: &Row, column: usize) -> Result<Timestamp, Failure> {
    Ok(get::<At>(row, column)?.0)
}

/// Reads an instant that may be missing.
pub(crate) fn instant_opt(row: &Row, column: usize) -> Result<Option<Timestamp>, Failure> {
    Ok(get::<Option<At>>(row, column)?.map(|at| at.0))
}

/// Reads a state.
pub(crate) fn state(row: &Row, column: usize) -> Result<State, Failure> {
    get(row, column).map(State::of_stored)
}

/// Reads a key.
pub(crate) fn key(row: &Row, column: usize) -> Result<WorkflowKey, Failure> {
    get(row, column).map(WorkflowKey)
}

/// Reads an id.
pub(crate) fn workflow_id(row: &Row, column: usize) -> Result<WorkflowId, Failure> {
    as_id(get(row, column)?)
}

fn as_id(id: String) -> Result<WorkflowId, Failure> {
    WorkflowId::new(id).map_err(|error| corrupt("workflow id", error))
}

/// Reads a nonce, as text.
pub(crate) fn nonce(row: &Row, column: usize) -> Result<Option<Nonce>, Failure> {
    let nonce: Option<&str> = get(row, column)?;
    let parse = |text| Nonce::parse(text).ok_or_else(|| corrupt("nonce", text));
    nonce.map(parse).transpose()
}

/// Reads a payload.
pub(crate) fn payload(row: &Row, column: usize) -> Result<Payload, Failure> {
    get(row, column).map(Payload::from_stored)
}

/// Reads [`workflow_columns`].
pub(crate) fn workflow(row: &Row) -> Result<Workflow, Failure> {
    let names: Option<Vec<String>> = get(row, 15)?;
    let values: Option<Vec<String>> = get(row, 16)?;
    let word: &str = get(row, 3)?;
    let state = State::of_stored(word);
    Ok(Workflow {
        key: key(row, 0)?,
        id: workflow_id(row, 1)?,
        name: get(row, 2)?,
        state,
        reason: match state {
            State::Unknown => Some(Workflow::of_newer_version(word)),
            _ => get(row, 4)?,
        },
        fingerprint: get(row, 17)?,
        acknowledged: acknowledgement(row)?,
        executor: get::<Option<String>>(row, 5)?.map(ExecutorId::from_stored),
        queue: get(row, 6)?,
        parent: get::<Option<String>>(row, 7)?.map(as_id).transpose()?,
        forked_from: get::<Option<String>>(row, 20)?.map(as_id).transpose()?,
        origin: get(row, 8)?,
        recoveries: number(row, 9)?,
        created_at: instant(row, 10)?,
        started_at: instant_opt(row, 11)?,
        ended_at: instant_opt(row, 12)?,
        deadline_at: instant_opt(row, 13)?,
        wake_at: instant_opt(row, 14)?,
        attributes: (names.into_iter().flatten())
            .zip(values.into_iter().flatten())
            .collect(),
    })
}

/// As [`workflow`]. One whose row cannot be read is shown with the reason.
pub(crate) fn workflow_or_why(row: &Row) -> Result<Workflow, Failure> {
    match workflow(row) {
        Err(Failure::Corrupt(why)) => {
            let text = |column| get::<&str>(row, column).unwrap_or_default();
            let (id, name) = (text(1), text(2));
            Ok(Workflow::unreadable(
                key(row, 0)?,
                id,
                name,
                &why.to_string(),
            ))
        }
        read => read,
    }
}

fn acknowledgement(row: &Row) -> Result<Option<Acknowledgement>, Failure> {
    let Some(at) = instant_opt(row, 18)? else {
        return Ok(None);
    };
    let note: Option<String> = get(row, 19)?;
    Ok(Some(Acknowledgement {
        at,
        note: note.unwrap_or_default(),
    }))
}

/// Reads `place, kind, name, failed, payload, attempts, started_at, recorded_at`.
pub(crate) fn record(row: &Row) -> Result<Record, Failure> {
    let (kind, name) = kind_and_name(get(row, 1)?, get(row, 2)?);
    Ok(Record {
        place: Place::of_stored(get(row, 0)?),
        kind,
        name,
        outcome: outcome(get(row, 3)?, get(row, 4)?),
        attempts: number(row, 5)?,
        started_at: instant(row, 6)?,
        recorded_at: instant(row, 7)?,
    })
}

/// An outcome from its two columns.
pub(crate) fn outcome(failed: bool, payload: String) -> Outcome {
    let payload = Payload::from_stored(payload);
    if failed {
        Outcome::Err(payload)
    } else {
        Outcome::Ok(payload)
    }
}

/// A duration as statements are given it, to be multiplied with `interval '1 microsecond'`.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.min(YEARS_1000).as_micros()).unwrap_or(i64::MAX)
}

/// How a duration is stored in an `_ms` column.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.min(YEARS_1000).as_millis()).unwrap_or(i64::MAX)
}

/// A sentence for people, as Postgres can keep it: it knows no NUL in a text.
pub(crate) fn sentence(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
