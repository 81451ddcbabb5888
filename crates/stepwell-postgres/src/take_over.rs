//! Work goes back from executors that ended: declared dead by another one, or retired.
//!
//! An executor ends first, under the lock of its row, which waits for its batches in flight; from
//! that moment they are fenced. Then its work goes back in bounded steps. If we crash in between,
//! the next call goes on: the row keeps why it ended, and is looked at until nothing is left.
//!
//! # Who is dead
//! While the server is away nobody can renew. Counted by the clock alone, every lease would have
//! ended by the time it is back, and everybody would take over from everybody. So a lease that was
//! given before the server started lasts its whole length from then on. (The engine, besides, does
//! not look before it has renewed itself.)

use std::time::Duration;

use stepwell_core::{ExecutorId, store::TakenOver};

use crate::{
    bell::Ring, connection::Connection, error::Failure, executors::commit_and_ring, params::params,
    rows::get,
};

/// Why an executor ended that retired. Its workflows lost nothing by it.
pub(crate) const HANDED_BACK: &str = "handed back";

const LEASE_ENDED: &str = "lease ended";

/// How many workflows a retiring executor hands back in one transaction.
const STEP: u32 = 1_000;

/// When a lease ends, from `executors as e`.
macro_rules! lease_end {
    () => {
        "greatest(e.lease_expires_at,
            pg_postmaster_start_time() + e.lease_ms * interval '1 millisecond')"
    };
}

/// The other executors of the same application that have not been drained: whether each has ended
/// or must, and how long it may still be silent. One row of nothing for a live executor that is
/// alone; none for one that is not live.
pub(crate) const OTHERS: &str = concat!(
    "
    select e.executor_id,
        e.ended_at is not null or ",
    lease_end!(),
    " <= {schema}.clock(),
        (extract(epoch from ",
    lease_end!(),
    " - {schema}.clock()) * 1000)::bigint
    from {schema}.executors as me
    left join {schema}.executors as e
      on e.application = me.application
     and e.drained_at is null
     and e.executor_id <> me.executor_id
    where me.executor_id = $1
      and me.ended_at is null"
);

/// Locks executors, in one order for all who do, and looks at them once more: one of them may have
/// renewed its lease, or ended, while its lock was waited for.
const LOCK: &str = concat!(
    "
    select e.executor_id, e.ended_at is not null, ",
    lease_end!(),
    " <= {schema}.clock()
    from {schema}.executors as e
    where e.executor_id = any($1)
    order by e.executor_id
    for update"
);

/// In the order of their starts.
const IN_ORDER: &str = "
    select e.executor_id
    from {schema}.executors as e
    where e.executor_id = any($1)
    order by e.started_at, e.executor_id";

/// Ends an executor, once. Its row is locked.
const END: &str = "
    update {schema}.executors
    set ended_at = {schema}.clock(),
        ended_why = $2
    where executor_id = $1
      and ended_at is null";

const FORGET_INTERRUPTS: &str = "
    delete from {schema}.interrupts
    where executor_id = $1";

/// Hands back what an ended executor has, a part of it. The row keeps who had it, since when it is
/// lost, and why.
pub(crate) const HAND_BACK: &str = "
    update {schema}.workflows as w
    set state = 'enqueued',
        executor_id = null,
        previous_executor_id = $1,
        lost_at = e.ended_at,
        lost_why = e.ended_why
    from {schema}.executors as e
    where e.executor_id = $1
      and w.workflow_key = any (array(
        select r.workflow_key
        from {schema}.workflows as r
        where r.state = 'running'
          and r.executor_id = $1
        limit $2
        for update
    ))";

pub(crate) const HAS_WORK: &str = "
    select 1
    from {schema}.workflows
    where state = 'running'
      and executor_id = $1
    limit 1";

/// Notes that an ended executor has nothing left.
const DRAIN: &str = "
    update {schema}.executors
    set drained_at = {schema}.clock()
    where executor_id = $1";

/// Declares dead who is, and hands back up to `workflows_max` of what ended executors have. Also
/// how long nobody need look again, if there was nothing to do.
pub(crate) async fn take_over(
    db: &Connection,
    me: &ExecutorId,
    workflows_max: u32,
    ring: &Ring,
) -> Result<(TakenOver, Option<Duration>), Failure> {
    let (due, quiet) = others(db, me).await?;
    if due.is_empty() {
        return Ok((TakenOver::default(), Some(quiet)));
    }
    db.begin().await?;
    let judged = judge(db, me, due).await?;
    let mut taken = TakenOver::default();
    for other in judged {
        if other.is_new {
            end(db, other.id.as_str(), LEASE_ENDED).await?;
            taken
                .executors
                .push(ExecutorId::from_stored(other.id.clone()));
        }
        let back = hand_back(db, &other.id, workflows_max - taken.workflows).await?;
        taken.workflows += back.workflows;
        taken.more |= back.more;
    }
    commit_and_ring(db, ring).await?;
    Ok((taken, None))
}

/// Ends an executor by its own wish and hands back all that it has.
pub(crate) async fn retire(
    db: &Connection,
    executor: &ExecutorId,
    ring: &Ring,
) -> Result<(), Failure> {
    let id = executor.as_str();
    db.begin().await?;
    db.query(LOCK, params![vec![id]]).await?;
    end(db, id, HANDED_BACK).await?;
    db.commit().await?;
    db.server.losses.forget(executor);
    loop {
        db.begin().await?;
        // Alone with it: another one may hand the same back.
        db.query(LOCK, params![vec![id]]).await?;
        let back = hand_back(db, id, STEP).await?;
        commit_and_ring(db, ring).await?;
        if !back.more {
            return Ok(());
        }
    }
}

/// The executors that have ended or must, and how long the others may still be silent.
async fn others(db: &Connection, me: &ExecutorId) -> Result<(Vec<String>, Duration), Failure> {
    let (mut due, mut quiet) = (Vec::new(), Duration::MAX);
    let rows = db.query(OTHERS, params![me.as_str()]).await?;
    if rows.is_empty() {
        return Err(Failure::Fenced(me.clone()));
    }
    for row in &rows {
        let Some(other) = get::<Option<String>>(row, 0)? else {
            continue;
        };
        if get(row, 1)? {
            due.push(other);
        } else {
            let left_ms: i64 = get(row, 2)?;
            quiet = quiet.min(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)));
        }
    }
    Ok((due, quiet))
}

/// An executor that has ended, or ends now.
struct Judged {
    id: String,
    is_new: bool,
}

/// Locks those that are to be judged, and the judge: one that was itself declared dead must not
/// judge others.
async fn judge(
    db: &Connection,
    me: &ExecutorId,
    mut due: Vec<String>,
) -> Result<Vec<Judged>, Failure> {
    due.push(me.as_str().to_owned());
    let (locked, order) = (db.query(LOCK, params![due]).await?, IN_ORDER);
    let (mut judged, mut i_live) = (Vec::new(), false);
    for row in &locked {
        let id: String = get(row, 0)?;
        let (has_ended, lease_has_ended): (bool, bool) = (get(row, 1)?, get(row, 2)?);
        if id == me.as_str() {
            i_live = !has_ended;
        } else if has_ended || lease_has_ended {
            let is_new = !has_ended;
            judged.push(Judged { id, is_new });
        }
    }
    if !i_live {
        return Err(Failure::Fenced(me.clone()));
    }
    let ids: Vec<_> = judged.iter().map(|it| it.id.as_str()).collect();
    let mut places = Vec::with_capacity(ids.len());
    for row in db.query(order, params![ids]).await? {
        places.push(get::<String>(&row, 0)?);
    }
    judged.sort_by_key(|it| places.iter().position(|id| *id == it.id));
    Ok(judged)
}

async fn end(db: &Connection, executor: &str, why: &str) -> Result<(), Failure> {
    db.execute(END, params![executor, why]).await?;
    db.execute(FORGET_INTERRUPTS, params![executor]).await?;
    Ok(())
}

/// What one step gave back.
struct Back {
    workflows: u32,
    more: bool,
}

/// Gives back a part of what an executor has, whose row is locked.
async fn hand_back(db: &Connection, executor: &str, limit: u32) -> Result<Back, Failure> {
    let handed = db
        .execute(HAND_BACK, params![executor, i64::from(limit)])
        .await?;
    let workflows = u32::try_from(handed).unwrap_or(u32::MAX);
    let more = workflows == limit && !db.query(HAS_WORK, params![executor]).await?.is_empty();
    if !more {
        db.execute(DRAIN, params![executor]).await?;
    }
    Ok(Back { workflows, more })
}
