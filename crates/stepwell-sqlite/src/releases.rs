//! Releases of the code: which is newer, and which is there.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use stepwell_core::{
    ExecutorId,
    store::{DECLARATIONS_KEPT, NewExecutor, RELEASE_KEPT, Standing},
};

use crate::{
    error::Failure,
    rows::{before, micros},
    take_over::HANDED_BACK,
};

/// How many releases are remembered: what an older one declares counts as if no release had.
const REMEMBERED_MAX: i64 = 10_000;

const ADD: &str = "
    insert into releases (application, version)
    values (?1, ?2)
    on conflict do nothing";

const FORGET: &str = "
    delete from releases
    where release_number <= (select max(release_number) from releases) - ?1";

const NUMBER: &str = "
    select release_number
    from releases
    where application = ?1
      and version = ?2";

const OF_EXECUTOR: &str = "
    select release_number
    from executors
    where executor_id = ?1
      and ended_at is null";

const IS_THERE: &str = "
    select 1
    from executors
    where release_number = ?1
      and (ended_at is null or ended_at > ?2)";

const DECLARED: &str = "
    select 1
    from executors as e, json_each(e.declares) as declared
    where (e.ended_at is null or (e.ended_at > ?2 and e.ended_why <> ?3))
      and declared.value = ?1";

/// The number of the release that an executor runs, which is made with its first one.
pub(crate) fn of_new(db: &Connection, executor: &NewExecutor) -> Result<i64, Failure> {
    let release = params![executor.application, executor.version];
    if db.prepare_cached(ADD)?.execute(release)? == 1 {
        db.prepare_cached(FORGET)?
            .execute(params![REMEMBERED_MAX])?;
    }
    Ok(db
        .prepare_cached(NUMBER)?
        .query_row(release, |row| row.get(0))?)
}

/// The release that an executor runs; none if it does not live.
pub(crate) fn of_executor(
    db: &Connection,
    executor: &ExecutorId,
) -> Result<Option<Standing>, Failure> {
    let mut find = db.prepare_cached(OF_EXECUTOR)?;
    let number = find.query_row(params![executor.as_str()], |row| row.get(0));
    let number: Option<i64> = number.optional()?;
    Ok(number.map(|number| Standing {
        number,
        is_there: true,
    }))
}

/// The release with a number.
pub(crate) fn standing(db: &Connection, number: i64, now: Timestamp) -> Result<Standing, Failure> {
    let since = micros(before(now, RELEASE_KEPT));
    let is_there = db
        .prepare_cached(IS_THERE)?
        .exists(params![number, since])?;
    Ok(Standing { number, is_there })
}

/// Whether the code of a living executor declares a schedule, or of one that was lost just now.
pub(crate) fn is_declared(
    db: &Connection,
    schedule: &str,
    now: Timestamp,
) -> Result<bool, Failure> {
    let since = micros(before(now, DECLARATIONS_KEPT));
    let mut declared = db.prepare_cached(DECLARED)?;
    Ok(declared.exists(params![schedule, since, HANDED_BACK])?)
}
