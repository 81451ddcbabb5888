//! Reads for those who watch workflows while they run.

use futures_util::FutureExt;
use jiff::Timestamp;
use stepwell_core::{
    Payload, Place, RecordKind, State, WorkflowKey,
    store::{FollowStore, Mark, Moment, Recorded, StoreFuture, Values},
};
use tokio_postgres::Row;

use crate::{
    error::{Failure, corrupt},
    params::{At, params},
    rows::{get, instant, number},
    store::PostgresStore,
};

/// Counted in the table's key; what records hold is not read.
pub(crate) const MARKS: &str = "
    select w.workflow_key, w.state, c.operations
    from unnest($1::bigint[]) as k (workflow_key)
    cross join lateral (
        select workflow_key, state
        from {schema}.workflows
        where workflow_key = k.workflow_key
        offset 0
    ) as w
    cross join lateral (
        select count(*) as operations
        from {schema}.records as r
        where r.workflow_key = k.workflow_key
          and r.place > ''
          and r.place < '~'
        offset 0
    ) as c";

/// The payload only of what was published.
pub(crate) const RECORDED: &str = "
    select place, kind, name, failed, attempts, started_at, recorded_at,
        case when $4 and kind = 'set_event' and not failed then payload end
    from {schema}.records
    where workflow_key = $1
      and place > ''
      and place < '~'
      and (recorded_at > $2 or (recorded_at = $2 and place > $3))
    order by recorded_at, place
    limit $5";

impl FollowStore for PostgresStore {
    fn marks(&self, keys: Vec<WorkflowKey>) -> StoreFuture<'_, Vec<Mark>> {
        let keys: Vec<i64> = keys.iter().map(|key| key.0).collect();
        self.side("look how far workflows are", keys, |db, keys| {
            async move {
                let rows = db.query(MARKS, params![*keys]).await?;
                let marks: Result<Vec<_>, Failure> = rows.iter().map(mark).collect();
                Ok(marks?.into_iter().flatten().collect())
            }
            .boxed()
        })
    }

    fn recorded(
        &self,
        key: WorkflowKey,
        after: Option<Moment>,
        values: Values,
        limit: u32,
    ) -> StoreFuture<'_, Vec<Recorded>> {
        let of = (key, after, values == Values::Published, limit);
        self.side("read what a workflow has recorded", of, |db, of| {
            async move {
                let (key, after, published, limit) = of;
                // Before every record of a store.
                let first = (At(Timestamp::UNIX_EPOCH), String::new());
                let (at, place) = after
                    .as_ref()
                    .map_or(first, |moment| (At(moment.at), moment.place.encode()));
                let (published, limit) = (*published, i64::from(*limit));
                let values = params![key.0, at, place, published, limit];
                let rows = db.query(RECORDED, values).await?;
                rows.iter().map(recorded).collect()
            }
            .boxed()
        })
    }
}

fn mark(row: &Row) -> Result<Option<Mark>, Failure> {
    let state = State::parse(get(row, 1)?);
    let operations: i64 = get(row, 2)?;
    let key = WorkflowKey(get(row, 0)?);
    Ok(state.map(|state| Mark {
        key,
        state,
        operations: u64::try_from(operations).unwrap_or(0),
    }))
}

fn recorded(row: &Row) -> Result<Recorded, Failure> {
    let (place, kind): (&str, &str) = (get(row, 0)?, get(row, 1)?);
    let failed: bool = get(row, 3)?;
    Ok(Recorded {
        place: Place::parse(place).ok_or_else(|| corrupt("place", place))?,
        kind: RecordKind::parse(kind).ok_or_else(|| corrupt("kind of a record", kind))?,
        name: get(row, 2)?,
        outcome: if failed { "error" } else { "ok" },
        attempts: number(row, 4)?,
        started_at: instant(row, 5)?,
        recorded_at: instant(row, 6)?,
        published: get::<Option<String>>(row, 7)?.map(Payload::from_stored),
    })
}
