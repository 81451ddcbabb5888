//! A schedule is defined by a client, or declared by the code of an executor.

use rusqlite::params;
use stepwell_core::{
    ExecutorId,
    store::{DeclaredBy, Declaring, NewSchedule, Scheduled, Standing},
};

use super::{super::start::add_queue, Known, Scope};
use crate::{error::Failure, releases, rows::micros};

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
      and declared_by = ?8
      and withdrawn_at is null";

/// Told anew, it begins with its next tick from now on, and stays paused.
const DEFINE: &str = "
    insert into schedules
        (schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
         created_at, next_at, release_number)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    on conflict (schedule_name) do update
    set workflow_name = excluded.workflow_name,
        spec = excluded.spec,
        timezone = excluded.timezone,
        missed = excluded.missed,
        arguments = excluded.arguments,
        queue_name = excluded.queue_name,
        declared_by = excluded.declared_by,
        next_at = excluded.next_at,
        release_number = excluded.release_number,
        revision = revision + 1,
        withdrawn_at = null";

/// A newer release declares it as it is.
const ADOPT: &str = "
    update schedules
    set release_number = max(release_number, ?2)
    where schedule_name = ?1";

const WITHDRAW: &str = "
    update schedules
    set withdrawn_at = ?2,
        release_number = ?3,
        revision = revision + 1
    where schedule_name = ?1";

pub(super) fn define(
    scope: &Scope<'_>,
    (new, declaring): (&NewSchedule, Declaring),
    known: Option<&Known>,
) -> Result<Scheduled, Failure> {
    let release = match declarer(scope, (new, declaring), known)? {
        Ok(release) => release,
        Err(refused) => return Ok(refused),
    };
    if is_same(scope, new)? {
        scope
            .db
            .prepare_cached(ADOPT)?
            .execute(params![new.name, release])?;
        return Ok(Scheduled::Already);
    }
    if let Some(queue) = &new.queue {
        add_queue(scope, queue)?;
    }
    scope.db.prepare_cached(DEFINE)?.execute(params![
        new.name,
        new.workflow,
        new.spec,
        new.timezone,
        new.missed.as_str(),
        new.arguments.as_str(),
        new.queue.as_ref().map(|queue| queue.name.as_str()),
        new.declared_by().as_str(),
        scope.now_micros(),
        new.next_at.map(micros),
        release,
    ])?;
    Ok(Scheduled::Done)
}

/// The release that says so, 0 for a client; or why it may not.
fn declarer(
    scope: &Scope<'_>,
    (new, declaring): (&NewSchedule, Declaring),
    known: Option<&Known>,
) -> Result<Result<i64, Scheduled>, Failure> {
    let of_code = |known: &&Known| known.declared_by == DeclaredBy::Code.as_str();
    let declared = known.filter(of_code);
    let Some(executor) = &new.executor else {
        let stands = declared.is_some_and(|known| !known.withdrawn);
        return Ok(if stands {
            Err(Scheduled::OfCode)
        } else {
            Ok(0)
        });
    };
    if known.is_some() && declared.is_none() {
        return Ok(Err(Scheduled::OfClient));
    }
    let mine = match declared {
        Some(known) => counts(scope, (executor, declaring), known)?,
        None => releases::of_executor(scope.db, executor)?,
    };
    Ok(mine.map(|mine| mine.number).ok_or(Scheduled::Outdated))
}

/// The release of an executor, if it counts before the one whose declaration stands.
fn counts(
    scope: &Scope<'_>,
    (executor, declaring): (&ExecutorId, Declaring),
    known: &Known,
) -> Result<Option<Standing>, Failure> {
    let Some(mine) = releases::of_executor(scope.db, executor)? else {
        return Ok(None);
    };
    let declared = releases::standing(scope.db, known.release, scope.now)?;
    Ok(mine.counts_before(declared, declaring).then_some(mine))
}

fn is_same(scope: &Scope<'_>, new: &NewSchedule) -> Result<bool, Failure> {
    Ok(scope.db.prepare_cached(SAME)?.exists(params![
        new.name,
        new.workflow,
        new.spec,
        new.timezone,
        new.missed.as_str(),
        new.arguments.as_str(),
        new.queue.as_ref().map(|queue| queue.name.as_str()),
        new.declared_by().as_str(),
    ])?)
}

pub(super) fn withdraw(
    scope: &Scope<'_>,
    (name, executor): (&str, &ExecutorId),
    known: &Known,
) -> Result<Scheduled, Failure> {
    if known.declared_by != DeclaredBy::Code.as_str() {
        return Ok(Scheduled::OfClient);
    }
    let mine = match counts(scope, (executor, Declaring::Anew), known)? {
        Some(mine) if !releases::is_declared(scope.db, name, scope.now)? => mine,
        _ => return Ok(Scheduled::Outdated),
    };
    scope
        .db
        .prepare_cached(WITHDRAW)?
        .execute(params![name, scope.now_micros(), mine.number])?;
    Ok(Scheduled::Done)
}
