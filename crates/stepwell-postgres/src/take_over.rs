//! Work goes back from executors that ended: declared dead by another one, or retired.
//!
//! An executor ends first, under the lock of its row, which waits for its batches in flight; from
//! that moment they are fenced. Then its work goes back in bounded steps. If we crash in between,
//! the next call goes on: the row keeps why it ended, and is looked at until nothing is left.
//!
//! # Who is dead
//! [`TakeOver::is_over`] says it, in SQL here. What it is given is from before the statement: while
//! that waits for a lock, others may wait for the same one and cannot renew.

use std::time::Duration;

use stepwell_core::{
    ExecutorId,
    store::{TakeOver, TakenOver},
};

use crate::{
    bell::Ring,
    connection::Connection,
    error::Failure,
    executors::commit_and_ring,
    params::{At, params},
    rows::{get, millis},
};

/// Why an executor ended that retired. Its workflows lost nothing by it.
pub(crate) const HANDED_BACK: &str = "handed back";

const LEASE_ENDED: &str = "lease ended";

/// How many workflows a retiring executor hands back in one transaction.
const STEP: u32 = 1_000;

/// When the lease of `executors as e` is over for a judge whose own is `$mine` milliseconds long.
macro_rules! over_at {
    ($mine:literal) => {
        concat!(
            "e.lease_expires_at
            + (greatest(e.lease_ms, ",
            $mine,
            ") - e.lease_ms) * interval '1 millisecond'"
        )
    };
}

/// [`TakeOver::is_over`]: `$2` is the judge's reckoned time, `$3` for how many milliseconds the
/// database has answered it.
macro_rules! is_over {
    ($mine:literal) => {
        concat!(
            "(greatest(e.lease_ms, ",
            $mine,
            ") <= $3
            and (",
            over_at!($mine),
            " <= least({schema}.clock(), $2)
                or e.lease_expires_at
                    > greatest({schema}.clock(), $2) + 2 * e.lease_ms * interval '1 millisecond'))"
        )
    };
}

/// The other executors of the same application that have not been drained: whether each has ended
/// or must, how long it may still be silent, and how long I may be. One row of nothing for a live
/// executor that is alone; none for one that is not live.
pub(crate) const OTHERS: &str = concat!(
    "
    select e.executor_id,
        e.ended_at is not null or ",
    is_over!("me.lease_ms"),
    ",
        (extract(epoch from ",
    over_at!("me.lease_ms"),
    " - {schema}.clock()) * 1000)::bigint,
        me.lease_ms
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
    is_over!("$4"),
    "
    from {schema}.executors as e
    where e.executor_id = any($1)
    order by e.executor_id
    for update"
);

/// Locks an executor that retires.
const LOCK_ALONE: &str = "
    select executor_id
    from {schema}.executors
    where executor_id = $1
    for update";

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

/// Declares dead who is, and hands back a part of what ended executors have. Also how long nobody
/// need look again, if there was nothing to do.
pub(crate) async fn take_over(
    db: &Connection,
    look: &TakeOver,
    ring: &Ring,
) -> Result<(TakenOver, Option<Duration>), Failure> {
    let others = others(db, look).await?;
    if others.due.is_empty() {
        return Ok((TakenOver::default(), Some(others.quiet)));
    }
    db.begin().await?;
    let judged = judge(db, look, others).await?;
    let mut taken = TakenOver::default();
    for other in judged {
        if other.is_new {
            end(db, other.id.as_str(), LEASE_ENDED).await?;
            taken
                .executors
                .push(ExecutorId::from_stored(other.id.clone()));
        }
        let back = hand_back(db, &other.id, look.workflows_max - taken.workflows).await?;
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
    db.query(LOCK_ALONE, params![id]).await?;
    end(db, id, HANDED_BACK).await?;
    db.commit().await?;
    db.server.losses.forget(executor);
    loop {
        db.begin().await?;
        // Alone with it: another one may hand the same back.
        db.query(LOCK_ALONE, params![id]).await?;
        let back = hand_back(db, id, STEP).await?;
        commit_and_ring(db, ring).await?;
        if !back.more {
            return Ok(());
        }
    }
}

/// The other executors.
struct Others {
    /// Those that have ended or must.
    due: Vec<String>,
    /// How long the others may still be silent.
    quiet: Duration,
    /// How long the one that looks may be silent.
    mine_ms: i64,
}

async fn others(db: &Connection, look: &TakeOver) -> Result<Others, Failure> {
    let (at, answered_ms) = (At(look.at), millis(look.answered_for));
    let me = look.executor.as_str();
    let rows = db.query(OTHERS, params![me, at, answered_ms]).await?;
    let Some(first) = rows.first() else {
        return Err(Failure::Fenced(look.executor.clone()));
    };
    let mut others = Others {
        due: Vec::new(),
        quiet: Duration::MAX,
        mine_ms: get(first, 3)?,
    };
    for row in &rows {
        let Some(other) = get::<Option<String>>(row, 0)? else {
            continue;
        };
        if get(row, 1)? {
            others.due.push(other);
        } else {
            let left_ms: i64 = get(row, 2)?;
            let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
            others.quiet = others.quiet.min(left);
        }
    }
    Ok(others)
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
    look: &TakeOver,
    Others {
        mut due, mine_ms, ..
    }: Others,
) -> Result<Vec<Judged>, Failure> {
    let me = &look.executor;
    due.push(me.as_str().to_owned());
    let (at, answered_ms) = (At(look.at), millis(look.answered_for));
    let locked = db
        .query(LOCK, params![due, at, answered_ms, mine_ms])
        .await?;
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
    for row in db.query(IN_ORDER, params![ids]).await? {
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
