//! Reads of schedules.

use rusqlite::{Row, params};
use stepwell_core::{
    Payload,
    store::{Paused, ScheduleInfo, ScheduleStore, ScheduleWords, StoreFuture},
};

use crate::{rows::instant, store::SqliteStore};

/// What [`schedule`] reads.
const LIST: &str = "
    select schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
        next_at, last_at, paused_at, paused_by, paused_why, revision
    from schedules
    where withdrawn_at is null
    order by schedule_name";

impl ScheduleStore for SqliteStore {
    fn schedules(&self) -> StoreFuture<'_, Vec<ScheduleInfo>> {
        self.read("list schedules", |db| {
            let mut list = db.prepare_cached(LIST)?;
            let schedules = list.query_map(params![], schedule)?;
            Ok(schedules.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn schedule(row: &Row<'_>) -> rusqlite::Result<ScheduleInfo> {
    let (missed, declared_by): (String, String) = (row.get(4)?, row.get(7)?);
    let words = ScheduleWords::read(&missed, &declared_by);
    let at = |column| row.get::<_, Option<i64>>(column)?.map(instant).transpose();
    let paused = at(10)?.map(|at| -> rusqlite::Result<_> {
        Ok(Paused {
            at,
            by: row.get(11)?,
            why: row.get(12)?,
        })
    });
    Ok(ScheduleInfo {
        name: row.get(0)?,
        workflow: row.get(1)?,
        spec: row.get(2)?,
        timezone: row.get(3)?,
        missed: words.missed,
        arguments: Payload::from_stored(row.get(5)?),
        queue: row.get(6)?,
        declared_by: words.declared_by,
        revision: row.get(13)?,
        next_at: at(8)?,
        last_at: at(9)?,
        paused: paused.transpose()?,
        trouble: words.trouble,
    })
}
