//! Releases of the code: which is newer, and which is there.

use stepwell_core::{
    ExecutorId,
    store::{DECLARATIONS_KEPT, NewExecutor, RELEASE_KEPT, Standing},
};

use crate::{
    connection::Connection,
    error::{Failure, corrupt},
    params::params,
    rows::{get, micros},
    take_over::HANDED_BACK,
};

/// How many releases are remembered: what an older one declares counts as if no release had.
const REMEMBERED_MAX: i64 = 10_000;

const ADD: &str = "
    insert into {schema}.releases (application, version)
    values ($1, $2)
    on conflict do nothing";

const FORGET: &str = "
    delete from {schema}.releases
    where release_number <= (select max(release_number) from {schema}.releases) - $1";

/// A statement of its own: two first executors of a release may add it at once.
const NUMBER: &str = "
    select release_number
    from {schema}.releases
    where application = $1
      and version = $2";

const OF_EXECUTOR: &str = "
    select release_number
    from {schema}.executors
    where executor_id = $1
      and ended_at is null";

const IS_THERE: &str = "
    select exists (
        select
        from {schema}.executors
        where release_number = $1
          and (ended_at is null
            or ended_at > (select {schema}.clock()) - $2 * interval '1 microsecond')
    )";

const DECLARED: &str = "
    select exists (
        select
        from {schema}.executors
        where (ended_at is null
            or (ended_at > (select {schema}.clock()) - $2 * interval '1 microsecond'
                and ended_why <> $3))
          and $1 = any (declares)
    )";

/// The number of the release that an executor runs, which is made with its first one.
pub(crate) async fn of_new(db: &Connection, executor: &NewExecutor) -> Result<i64, Failure> {
    let (application, version) = (executor.application.as_str(), executor.version.as_str());
    if let Some(row) = db.query_opt(NUMBER, params![application, version]).await? {
        return get(&row, 0);
    }
    db.execute(ADD, params![application, version]).await?;
    db.execute(FORGET, params![REMEMBERED_MAX]).await?;
    let row = db.query_opt(NUMBER, params![application, version]).await?;
    get(
        &row.ok_or_else(|| corrupt("release", "one that is gone"))?,
        0,
    )
}

/// The release that an executor runs; none if it does not live.
pub(crate) async fn of_executor(
    db: &Connection,
    executor: &ExecutorId,
) -> Result<Option<Standing>, Failure> {
    let row = db
        .query_opt(OF_EXECUTOR, params![executor.as_str()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Standing {
        number: get(&row, 0)?,
        is_there: true,
    }))
}

/// The release with a number.
pub(crate) async fn standing(db: &Connection, number: i64) -> Result<Standing, Failure> {
    let row = db
        .query_opt(IS_THERE, params![number, micros(RELEASE_KEPT)])
        .await?;
    Ok(Standing {
        number,
        is_there: row.map_or(Ok(false), |row| get(&row, 0))?,
    })
}

/// Whether the code of a living executor declares a schedule, or of one that was lost just now.
pub(crate) async fn is_declared(db: &Connection, schedule: &str) -> Result<bool, Failure> {
    let kept = micros(DECLARATIONS_KEPT);
    let row = db
        .query_opt(DECLARED, params![schedule, kept, HANDED_BACK])
        .await?;
    row.map_or(Ok(false), |row| get(&row, 0))
}
