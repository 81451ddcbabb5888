//! The rows of workflows that wait, and of those that an executor has.

use jiff::Timestamp;
use stepwell_core::{ExecutorId, WorkflowKey, store::Claimed};
use tokio_postgres::Row;

use crate::{
    connection::Connection,
    error::Failure,
    params::params,
    rows::{self, get, instant, instant_opt, number, payload},
};

/// What belongs to rows of `w`: the input, and how many records there are.
macro_rules! with_records {
    () => {
        "
    cross join lateral (
        select r.payload
        from {schema}.records as r
        where r.workflow_key = w.workflow_key
          and r.place = ''
        offset 0
    ) as input
    cross join lateral (
        select count(*) as count
        from {schema}.records as r
        where r.workflow_key = w.workflow_key
    ) as records
    order by w.workflow_key"
    };
}

macro_rules! waiting {
    ($order:literal, $lock:literal) => {
        concat!(
            "
    with w as materialized (
        select workflow_key, workflow_id, name, deadline_at, origin, created_at, nonce,
            previous_executor_id, lost_at, lost_why, recoveries, records_at_claim
        from {schema}.workflows
        where workflow_key = any($1::bigint[])
          and coalesce(state, '') = $3
        order by ",
            $order,
            "
        limit $2
        for update ",
            $lock,
            "
    )
    select w.workflow_key, w.workflow_id, w.name, w.deadline_at, input.payload, records.count,
        w.origin, w.created_at, w.nonce::text, w.previous_executor_id, w.lost_at, w.lost_why,
        w.recoveries, w.records_at_claim
    from w",
            with_records!()
        )
    };
}

/// Locks the first of the candidates that wait, still, but for those that others hold. No more than
/// will be taken: what is locked here is invisible to those who claim at the same time.
pub(crate) const LOCK: &str = waiting!("array_position($1::bigint[], workflow_key)", "skip locked");

/// Locks all of them, and waits for that: their version's cursors are past them.
pub(crate) const LOCK_STUCK: &str = waiting!("workflow_key", "");

/// What an executor owns of some workflows, in the order of the starts.
pub(crate) const OWNED: &str = concat!(
    "
    select w.workflow_key, w.workflow_id, w.name, w.deadline_at, input.payload, records.count,
        w.origin, w.created_at, w.nonce::text
    from (
        select workflow_key, workflow_id, name, deadline_at, origin, created_at, nonce
        from {schema}.workflows
        where state = 'running'
          and executor_id = $1
          and workflow_key = any($2)
    ) as w",
    with_records!()
);

/// Which workflows an executor owns.
pub(crate) const OWNED_KEYS: &str = "
    select workflow_key
    from {schema}.workflows
    where state = 'running'
      and executor_id = $1";

/// A workflow that waits, as far as a claim must know it.
pub(super) struct Waiting {
    pub(super) claimed: Claimed,
    pub(super) lost: Option<Lost>,
    pub(super) recoveries: u32,
    pub(super) records_at_claim: u32,
    pub(super) records: u32,
}

/// How its last executor lost it.
pub(super) struct Lost {
    pub(super) from: String,
    pub(super) at: Timestamp,
    pub(super) why: String,
}

/// Locks up to `limit` of the candidates.
pub(super) async fn lock(
    db: &Connection,
    keys: &[i64],
    limit: u32,
) -> Result<Vec<Waiting>, Failure> {
    if keys.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let rows = db
        .query(LOCK, params![keys.to_vec(), i64::from(limit), "enqueued"])
        .await?;
    readable(db, &rows).await
}

/// Locks workflows that are to be tried with this version.
pub(super) async fn lock_stuck(db: &Connection, keys: &[i64]) -> Result<Vec<Waiting>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = db
        .query(LOCK_STUCK, params![keys.to_vec(), i64::MAX, "stuck"])
        .await?;
    readable(db, &rows).await
}

/// Keeps a row that cannot be read from being found by every claim. A person sees it, and why; no
/// version tries it by itself.
const SET_ASIDE: &str = "
    update {schema}.workflows
    set state = 'stuck',
        reason = $2,
        ended_at = {schema}.clock()
    where workflow_key = $1";

/// The rows that can be read, of those that are locked. The others are set aside.
async fn readable(db: &Connection, rows: &[Row]) -> Result<Vec<Waiting>, Failure> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        match waiting(row) {
            Err(Failure::Corrupt(why)) => {
                let reason = format!("its row cannot be read: {why}; mend the row and resume it");
                let key: i64 = get(row, 0)?;
                db.execute(SET_ASIDE, params![key, reason]).await?;
            }
            read => found.push(read?),
        }
    }
    Ok(found)
}

/// Those of these workflows that run in an executor.
pub(crate) async fn owned(
    db: &Connection,
    executor: &ExecutorId,
    keys: &[WorkflowKey],
) -> Result<Vec<Claimed>, Failure> {
    let keys: Vec<i64> = keys.iter().map(|key| key.0).collect();
    let rows = db.query(OWNED, params![executor.as_str(), keys]).await?;
    // One that cannot be read is not on its way here, and is left to whoever takes over from us.
    let readable = rows.iter().map(claimed);
    readable
        .filter(|row| !matches!(row, Err(Failure::Corrupt(_))))
        .collect()
}

/// The keys of the running workflows of an executor.
pub(crate) async fn owned_keys(
    db: &Connection,
    executor: &ExecutorId,
) -> Result<Vec<WorkflowKey>, Failure> {
    let rows = db.query(OWNED_KEYS, params![executor.as_str()]).await?;
    rows.iter().map(|row| rows::key(row, 0)).collect()
}

fn claimed(row: &Row) -> Result<Claimed, Failure> {
    Ok(Claimed {
        key: rows::key(row, 0)?,
        id: rows::workflow_id(row, 1)?,
        name: get(row, 2)?,
        deadline_at: instant_opt(row, 3)?,
        input: payload(row, 4)?,
        has_history: number(row, 5)? > 1,
        origin: get(row, 6)?,
        created_at: instant(row, 7)?,
        nonce: rows::nonce(row, 8)?,
    })
}

fn waiting(row: &Row) -> Result<Waiting, Failure> {
    let from: Option<String> = get(row, 9)?;
    let why: Option<String> = get(row, 11)?;
    let lost = from.zip(instant_opt(row, 10)?);
    Ok(Waiting {
        claimed: claimed(row)?,
        lost: lost.map(|(from, at)| Lost {
            from,
            at,
            why: why.unwrap_or_default(),
        }),
        records: number(row, 5)?,
        recoveries: number(row, 12)?,
        records_at_claim: number(row, 13)?,
    })
}
