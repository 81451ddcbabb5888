//! A schedule is steered, or ticks.

mod define;

use rusqlite::{OptionalExtension, Row, params};
use stepwell_core::store::{Declaring, ScheduleChange, Scheduled, Tick};

use super::{Scope, start};
use crate::{error::Failure, rows::micros};

/// A schedule, as far as a change must know it.
pub(super) const FIND: &str = "
    select declared_by, next_at, paused_at is not null, revision, release_number,
        withdrawn_at is not null
    from schedules
    where schedule_name = ?1";

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
    revision: i64,
    release: i64,
    withdrawn: bool,
}

pub(super) fn apply(scope: &mut Scope<'_>, change: &ScheduleChange) -> Result<Scheduled, Failure> {
    let known = find(scope, change.name())?;
    match change {
        ScheduleChange::Define(new) => {
            return define::define(scope, (new, Declaring::Anew), known.as_ref());
        }
        ScheduleChange::Redeclare(new) => {
            return define::define(scope, (new, Declaring::Again), known.as_ref());
        }
        _ => {}
    }
    let Some(known) = known.filter(|known| !known.withdrawn) else {
        return Ok(Scheduled::NoSuchSchedule);
    };
    let changed = match change {
        ScheduleChange::Define(_) | ScheduleChange::Redeclare(_) => 0,
        ScheduleChange::Withdraw { name, executor } => {
            return define::withdraw(scope, (name, executor), &known);
        }
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
            revision: row.get(3)?,
            release: row.get(4)?,
            withdrawn: row.get(5)?,
        })
    };
    let mut find = scope.db.prepare_cached(FIND)?;
    Ok(find.query_row(params![name], read).optional()?)
}

/// The row decides between the executors that saw the same tick.
fn move_on(scope: &mut Scope<'_>, tick: &Tick, known: &Known) -> Result<Scheduled, Failure> {
    let is_as_read = known.revision == tick.revision && known.next_at == tick.at.map(micros);
    if known.paused || !is_as_read {
        return Ok(Scheduled::TooLate);
    }
    for new in &tick.starts {
        // One that is there was started by hand, for this tick: a backfill.
        start::anyway(scope, new, start::apply)?;
    }
    scope.db.prepare_cached(MOVE_ON)?.execute(params![
        tick.name,
        tick.next_at.map(micros),
        tick.last_at.map(micros),
    ])?;
    Ok(Scheduled::Done)
}
