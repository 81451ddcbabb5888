//! A schedule is defined by a client, or declared by the code of an executor.

use stepwell_core::{
    ExecutorId,
    store::{DeclaredBy, Declaring, NewSchedule, Scheduled, Standing},
};

use super::{super::start::add_queue, Known, Scope};
use crate::{
    error::Failure,
    params::{At, params},
    releases,
};

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
      and declared_by = $8
      and withdrawn_at is null";

const ADD: &str = "
    insert into {schema}.schedules
        (schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
         next_at, release_number, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    on conflict do nothing";

/// Told anew, it begins with its next tick from now on, and stays paused.
const CHANGE: &str = "
    update {schema}.schedules
    set workflow_name = $2,
        spec = $3,
        timezone = $4,
        missed = $5,
        arguments = $6,
        queue_name = $7,
        declared_by = $8,
        next_at = $9,
        release_number = $10,
        revision = revision + 1,
        withdrawn_at = null
    where schedule_name = $1";

/// A newer release declares it as it is.
const ADOPT: &str = "
    update {schema}.schedules
    set release_number = $2
    where schedule_name = $1
      and release_number < $2";

const WITHDRAW: &str = "
    update {schema}.schedules
    set withdrawn_at = $2,
        release_number = $3,
        revision = revision + 1
    where schedule_name = $1";

pub(super) async fn define(
    scope: &Scope<'_>,
    (new, declaring): (&NewSchedule, Declaring),
    known: Option<&Known>,
) -> Result<Scheduled, Failure> {
    let release = match declarer(scope, (new, declaring), known).await? {
        Ok(release) => release,
        Err(refused) => return Ok(refused),
    };
    let db = scope.db;
    if is_same(scope, new).await? {
        db.execute(ADOPT, params![new.name.as_str(), release])
            .await?;
        return Ok(Scheduled::Already);
    }
    if let Some(queue) = &new.queue {
        add_queue(scope, queue).await?;
    }
    let defined = write(scope, new, (known.is_none(), release)).await?;
    match defined {
        // Somebody else has defined it in between: it is looked at again.
        0 => Err(Failure::Moved),
        _ => Ok(Scheduled::Done),
    }
}

async fn write(
    scope: &Scope<'_>,
    new: &NewSchedule,
    (is_new, release): (bool, i64),
) -> Result<u64, Failure> {
    let name = new.name.as_str();
    let (workflow, spec) = (new.workflow.as_str(), new.spec.as_str());
    let (timezone, missed) = (new.timezone.as_deref(), new.missed.as_str());
    let arguments = new.arguments.as_str();
    let queue = new.queue.as_ref().map(|queue| queue.name.as_str());
    let by = new.declared_by().as_str();
    let (next_at, now) = (new.next_at.map(At), At(scope.now));
    let written = match is_new {
        true => {
            let values = params![
                name, workflow, spec, timezone, missed, arguments, queue, by, next_at, release, now
            ];
            scope.db.execute(ADD, values).await?
        }
        false => {
            let values = params![
                name, workflow, spec, timezone, missed, arguments, queue, by, next_at, release
            ];
            scope.db.execute(CHANGE, values).await?
        }
    };
    Ok(written)
}

/// The release that says so, 0 for a client; or why it may not.
async fn declarer(
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
        Some(known) => counts(scope, (executor, declaring), known).await?,
        None => releases::of_executor(scope.db, executor).await?,
    };
    Ok(mine.map(|mine| mine.number).ok_or(Scheduled::Outdated))
}

/// The release of an executor, if it counts before the one whose declaration stands.
async fn counts(
    scope: &Scope<'_>,
    (executor, declaring): (&ExecutorId, Declaring),
    known: &Known,
) -> Result<Option<Standing>, Failure> {
    let Some(mine) = releases::of_executor(scope.db, executor).await? else {
        return Ok(None);
    };
    let declared = releases::standing(scope.db, known.release).await?;
    Ok(mine.counts_before(declared, declaring).then_some(mine))
}

async fn is_same(scope: &Scope<'_>, new: &NewSchedule) -> Result<bool, Failure> {
    let row = scope
        .db
        .query_opt(
            SAME,
            params![
                new.name.as_str(),
                new.workflow.as_str(),
                new.spec.as_str(),
                new.timezone.as_deref(),
                new.missed.as_str(),
                new.arguments.as_str(),
                new.queue.as_ref().map(|queue| queue.name.as_str()),
                new.declared_by().as_str()
            ],
        )
        .await?;
    Ok(row.is_some())
}

pub(super) async fn withdraw(
    scope: &Scope<'_>,
    (name, executor): (&str, &ExecutorId),
    known: &Known,
) -> Result<Scheduled, Failure> {
    if known.declared_by != DeclaredBy::Code.as_str() {
        return Ok(Scheduled::OfClient);
    }
    let mine = match counts(scope, (executor, Declaring::Anew), known).await? {
        Some(mine) if !releases::is_declared(scope.db, name).await? => mine,
        _ => return Ok(Scheduled::Outdated),
    };
    scope
        .db
        .execute(WITHDRAW, params![name, At(scope.now), mine.number])
        .await?;
    Ok(Scheduled::Done)
}
