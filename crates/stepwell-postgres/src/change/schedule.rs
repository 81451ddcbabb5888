//! A schedule is defined, steered, or ticks.

use stepwell_core::store::{DeclaredBy, NewSchedule, ScheduleChange, Scheduled, Tick};

use super::{Scope, start};
use crate::{
    error::Failure,
    params::{At, params},
    rows::{get, instant_opt},
};

/// A schedule, as far as a change must know it. The lock decides between the executors that saw the
/// same tick.
const FIND: &str = "
    select declared_by, next_at, paused_at is not null
    from {schema}.schedules
    where schedule_name = $1
    for update";

/// Whether it is told again as it is.
const SAME: &str = "
    select
    from {schema}.schedules
    where schedule_name = $1
      and workflow_name = $2
      and spec = $3
      and timezone is not distinct from $4
      and missed = $5
      and arguments = $6
      and queue_name is not distinct from $7
      and declared_by = $8";

/// Told anew, it begins with its next tick from now on, and stays paused.
const DEFINE: &str = "
    insert into {schema}.schedules as s
        (schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
         created_at, next_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (schedule_name) do update
    set workflow_name = excluded.workflow_name,
        spec = excluded.spec,
        timezone = excluded.timezone,
        missed = excluded.missed,
        arguments = excluded.arguments,
        queue_name = excluded.queue_name,
        declared_by = excluded.declared_by,
        next_at = excluded.next_at
    where s.declared_by <> 'code'
       or excluded.declared_by = 'code'";

const REMOVE: &str = "
    delete from {schema}.schedules
    where schedule_name = $1";

const PAUSE: &str = "
    update {schema}.schedules
    set paused_at = $2,
        paused_by = $3,
        paused_why = $4
    where schedule_name = $1";

const RESUME: &str = "
    update {schema}.schedules
    set paused_at = null,
        paused_by = null,
        paused_why = null,
        next_at = $2
    where schedule_name = $1";

const MOVE_ON: &str = "
    update {schema}.schedules
    set next_at = $2,
        last_at = coalesce($3, last_at)
    where schedule_name = $1";

pub(super) async fn apply(
    scope: &mut Scope<'_>,
    change: &ScheduleChange,
) -> Result<Scheduled, Failure> {
    let db = scope.db;
    let row = db.query_opt(FIND, params![change.name()]).await?;
    if let ScheduleChange::Define(new) = change {
        return define(scope, new).await;
    }
    let Some(row) = row else {
        return Ok(Scheduled::NoSuchSchedule);
    };
    let paused: bool = get(&row, 2)?;
    match change {
        ScheduleChange::Pause { .. } if paused => return Ok(Scheduled::Already),
        ScheduleChange::Resume { .. } if !paused => return Ok(Scheduled::Already),
        // Somebody else was first, or a person.
        ScheduleChange::Tick(tick) if paused || instant_opt(&row, 1)? != Some(tick.at) => {
            return Ok(Scheduled::TooLate);
        }
        ScheduleChange::Define(_) => {}
        ScheduleChange::Remove { name } => {
            db.execute(REMOVE, params![name.as_str()]).await?;
        }
        ScheduleChange::Pause { name, by, why } => {
            let (name, by, why) = (name.as_str(), by.as_str(), why.as_str());
            db.execute(PAUSE, params![name, At(scope.now), by, why])
                .await?;
        }
        ScheduleChange::Resume { name, next_at } => {
            let next_at = next_at.map(At);
            db.execute(RESUME, params![name.as_str(), next_at]).await?;
        }
        ScheduleChange::Tick(tick) => move_on(scope, tick).await?,
    }
    Ok(Scheduled::Done)
}

async fn define(scope: &Scope<'_>, new: &NewSchedule) -> Result<Scheduled, Failure> {
    let db = scope.db;
    let queue = new.queue.as_ref().map(|queue| queue.name.as_str());
    let same = db
        .query_opt(
            SAME,
            params![
                new.name.as_str(),
                new.workflow.as_str(),
                new.spec.as_str(),
                new.timezone.as_deref(),
                new.missed.as_str(),
                new.arguments.as_str(),
                queue,
                new.declared_by.as_str()
            ],
        )
        .await?;
    if same.is_some() {
        return Ok(Scheduled::Already);
    }
    // Two that define it at once: the second waits for the first, and its condition sees it.
    let defined = db
        .execute(
            DEFINE,
            params![
                new.name.as_str(),
                new.workflow.as_str(),
                new.spec.as_str(),
                new.timezone.as_deref(),
                new.missed.as_str(),
                new.arguments.as_str(),
                queue,
                new.declared_by.as_str(),
                At(scope.now),
                new.next_at.map(At)
            ],
        )
        .await?;
    if let (0, DeclaredBy::Client) = (defined, new.declared_by) {
        return Ok(Scheduled::OfCode);
    }
    if let Some(queue) = &new.queue {
        start::add_queue(scope, queue).await?;
    }
    Ok(Scheduled::Done)
}

async fn move_on(scope: &mut Scope<'_>, tick: &Tick) -> Result<(), Failure> {
    for new in &tick.starts {
        // One that is there was started by hand, for this tick: a backfill.
        start::apply(scope, new).await?;
    }
    let (next_at, last_at) = (tick.next_at.map(At), tick.last_at.map(At));
    scope
        .db
        .execute(MOVE_ON, params![tick.name.as_str(), next_at, last_at])
        .await?;
    Ok(())
}
