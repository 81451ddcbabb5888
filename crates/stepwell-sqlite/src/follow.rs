//! Reads for those who watch workflows while they run.

use rusqlite::{Row, params};
use stepwell_core::{
    Payload, Place, RecordKind, State, WorkflowKey,
    store::{FollowStore, Mark, Moment, Recorded, StoreFuture, Values},
};

use crate::{
    error::corrupt,
    rows::{instant, micros},
    store::SqliteStore,
};

/// Counted in the table's own key; what records hold lies beside it and is not read.
pub(crate) const MARKS: &str = "
    select w.workflow_key, w.state,
        (
            select count(*)
            from records as r
            where r.workflow_key = w.workflow_key
              and r.place > ''
              and r.place < '~'
        )
    from json_each(?1) as k
    join workflows as w on w.workflow_key = k.value";

/// The columns are those of `records`, and the payload only of what was published.
pub(crate) const RECORDED: &str = "
    select place, kind, name, failed, attempts, started_at, recorded_at,
        case when ?4 and kind = 'set_event' and not failed then payload end
    from records
    where workflow_key = ?1
      and place > ''
      and place < '~'
      and (recorded_at > ?2 or (recorded_at = ?2 and place > ?3))
    order by recorded_at, place
    limit ?5";

impl FollowStore for SqliteStore {
    fn marks(&self, keys: Vec<WorkflowKey>) -> StoreFuture<'_, Vec<Mark>> {
        let keys: Vec<String> = keys.iter().map(|key| key.0.to_string()).collect();
        let keys = format!("[{}]", keys.join(","));
        self.read("look how far workflows are", move |db| {
            let mut statement = db.prepare_cached(MARKS)?;
            let marks = statement.query_map(params![keys], mark)?;
            let marks = marks.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(marks.into_iter().flatten().collect())
        })
    }

    fn recorded(
        &self,
        key: WorkflowKey,
        after: Option<Moment>,
        values: Values,
        limit: u32,
    ) -> StoreFuture<'_, Vec<Recorded>> {
        self.read("read what a workflow has recorded", move |db| {
            let (at, place) = match &after {
                Some(moment) => (micros(moment.at), moment.place.encode()),
                None => (i64::MIN, String::new()),
            };
            let published = values == Values::Published;
            let mut statement = db.prepare_cached(RECORDED)?;
            let params = params![key.0, at, place, published, limit];
            let records = statement.query_map(params, recorded)?;
            Ok(records.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn mark(row: &Row<'_>) -> rusqlite::Result<Option<Mark>> {
    let state = State::parse(row.get_ref(1)?.as_str()?);
    let (key, operations) = (WorkflowKey(row.get(0)?), row.get::<_, u32>(2)?.into());
    Ok(state.map(|state| Mark {
        key,
        state,
        operations,
    }))
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let place: String = row.get(0)?;
    let kind = row.get_ref(1)?.as_str()?;
    Ok(Recorded {
        place: Place::parse(&place).ok_or_else(|| corrupt("place", &place))?,
        kind: RecordKind::parse(kind).ok_or_else(|| corrupt("kind of a record", kind))?,
        name: row.get(2)?,
        outcome: if row.get(3)? { "error" } else { "ok" },
        attempts: row.get(4)?,
        started_at: instant(row.get(5)?)?,
        recorded_at: instant(row.get(6)?)?,
        published: row.get::<_, Option<String>>(7)?.map(Payload::from_stored),
    })
}
