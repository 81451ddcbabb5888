//! From rows to values and back.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use stepwell_core::{
    Acknowledgement, ExecutorId, Nonce, Outcome, Payload, Place, Record, State, WorkflowId,
    WorkflowKey, kind_and_name,
    store::{PAGE_BYTES_MAX, QueueLimits, Rate, Workflow},
};

use crate::error::{corrupt, is_of_values};

/// What [`workflow`] reads, from `workflows as w`.
pub(crate) const WORKFLOW_COLUMNS: &str = "
    w.workflow_key, w.workflow_id, w.name, w.state, w.reason,
    coalesce(w.executor_id, w.previous_executor_id), w.queue_name,
    (select p.workflow_id from workflows as p where p.workflow_key = w.parent_key),
    w.origin, w.recoveries, w.created_at, w.started_at, w.ended_at, w.deadline_at, w.wake_at,
    w.fingerprint, w.acknowledged_at, w.acknowledged_note, w.forked_from";

/// What [`record`] reads, from `records`.
pub(crate) const RECORD_COLUMNS: &str =
    "place, kind, name, failed, payload, attempts, started_at, recorded_at";

/// Reads [`WORKFLOW_COLUMNS`], without the attributes.
pub(crate) fn workflow(row: &Row<'_>) -> rusqlite::Result<Workflow> {
    let word = row.get_ref(3)?.as_str()?;
    let state = State::of_stored(word);
    Ok(Workflow {
        key: WorkflowKey(row.get(0)?),
        id: workflow_id(row.get(1)?)?,
        name: row.get(2)?,
        state,
        reason: match state {
            State::Unknown => Some(Workflow::of_newer_version(word)),
            _ => row.get(4)?,
        },
        fingerprint: row.get(15)?,
        acknowledged: acknowledgement(row.get(16)?, row.get(17)?)?,
        executor: row
            .get::<_, Option<String>>(5)?
            .map(ExecutorId::from_stored),
        queue: row.get(6)?,
        parent: row
            .get::<_, Option<String>>(7)?
            .map(workflow_id)
            .transpose()?,
        forked_from: row
            .get::<_, Option<String>>(18)?
            .map(workflow_id)
            .transpose()?,
        origin: row.get(8)?,
        recoveries: row.get(9)?,
        created_at: instant(row.get(10)?)?,
        started_at: row.get::<_, Option<i64>>(11)?.map(instant).transpose()?,
        ended_at: row.get::<_, Option<i64>>(12)?.map(instant).transpose()?,
        deadline_at: row.get::<_, Option<i64>>(13)?.map(instant).transpose()?,
        wake_at: row.get::<_, Option<i64>>(14)?.map(instant).transpose()?,
        attributes: Vec::new(),
    })
}

/// As [`workflow`]. One whose row cannot be read is shown with the reason.
pub(crate) fn workflow_or_why(row: &Row<'_>) -> rusqlite::Result<Workflow> {
    workflow(row).or_else(|error| {
        if !is_of_values(&error) {
            return Err(error);
        }
        let text = |column| row.get::<_, String>(column).unwrap_or_default();
        let key = WorkflowKey(row.get(0)?);
        Ok(Workflow::unreadable(
            key,
            &text(1),
            &text(2),
            &error.to_string(),
        ))
    })
}

fn acknowledgement(
    at: Option<i64>,
    note: Option<String>,
) -> rusqlite::Result<Option<Acknowledgement>> {
    let acknowledgement = |at| {
        Ok(Acknowledgement {
            at: instant(at)?,
            note: note.unwrap_or_default(),
        })
    };
    at.map(acknowledgement).transpose()
}

/// Reads a workflow's attributes, by name.
pub(crate) fn attributes(
    db: &Connection,
    key: WorkflowKey,
) -> rusqlite::Result<Vec<(String, String)>> {
    const ATTRIBUTES: &str = "
        select name, value
        from attributes
        where workflow_key = ?1
        order by name";
    let mut statement = db.prepare_cached(ATTRIBUTES)?;
    let rows = statement.query_map(params![key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Reads [`RECORD_COLUMNS`].
pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let place: String = row.get(0)?;
    let (kind, name) = kind_and_name(row.get_ref(1)?.as_str()?, row.get(2)?);
    Ok(Record {
        place: Place::of_stored(&place),
        kind,
        name,
        outcome: outcome(row.get(3)?, row.get(4)?),
        attempts: row.get(5)?,
        started_at: instant(row.get(6)?)?,
        recorded_at: instant(row.get(7)?)?,
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

/// An id as it was stored.
pub(crate) fn workflow_id(id: String) -> rusqlite::Result<WorkflowId> {
    WorkflowId::new(id).map_err(|error| corrupt("workflow id", &error.to_string()))
}

/// A nonce as it was stored.
pub(crate) fn nonce(nonce: Option<String>) -> rusqlite::Result<Option<Nonce>> {
    let parse = |text: String| Nonce::parse(&text).ok_or_else(|| corrupt("nonce", &text));
    nonce.map(parse).transpose()
}

/// An instant as it was stored.
pub(crate) fn instant(microseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| corrupt("instant", &microseconds.to_string()))
}

/// How an instant is stored.
pub(crate) fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The instant after a while; the end of time where there is none.
pub(crate) fn after(instant: Timestamp, by: Duration) -> Timestamp {
    instant.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The limits of a queue, from the column on where they begin: at once, at once in an executor, at
/// once of a key, the rate's starts and its period, waiting.
pub(crate) fn limits(row: &Row<'_>, first: usize) -> rusqlite::Result<QueueLimits> {
    let starts: Option<u32> = row.get(first + 3)?;
    let period_ms: Option<u32> = row.get(first + 4)?;
    Ok(QueueLimits {
        concurrency: row.get(first)?,
        executor_concurrency: row.get(first + 1)?,
        key_concurrency: row.get(first + 2)?,
        rate: (starts.zip(period_ms)).map(|(starts, period_ms)| Rate { starts, period_ms }),
        waiting_max: row.get(first + 5)?,
    })
}

/// The instant before a while.
pub(crate) fn before(instant: Timestamp, by: Duration) -> Timestamp {
    instant.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// Reads an `_ms` column.
pub(crate) fn duration(row: &Row<'_>, column: usize) -> rusqlite::Result<Duration> {
    let millis: i64 = row.get(column)?;
    Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// How a duration is stored in an `_ms` column.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Reads rows until they hold as many bytes of payloads as a page may.
pub(crate) fn page<T>(
    rows: impl Iterator<Item = rusqlite::Result<T>>,
    payload: impl Fn(&T) -> &Payload,
) -> rusqlite::Result<Vec<T>> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let row = row?;
        bytes += payload(&row).as_str().len();
        page.push(row);
        if bytes >= PAGE_BYTES_MAX {
            break;
        }
    }
    Ok(page)
}
