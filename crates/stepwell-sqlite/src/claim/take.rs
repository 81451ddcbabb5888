//! One workflow comes to an executor, unless it is dead or too late.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use stepwell_core::{
    ExecutorId, Payload, WorkflowKey,
    store::{CancelCause, Claim, Claimed},
};

use crate::{
    change::{descendants, end},
    error::{Failure, is_of_values},
    rows::{self, micros},
    take_over::HANDED_BACK,
};

/// A workflow that waits, still: the same claim may have cancelled it with its parent.
pub(crate) const FIND: &str = "
    select w.workflow_id, w.name, w.previous_executor_id, w.lost_at, w.lost_why, w.recoveries,
        w.records_at_claim, w.deadline_at, r.payload,
        (select count(*) from records as c where c.workflow_key = w.workflow_key), w.queue_name,
        w.origin, w.created_at, w.nonce
    from workflows as w
    join records as r
      on r.workflow_key = w.workflow_key
     and r.place = ''
    where w.workflow_key = ?1
      and w.state in ('enqueued', 'stuck')";

/// A workflow if an executor owns it.
pub(crate) const OWNED: &str = "
    select w.workflow_key, w.workflow_id, w.name, w.deadline_at, r.payload,
        (select count(*) from records as c where c.workflow_key = w.workflow_key),
        w.origin, w.created_at, w.nonce
    from workflows as w
    join records as r
      on r.workflow_key = w.workflow_key
     and r.place = ''
    where w.workflow_key = ?2
      and w.state = 'running'
      and w.executor_id = ?1";

pub(crate) const OWNED_KEYS: &str = "
    select workflow_key
    from workflows
    where state = 'running'
      and executor_id = ?1";

pub(crate) const RUN: &str = "
    update workflows
    set state = 'running',
        reason = null,
        executor_id = ?2,
        previous_executor_id = null,
        lost_at = null,
        lost_why = null,
        started_at = coalesce(started_at, ?3),
        ended_at = null,
        acknowledged_at = null,
        acknowledged_note = null,
        recoveries = ?4,
        records_at_claim = ?5
    where workflow_key = ?1";

const DIE: &str = "
    update workflows
    set state = 'dead',
        reason = ?2,
        acknowledged_at = null,
        acknowledged_note = null,
        recoveries = ?3,
        ended_at = ?4
    where workflow_key = ?1";

const SET_ASIDE: &str = "
    update workflows
    set state = 'stuck',
        reason = ?2,
        ended_at = ?3
    where workflow_key = ?1";

const NOTE_TAKEOVER: &str = "
    insert into takeovers
        (workflow_key, lost_at, taken_at, from_executor_id, to_executor_id, replayed, why)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// What a queue's rate counts. A workflow that begins twice in one microsecond (one executor gets stuck
/// in it, another tries) counts twice.
const NOTE_START: &str = "
    insert into queue_starts (queue_name, started_at, workflow_key)
    select queue_name,
        ?2 + (select count(*) from queue_starts as s
            where s.queue_name = ?1 and s.started_at >= ?2 and s.workflow_key = ?3),
        ?3
    from queues
    where queue_name = ?1
      and rate_starts is not null";

/// What an interrupt says of a run that is over; the new one must not hear it.
const FORGET_INTERRUPT: &str = "
    delete from interrupts
    where executor_id = ?1
      and workflow_key = ?2";

/// A workflow that waits, as far as a claim must know it.
struct Waiting {
    claimed: Claimed,
    lost: Option<Lost>,
    recoveries: u32,
    records_at_claim: u32,
    records: u32,
    queue: Option<String>,
}

/// How its last executor lost it.
struct Lost {
    from: String,
    at: i64,
    why: String,
}

/// Takes a workflow. None if it is dead now, or cancelled because its deadline has passed.
pub(super) fn take(
    db: &Connection,
    claim: &Claim,
    key: WorkflowKey,
    now: Timestamp,
) -> Result<Option<Claimed>, Failure> {
    let waiting = match find(db, key) {
        Err(Failure::Sqlite(error)) if is_of_values(&error) => {
            set_aside(db, key, &error, now)?;
            None
        }
        found => found?,
    };
    let Some(waiting) = waiting else {
        return Ok(None);
    };
    if waiting
        .claimed
        .deadline_at
        .is_some_and(|deadline_at| deadline_at <= now)
    {
        let rows = descendants(db, key)?;
        end(db, &rows, (key, CancelCause::Deadline), micros(now))?;
        return Ok(None);
    }
    let recoveries = recoveries(claim, &waiting);
    if claim.rules.is_dead(recoveries) {
        die(db, &waiting, recoveries, now)?;
        return Ok(None);
    }
    run(db, claim, &waiting, (recoveries, now))?;
    Ok(Some(waiting.claimed))
}

/// An executor that handed its work back in good order was no failed attempt: a workflow that
/// waits through a hundred deployments is well.
fn recoveries(claim: &Claim, waiting: &Waiting) -> u32 {
    match &waiting.lost {
        Some(lost) if lost.why != HANDED_BACK => claim.rules.count(
            waiting.recoveries,
            waiting.records_at_claim,
            waiting.records,
        ),
        _ => waiting.recoveries,
    }
}

fn find(db: &Connection, key: WorkflowKey) -> Result<Option<Waiting>, Failure> {
    let mut statement = db.prepare_cached(FIND)?;
    let waiting = statement.query_row(params![key.0], |row| {
        let records: u32 = row.get(9)?;
        let from: Option<String> = row.get(2)?;
        let at: Option<i64> = row.get(3)?;
        let why: Option<String> = row.get(4)?;
        Ok(Waiting {
            claimed: Claimed {
                key,
                id: rows::workflow_id(row.get(0)?)?,
                nonce: rows::nonce(row.get(13)?)?,
                name: row.get(1)?,
                input: Payload::from_stored(row.get(8)?),
                deadline_at: row
                    .get::<_, Option<i64>>(7)?
                    .map(rows::instant)
                    .transpose()?,
                origin: row.get(11)?,
                created_at: rows::instant(row.get(12)?)?,
                has_history: records > 1,
            },
            lost: from.zip(at).map(|(from, at)| Lost {
                from,
                at,
                why: why.unwrap_or_default(),
            }),
            recoveries: row.get(5)?,
            records_at_claim: row.get(6)?,
            records,
            queue: row.get(10)?,
        })
    });
    Ok(waiting.optional()?)
}

/// Those of these workflows that run in an executor.
pub(crate) fn owned(
    db: &Connection,
    executor: &ExecutorId,
    keys: &[WorkflowKey],
) -> Result<Vec<Claimed>, Failure> {
    let mut statement = db.prepare_cached(OWNED)?;
    let mut read = |key: &WorkflowKey| {
        let owned = statement.query_row(params![executor.as_str(), key.0], claimed);
        owned.optional().transpose()
    };
    // One that cannot be read is not on its way here, and is left to whoever takes over from us.
    let readable =
        (keys.iter().filter_map(&mut read)).filter(|row| !row.as_ref().is_err_and(is_of_values));
    Ok(readable.collect::<rusqlite::Result<_>>()?)
}

fn claimed(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let records: u32 = row.get(5)?;
    Ok(Claimed {
        key: WorkflowKey(row.get(0)?),
        id: rows::workflow_id(row.get(1)?)?,
        nonce: rows::nonce(row.get(8)?)?,
        name: row.get(2)?,
        input: Payload::from_stored(row.get(4)?),
        deadline_at: row
            .get::<_, Option<i64>>(3)?
            .map(rows::instant)
            .transpose()?,
        origin: row.get(6)?,
        created_at: rows::instant(row.get(7)?)?,
        has_history: records > 1,
    })
}

/// Keeps a row that cannot be read from being found by every claim. A person sees it, and why; no
/// version tries it by itself.
fn set_aside(
    db: &Connection,
    key: WorkflowKey,
    error: &rusqlite::Error,
    now: Timestamp,
) -> Result<(), Failure> {
    let reason = format!("its row cannot be read: {error}; mend the row and resume it");
    db.prepare_cached(SET_ASIDE)?
        .execute(params![key.0, reason, micros(now)])?;
    Ok(())
}

/// The keys of the running workflows of an executor.
pub(crate) fn owned_keys(
    db: &Connection,
    executor: &ExecutorId,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut statement = db.prepare_cached(OWNED_KEYS)?;
    let keys = statement.query_map(params![executor.as_str()], |row| {
        row.get(0).map(WorkflowKey)
    })?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

fn run(
    db: &Connection,
    claim: &Claim,
    waiting: &Waiting,
    (recoveries, now): (u32, Timestamp),
) -> Result<(), Failure> {
    let (key, me) = (waiting.claimed.key.0, claim.executor.as_str());
    let now = micros(now);
    db.prepare_cached(RUN)?
        .execute(params![key, me, now, recoveries, waiting.records])?;
    db.prepare_cached(FORGET_INTERRUPT)?
        .execute(params![me, key])?;
    if let Some(queue) = &waiting.queue {
        db.prepare_cached(NOTE_START)?
            .execute(params![queue, now, key])?;
    }
    if let Some(lost) = &waiting.lost {
        // The input is no record to be replayed.
        let replayed = waiting.records.saturating_sub(1);
        let mut note = db.prepare_cached(NOTE_TAKEOVER)?;
        note.execute(params![
            key, lost.at, now, lost.from, me, replayed, lost.why
        ])?;
    }
    Ok(())
}

fn die(db: &Connection, waiting: &Waiting, recoveries: u32, now: Timestamp) -> Result<(), Failure> {
    let from = waiting
        .lost
        .as_ref()
        .map_or("nobody", |lost| lost.from.as_str());
    let reason = format!(
        "{} executors in a row were lost with it without a new record, the last one `{}`; fix the \
         cause and resume it",
        recoveries, from,
    );
    db.prepare_cached(DIE)?.execute(params![
        waiting.claimed.key.0,
        reason,
        recoveries,
        micros(now)
    ])?;
    Ok(())
}
