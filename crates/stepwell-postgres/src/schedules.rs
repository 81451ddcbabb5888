//! Reads of schedules.

use futures_util::FutureExt;
use stepwell_core::store::{ScheduleInfo, ScheduleStore, ScheduleWords, StoreFuture};
use tokio_postgres::Row;

use crate::{
    error::Failure,
    params::params,
    queues::paused,
    rows::{get, instant_opt, payload},
    store::PostgresStore,
};

/// What [`schedule`] reads.
const LIST: &str = "
    select schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
        next_at, last_at, paused_at, paused_by, paused_why, revision
    from {schema}.schedules
    where withdrawn_at is null
    order by schedule_name";

impl ScheduleStore for PostgresStore {
    fn schedules(&self) -> StoreFuture<'_, Vec<ScheduleInfo>> {
        self.side("list schedules", (), |db, ()| {
            async move {
                let rows = db.query(LIST, params![]).await?;
                rows.iter().map(schedule).collect()
            }
            .boxed()
        })
    }
}

fn schedule(row: &Row) -> Result<ScheduleInfo, Failure> {
    let words = ScheduleWords::read(get(row, 4)?, get(row, 7)?);
    Ok(ScheduleInfo {
        name: get(row, 0)?,
        workflow: get(row, 1)?,
        spec: get(row, 2)?,
        timezone: get(row, 3)?,
        missed: words.missed,
        arguments: payload(row, 5)?,
        queue: get(row, 6)?,
        declared_by: words.declared_by,
        revision: get(row, 13)?,
        next_at: instant_opt(row, 8)?,
        last_at: instant_opt(row, 9)?,
        paused: paused(row, 10)?,
        trouble: words.trouble,
    })
}
