//! A schedule is steered, or ticks.

mod define;

use jiff::Timestamp;
use stepwell_core::store::{Declaring, ScheduleChange, Scheduled, Started, Tick};

use super::{Scope, start};
use crate::{
    error::Failure,
    params::{At, params},
    rows::{get, instant_opt},
};

/// A schedule, as far as a change must know it. The lock decides between the executors that saw the
/// same tick.
const FIND: &str = "
    select declared_by, next_at, paused_at is not null, revision, release_number,
        withdrawn_at is not null
    from {schema}.schedules
    where schedule_name = $1
    for update";

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

/// A schedule that is there, and locked.
struct Known {
    declared_by: String,
    next_at: Option<Timestamp>,
    paused: bool,
    revision: i64,
    release: i64,
    withdrawn: bool,
}

pub(super) async fn apply(
    scope: &mut Scope<'_>,
    change: &ScheduleChange,
) -> Result<Scheduled, Failure> {
    let known = find(scope, change.name()).await?;
    match change {
        ScheduleChange::Define(new) => {
            return define::define(scope, (new, Declaring::Anew), known.as_ref()).await;
        }
        ScheduleChange::Redeclare(new) => {
            return define::define(scope, (new, Declaring::Again), known.as_ref()).await;
        }
        _ => {}
    }
    let Some(known) = known.filter(|known| !known.withdrawn) else {
        return Ok(Scheduled::NoSuchSchedule);
    };
    let db = scope.db;
    match change {
        ScheduleChange::Pause { .. } if known.paused => return Ok(Scheduled::Already),
        ScheduleChange::Resume { .. } if !known.paused => return Ok(Scheduled::Already),
        ScheduleChange::Define(_) | ScheduleChange::Redeclare(_) => {}
        ScheduleChange::Withdraw { name, executor } => {
            return define::withdraw(scope, (name, executor), &known).await;
        }
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
        ScheduleChange::Tick(tick) => return move_on(scope, tick, &known).await,
    }
    Ok(Scheduled::Done)
}

async fn find(scope: &Scope<'_>, name: &str) -> Result<Option<Known>, Failure> {
    let Some(row) = scope.db.query_opt(FIND, params![name]).await? else {
        return Ok(None);
    };
    Ok(Some(Known {
        declared_by: get(&row, 0)?,
        next_at: instant_opt(&row, 1)?,
        paused: get(&row, 2)?,
        revision: get(&row, 3)?,
        release: get(&row, 4)?,
        withdrawn: get(&row, 5)?,
    }))
}

async fn move_on(scope: &mut Scope<'_>, tick: &Tick, known: &Known) -> Result<Scheduled, Failure> {
    let is_as_read = known.revision == tick.revision && known.next_at == tick.at;
    // Somebody else was first, or a person.
    if known.paused || !is_as_read {
        return Ok(Scheduled::TooLate);
    }
    for new in &tick.starts {
        // One that is there was started by hand, for this tick: a backfill.
        if let Started::Conflict { name } = start::apply(scope, new).await? {
            start::apply(scope, &new.beside(&name)).await?;
        }
    }
    let (next_at, last_at) = (tick.next_at.map(At), tick.last_at.map(At));
    scope
        .db
        .execute(MOVE_ON, params![tick.name.as_str(), next_at, last_at])
        .await?;
    Ok(Scheduled::Done)
}
