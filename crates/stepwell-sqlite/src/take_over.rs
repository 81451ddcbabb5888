//! Work goes back from executors that ended: declared dead by another one, or retired.
//!
//! An executor ends first, in one conditional statement; from that moment its batches are fenced.
//! Then its work goes back in bounded steps. If we crash in between, the next call goes on: the row
//! keeps why it ended, and is looked at until nothing is left.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use stepwell_core::{
    ExecutorId,
    store::{Lease, TakeOver, TakenOver},
};

use crate::{
    change::fence,
    connection::transaction,
    error::Failure,
    locks::Locks,
    rows::{duration, instant, micros},
};

/// Why an executor ended that retired. Its workflows lost nothing by it.
pub(crate) const HANDED_BACK: &str = "handed back";

const LEASE_ENDED: &str = "lease ended";
const PROCESS_GONE: &str = "process gone";

/// How many workflows a retiring executor hands back in one transaction.
const STEP: u32 = 1_000;

/// The other executors of the same application that have not been drained.
pub(crate) const OTHERS: &str = "
    select other.executor_id, other.lease_ms, other.lease_expires_at, other.ended_at is not null,
        me.lease_ms
    from executors as me
    cross join executors as other
    where me.executor_id = ?1
      and other.application = me.application
      and other.drained_at is null
      and other.executor_id <> me.executor_id
    order by other.started_at, other.executor_id";

/// Ends an executor, once.
const END: &str = "
    update executors
    set ended_at = ?2,
        ended_why = ?3
    where executor_id = ?1
      and ended_at is null";

const FORGET_INTERRUPTS: &str = "
    delete from interrupts
    where executor_id = ?1";

/// Hands back what an ended executor has, a part of it. The row keeps who had it, since when it is
/// lost, and why.
pub(crate) const HAND_BACK: &str = "
    update workflows
    set state = 'enqueued',
        executor_id = null,
        previous_executor_id = ?1,
        lost_at = e.ended_at,
        lost_why = e.ended_why
    from executors as e
    where e.executor_id = ?1
      and workflows.workflow_key in (
        select w.workflow_key
        from workflows as w
        where w.state = 'running'
          and w.executor_id = ?1
        limit ?2
    )";

/// Notes that an ended executor has nothing left.
const DRAIN: &str = "
    update executors
    set drained_at = ?2
    where executor_id = ?1";

/// Another executor, as the one that takes over sees it.
struct Other {
    id: ExecutorId,
    lease: Lease,
    ended: bool,
    /// How long the one that takes over may be silent itself.
    mine: Duration,
}

/// Declares dead who is, and hands back a part of what ended executors have.
///
/// `now` is from before the wait for the file's lock, which others may wait for, too.
pub(crate) fn take_over(
    db: &mut Connection,
    look: &TakeOver,
    (now, locks): (Timestamp, Option<&Locks>),
) -> Result<TakenOver, Failure> {
    let taken = transaction(db, |db| {
        // In the transaction: an executor that was itself declared dead must not judge others.
        fence(db, &look.executor)?;
        let mut taken = TakenOver::default();
        for other in others(db, &look.executor)? {
            if !other.ended {
                match why_dead(look, &other, (now, locks)) {
                    Some(why) => end(db, &other.id, why, now)?,
                    None => continue,
                }
                taken.executors.push(other.id.clone());
            }
            let limit = look.workflows_max - taken.workflows;
            let back = hand_back(db, &other.id, limit, now)?;
            taken.workflows += back.workflows;
            taken.more |= back.more;
        }
        Ok(taken)
    })?;
    // After the commit: a file that stays is harmless, one that is missed early is not.
    if let Some(locks) = locks {
        taken
            .executors
            .iter()
            .for_each(|dead| locks.remove_if_gone(dead));
    }
    Ok(taken)
}

/// Ends an executor by its own wish and hands back all that it has.
pub(crate) fn retire(
    db: &mut Connection,
    executor: &ExecutorId,
    now: Timestamp,
) -> Result<(), Failure> {
    transaction(db, |db| end(db, executor, HANDED_BACK, now))?;
    while transaction(db, |db| hand_back(db, executor, STEP, now))?.more {}
    Ok(())
}

fn others(db: &Connection, me: &ExecutorId) -> Result<Vec<Other>, Failure> {
    let mut statement = db.prepare_cached(OTHERS)?;
    let others = statement.query_map(params![me.as_str()], |row| {
        Ok(Other {
            id: ExecutorId::from_stored(row.get(0)?),
            lease: Lease {
                length: duration(row, 1)?,
                ends_at: instant(row.get(2)?)?,
            },
            ended: row.get(3)?,
            mine: duration(row, 4)?,
        })
    })?;
    Ok(others.collect::<rusqlite::Result<_>>()?)
}

fn why_dead(
    look: &TakeOver,
    other: &Other,
    (now, locks): (Timestamp, Option<&Locks>),
) -> Option<&'static str> {
    if locks.is_some_and(|locks| locks.is_gone(&other.id)) {
        Some(PROCESS_GONE)
    } else {
        let is_over = look.is_over(other.lease, other.mine, now);
        is_over.then_some(LEASE_ENDED)
    }
}

fn end(db: &Connection, executor: &ExecutorId, why: &str, now: Timestamp) -> Result<(), Failure> {
    db.prepare_cached(END)?
        .execute(params![executor.as_str(), micros(now), why])?;
    db.prepare_cached(FORGET_INTERRUPTS)?
        .execute(params![executor.as_str()])?;
    Ok(())
}

/// What one step gave back.
struct Back {
    workflows: u32,
    more: bool,
}

fn hand_back(
    db: &Connection,
    executor: &ExecutorId,
    limit: u32,
    now: Timestamp,
) -> Result<Back, Failure> {
    let handed = db
        .prepare_cached(HAND_BACK)?
        .execute(params![executor.as_str(), limit])?;
    let workflows = u32::try_from(handed).unwrap_or(u32::MAX);
    let more = workflows == limit && has_work(db, executor)?;
    if !more {
        db.prepare_cached(DRAIN)?
            .execute(params![executor.as_str(), micros(now)])?;
    }
    Ok(Back { workflows, more })
}

fn has_work(db: &Connection, executor: &ExecutorId) -> Result<bool, Failure> {
    const HAS_WORK: &str = "
        select 1
        from workflows
        where state = 'running'
          and executor_id = ?1";
    Ok(db
        .prepare_cached(HAS_WORK)?
        .exists(params![executor.as_str()])?)
}
