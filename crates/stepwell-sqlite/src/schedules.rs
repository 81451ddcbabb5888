//! Reads of schedules.

use rusqlite::{Row, params};
use stepwell_core::{
    Missed, Payload,
    store::{DeclaredBy, Paused, ScheduleInfo, ScheduleStore, StoreFuture},
};

use crate::{error::corrupt, rows::instant, store::SqliteStore};

/// What [`schedule`] reads.
const LIST: &str = "
    select schedule_name, workflow_name, spec, timezone, missed, arguments, queue_name, declared_by,
        next_at, last_at, paused_at, paused_by, paused_why
    from schedules
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
    let missed = row.get_ref(4)?.as_str()?;
    let declared_by = row.get_ref(7)?.as_str()?;
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
        missed: Missed::parse(missed).ok_or_else(|| corrupt("policy of missed ticks", missed))?,
        arguments: Payload::from_stored(row.get(5)?),
        queue: row.get(6)?,
        declared_by: DeclaredBy::parse(declared_by)
            .ok_or_else(|| corrupt("declarer of a schedule", declared_by))?,
        next_at: at(8)?,
        last_at: at(9)?,
        paused: paused.transpose()?,
    })
}
