//! A schedule is defined, steered, or ticks.

use rusqlite::{OptionalExtension, Row, params};
use stepwell_core::store::{DeclaredBy, NewSchedule, ScheduleChange, Scheduled, Tick};

use super::{Scope, start};
use crate::{error::Failure, rows::micros};

/// A schedule, as far as a change must know it.
pub(super) const FIND: &str = "
    select declared_by, next_at, paused_at is not null
    from schedules
    where schedule_name = ?1";

/// Whether it is told again as it is.
const SAME: &str = "
    select 1
    from schedules
    where schedule_name = ?1
      and workflow_name = ?2
      and spec = ?3
      and timezone is ?4
      and missed = ?5
      and arguments = ?6
      and queue_name is ?7
      and declared_by = ?8";

/// Told anew, it begins with its next tick from now on, and stays paused.
const DEFINE: &str = "
    insert into schedules
        (schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
         created_at, next_at)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    on conflict (schedule_name) do update
    set workflow_name = excluded.workflow_name,
        spec = excluded.spec,
        timezone = excluded.timezone,
        missed = excluded.missed,
        arguments = excluded.arguments,
        queue_name = excluded.queue_name,
        declared_by = excluded.declared_by,
        next_at = excluded.next_at";

const REMOVE: &str = "
    delete from schedules
    where schedule_name = ?1";

const PAUSE: &str = "
    update schedules
    set paused_at = ?2,
        paused_by = ?3,
        paused_why = ?4
    where schedule_name = ?1";

const RESUME: &str = "
    update schedules
    set paused_at = null,
        paused_by = null,
        paused_why = null,
        next_at = ?2
    where schedule_name = ?1";

const MOVE_ON: &str = "
    update schedules
    set next_at = ?2,
        last_at = coalesce(?3, last_at)
    where schedule_name = ?1";

/// A schedule that is there.
struct Known {
    declared_by: String,
    next_at: Option<i64>,
    paused: bool,
}

pub(super) fn apply(scope: &mut Scope<'_>, change: &ScheduleChange) -> Result<Scheduled, Failure> {
    let known = find(scope, change.name())?;
    let known = match (change, known) {
        (ScheduleChange::Define(new), known) => return define(scope, new, known.as_ref()),
        (_, None) => return Ok(Scheduled::NoSuchSchedule),
        (_, Some(known)) => known,
    };
    let changed = match change {
        ScheduleChange::Define(_) => 0,
        ScheduleChange::Remove { name } => {
            scope.db.prepare_cached(REMOVE)?.execute(params![name])?
        }
        ScheduleChange::Pause { .. } if known.paused => 0,
        ScheduleChange::Pause { name, by, why } => scope
            .db
            .prepare_cached(PAUSE)?
            .execute(params![name, scope.now_micros(), by, why])?,
        ScheduleChange::Resume { .. } if !known.paused => 0,
        ScheduleChange::Resume { name, next_at } => scope
            .db
            .prepare_cached(RESUME)?
            .execute(params![name, next_at.map(micros)])?,
        ScheduleChange::Tick(tick) => return move_on(scope, tick, &known),
    };
    Ok(match changed {
        0 => Scheduled::Already,
        _ => Scheduled::Done,
    })
}

fn find(scope: &Scope<'_>, name: &str) -> Result<Option<Known>, Failure> {
    let read = |row: &Row<'_>| {
        Ok(Known {
            declared_by: row.get(0)?,
            next_at: row.get(1)?,
            paused: row.get(2)?,
        })
    };
    let mut find = scope.db.prepare_cached(FIND)?;
    Ok(find.query_row(params![name], read).optional()?)
}

fn define(
    scope: &Scope<'_>,
    new: &NewSchedule,
    known: Option<&Known>,
) -> Result<Scheduled, Failure> {
    let queue = new.queue.as_ref().map(|queue| queue.name.as_str());
    let same = scope.db.prepare_cached(SAME)?.exists(params![
        new.name,
        new.workflow,
        new.spec,
        new.timezone,
        new.missed.as_str(),
        new.arguments.as_str(),
        queue,
        new.declared_by.as_str(),
    ])?;
    if same {
        return Ok(Scheduled::Already);
    }
    let of_code = known.is_some_and(|known| known.declared_by == DeclaredBy::Code.as_str());
    if of_code && new.declared_by == DeclaredBy::Client {
        return Ok(Scheduled::OfCode);
    }
    if let Some(queue) = &new.queue {
        start::add_queue(scope, queue)?;
    }
    scope.db.prepare_cached(DEFINE)?.execute(params![
        new.name,
        new.workflow,
        new.spec,
        new.timezone,
        new.missed.as_str(),
        new.arguments.as_str(),
        queue,
        new.declared_by.as_str(),
        scope.now_micros(),
        new.next_at.map(micros),
    ])?;
    Ok(Scheduled::Done)
}

/// The row decides between the executors that saw the same tick.
fn move_on(scope: &mut Scope<'_>, tick: &Tick, known: &Known) -> Result<Scheduled, Failure> {
    if known.paused || known.next_at != Some(micros(tick.at)) {
        return Ok(Scheduled::TooLate);
    }
    for new in &tick.starts {
        // One that is there was started by hand, for this tick: a backfill.
        start::apply(scope, new)?;
    }
    scope.db.prepare_cached(MOVE_ON)?.execute(params![
        tick.name,
        tick.next_at.map(micros),
        tick.last_at.map(micros),
    ])?;
    Ok(Scheduled::Done)
}
