//! Executors and their leases.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use jiff::Timestamp;
use stepwell_core::{
    ExecutorId, Payload, WorkflowKey,
    store::{
        Claim, Claimed, Deadline, Executor, ExecutorStore, NewExecutor, News, Renewal, Renewed,
        StoreFuture, TakeOver, TakenOver,
    },
};
use tokio_postgres::Row;
use tracing::warn;

use crate::{
    bell::Ring,
    change,
    claim::{self, Taking},
    connection::Connection,
    error::Failure,
    params::params,
    releases,
    rows::{self, get, instant, instant_opt, millis},
    store::PostgresStore,
    take_over,
};

/// How many old executors one registration removes: those that ended and were drained a day ago.
const REMOVED_MAX: i64 = 1_000;

const INSERT: &str = "
    insert into {schema}.executors
        (executor_id, application, version, host, pid, lease_ms, started_at, lease_expires_at,
         release_number, declares, names)
    select $1, $2, $3, $4, $5, $6, at.now, at.now + $6 * interval '1 millisecond', $7, $8, $9
    from (select {schema}.clock() as now) as at
    on conflict do nothing";

const REMOVE_OLD: &str = "
    delete from {schema}.executors
    where executor_id in (
        select executor_id
        from {schema}.executors
        where drained_at is not null
          and drained_at < {schema}.clock() - interval '24 hours'
        limit $1
    )";

const RENEW: &str = "
    update {schema}.executors
    set lease_expires_at = at.now + lease_ms * interval '1 millisecond',
        doing = coalesce($2, doing)
    from (select {schema}.clock() as now) as at
    where executor_id = $1
      and ended_at is null
    returning at.now";

const DOING: &str = "
    select doing
    from {schema}.executors
    where executor_id = $1";

const TAKE_INTERRUPTS: &str = "
    delete from {schema}.interrupts
    where executor_id = $1
    returning workflow_key";

/// The earliest end of a delay.
pub(crate) const NEXT_WAKE: &str = "
    select min(at)
    from (
        (
            select wake_at as at
            from {schema}.workflows
            where state in ('delayed', 'parked')
            order by wake_at
            limit 1
        )
        union all
        -- When a rate counts one less, if somebody waits for that.
        select oldest.started_at + q.rate_period_ms * interval '1 millisecond'
        from {schema}.queues as q
        cross join lateral (
            select s.started_at
            from {schema}.queue_starts as s
            where s.queue_name = q.queue_name
              and s.started_at > (select {schema}.clock()) - q.rate_period_ms * interval '1 millisecond'
            order by s.started_at
            limit 1
        ) as oldest
        where q.rate_starts is not null
          and q.paused_at is null
          and exists (
            select from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = q.queue_name
        )
    ) as wakes";

/// The deadlines of what nobody runs, the earliest first.
pub(crate) const DEADLINES: &str = "
    select workflow_id, deadline_at
    from {schema}.workflows
    where deadline_at is not null
      and state in ('delayed', 'enqueued', 'parked')
    order by deadline_at
    limit $1";

/// Every executor that is live or has work, in the order of their starts.
const ACTIVE: &str = "
    select executor_id, application, version, host, pid, started_at, lease_expires_at, ended_at,
        names
    from {schema}.executors
    where drained_at is null
    order by started_at, executor_id";

/// Until when an executor need not look for the dead again: nobody's lease ends before.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<HashMap<ExecutorId, Instant>>);

/// The longest that nobody looks: a process that has just come may have a shorter lease.
const QUIET_MAX: Duration = Duration::from_secs(2);

impl Quiet {
    fn holds(&self, executor: &ExecutorId) -> bool {
        let until = self.lock().get(executor).copied();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn keep(&self, executor: &ExecutorId, quiet: Duration) {
        let until = Instant::now() + quiet.min(QUIET_MAX);
        self.lock().insert(executor.clone(), until);
    }

    /// Leases may have ended: the clock was moved.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExecutorId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExecutorStore for PostgresStore {
    fn register(&self, executor: NewExecutor) -> StoreFuture<'_, ()> {
        self.prompt("register an executor", executor, |db, executor| {
            register(db, executor).boxed()
        })
    }

    fn renew(&self, renewal: Renewal) -> StoreFuture<'_, Renewed> {
        self.prompt("renew a lease", renewal, |db, renewal| {
            renew(db, renewal).boxed()
        })
    }

    fn doing(&self, executor: &ExecutorId) -> StoreFuture<'_, Option<Payload>> {
        let executor = executor.clone();
        self.side("read what an executor does", executor, |db, executor| {
            async move {
                let row = db.query_opt(DOING, params![executor.as_str()]).await?;
                let doing: Option<String> = row.map_or(Ok(None), |row| get(&row, 0))?;
                Ok(doing.map(Payload::from_stored))
            }
            .boxed()
        })
    }

    fn take_over(&self, look: TakeOver) -> StoreFuture<'_, TakenOver> {
        Box::pin(async move {
            if self.quiet.holds(&look.executor) {
                return Ok(TakenOver::default());
            }
            let executor = look.executor.clone();
            let looking = (look, self.bell.ring(News::of_work()));
            let looking = self.prompt("take over", looking, |db, (look, ring)| {
                take_over::take_over(db, look, ring).boxed()
            });
            let (taken, quiet) = looking.await?;
            if let Some(quiet) = quiet {
                self.quiet.keep(&executor, quiet);
            }
            Ok(taken)
        })
    }

    fn claim(&self, claim: Claim) -> StoreFuture<'_, Vec<Claimed>> {
        Box::pin(async move {
            let mut claimed = Vec::new();
            let mut taking = Taking::all_of(claim);
            while taking.goes_on() {
                let round = self.side("claim workflows", taking.clone(), |db, taking| {
                    claim::round(db, taking).boxed()
                });
                let round = round.await?;
                taking.count(&round);
                for id in round.late {
                    // In a transaction of its own: a cancellation locks executors first, and a
                    // claim holds workflows by then. If we crash in between, the next claim comes
                    // across it.
                    let late = (id.clone(), self.bell.ring(News::of_anything()));
                    let cancelled = self.side("cancel a late workflow", late, |db, (id, ring)| {
                        change::late(db, id, ring).boxed()
                    });
                    // A lock may be in its way: no reason to let all others wait.
                    if let Err(error) = cancelled.await {
                        warn!(workflow = %id, %error, "could not cancel at the deadline");
                        taking.leave(id);
                    }
                }
                claimed.extend(round.claimed);
            }
            Ok(claimed)
        })
    }

    fn next_wake(&self) -> StoreFuture<'_, Option<Timestamp>> {
        self.side("look for the next delay", (), |db, ()| {
            async move {
                let row = db.query_opt(NEXT_WAKE, params![]).await?;
                row.map_or(Ok(None), |row| instant_opt(&row, 0))
            }
            .boxed()
        })
    }

    fn deadlines(&self, limit: u32) -> StoreFuture<'_, Vec<Deadline>> {
        self.side("look for deadlines", limit, |db, limit| {
            async move {
                let rows = db.query(DEADLINES, params![i64::from(*limit)]).await?;
                // One that cannot be read is no reason to let the others wait.
                let readable = rows.iter().map(deadline);
                readable
                    .filter(|row| !matches!(row, Err(Failure::Corrupt(_))))
                    .collect()
            }
            .boxed()
        })
    }

    fn owned(
        &self,
        executor: &ExecutorId,
        keys: Vec<WorkflowKey>,
    ) -> StoreFuture<'_, Vec<Claimed>> {
        let of = (executor.clone(), keys);
        // Inputs may be large: the lease does not wait for them.
        self.side("read the workflows of an executor", of, |db, (it, keys)| {
            claim::owned(db, it, keys).boxed()
        })
    }

    fn owned_keys(&self, executor: &ExecutorId) -> StoreFuture<'_, Vec<WorkflowKey>> {
        let executor = executor.clone();
        self.prompt("list the workflows of an executor", executor, |db, it| {
            claim::owned_keys(db, it).boxed()
        })
    }

    fn take_interrupts(&self, executor: &ExecutorId) -> StoreFuture<'_, Vec<WorkflowKey>> {
        let executor = executor.clone();
        self.prompt_once("look for interrupts", executor, |db, executor| {
            async move {
                let rows = db
                    .query(TAKE_INTERRUPTS, params![executor.as_str()])
                    .await?;
                rows.iter().map(|row| rows::key(row, 0)).collect()
            }
            .boxed()
        })
    }

    fn retire(&self, executor: &ExecutorId) -> StoreFuture<'_, ()> {
        let retiring = (executor.clone(), self.bell.ring(News::of_work()));
        self.apart("retire an executor", retiring, |db, (executor, ring)| {
            take_over::retire(db, executor, ring).boxed()
        })
    }

    fn executors(&self) -> StoreFuture<'_, Vec<Executor>> {
        self.side("list executors", (), |db, ()| {
            async move {
                let rows = db.query(ACTIVE, params![]).await?;
                rows.iter().map(executor).collect()
            }
            .boxed()
        })
    }
}

/// Makes the row. The same incarnation again is the same registration, unless it has ended.
async fn register(db: &Connection, executor: &NewExecutor) -> Result<(), Failure> {
    db.execute(REMOVE_OLD, params![REMOVED_MAX]).await?;
    let release = releases::of_new(db, executor).await?;
    db.execute(
        INSERT,
        params![
            executor.id.as_str(),
            executor.application.as_str(),
            executor.version.as_str(),
            executor.host.as_str(),
            i64::from(executor.pid),
            millis(executor.lease),
            release,
            executor.declares,
            executor.names,
        ],
    )
    .await?;
    change::is_live(db, &executor.id).await
}

/// Lengthens the lease. The answer tells the server's time as well.
async fn renew(db: &Connection, renewal: &Renewal) -> Result<Renewed, Failure> {
    let Renewal { executor, doing } = renewal;
    let doing = doing.as_ref().map(Payload::as_str);
    let asked = Instant::now();
    let id = executor.as_str();
    let Some(row) = db.query_opt(RENEW, params![id, doing]).await? else {
        db.server.losses.forget(executor);
        return Ok(Renewed::Lost);
    };
    db.server.clock.learn(instant(&row, 0)?, asked);
    Ok(Renewed::Live)
}

/// Tells others that work was handed back, after it is committed.
pub(crate) async fn commit_and_ring(db: &Connection, ring: &Ring) -> Result<(), Failure> {
    Ring::after(Some(ring), db, db.commit()).await
}

fn deadline(row: &Row) -> Result<Deadline, Failure> {
    Ok(Deadline {
        id: rows::workflow_id(row, 0)?,
        at: instant(row, 1)?,
    })
}

fn executor(row: &Row) -> Result<Executor, Failure> {
    Ok(Executor {
        id: ExecutorId::from_stored(get(row, 0)?),
        application: get(row, 1)?,
        version: get(row, 2)?,
        host: get(row, 3)?,
        pid: rows::number(row, 4)?,
        started_at: instant(row, 5)?,
        lease_expires_at: instant(row, 6)?,
        ended_at: instant_opt(row, 7)?,
        names: get(row, 8)?,
    })
}
