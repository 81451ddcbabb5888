//! Reads of workflows and their histories.

mod list;

use std::time::Duration;

use futures_util::FutureExt;
use stepwell_core::{
    ExecutorId, Outcome, Place, Record, Takeover, WorkflowId, WorkflowKey,
    store::{
        DEAD_LETTER_GROUPS_MAX, DeadLetters, Filter, LOOKED_AT_MAX, NAMES_WAITING_MAX, NameWaiting,
        StoreFuture, TALLIES_MAX, Tally, Workflow, WorkflowStore,
    },
};
use tokio_postgres::Row;

use crate::{
    connection::Connection,
    error::Failure,
    params::{Param, params},
    rows::{self, WORKFLOW_COLUMNS, get, instant, workflow_columns},
    store::PostgresStore,
};

/// How many workflows a list of children shows at most.
const CHILDREN_MAX: i64 = 10_000;

/// A workflow by its id.
pub(crate) const FIND: &str = concat!(
    "select",
    workflow_columns!(),
    "
    from {schema}.workflows as w
    where w.workflow_id = $1"
);

/// A workflow by its key, with its result. One statement: both are of the same instant.
pub(crate) const RESULT: &str = concat!(
    "select",
    workflow_columns!(),
    ", r.failed, r.payload
    from {schema}.workflows as w
    left join {schema}.records as r
      on r.workflow_key = w.workflow_key
     and r.place = '~'
    where w.workflow_key = $1"
);

/// A page of a history. The key is the table's, so that a page is read in one go. No text is less
/// than the input's place, `''`: the first page needs another operator.
pub(crate) const HISTORY_FIRST: &str = "
    select place, kind, name, failed, payload, attempts, started_at, recorded_at
    from (
        select place, kind, name, failed, payload, attempts, started_at, recorded_at,
            coalesce(sum(octet_length(payload)) over (
                order by place rows between unbounded preceding and 1 preceding
            ), 0) as bytes_before
        from {schema}.records
        where workflow_key = $1
          and place >= $2
        order by place
        limit $3
    ) as page
    where bytes_before < $4
    order by place";

pub(crate) const HISTORY_AFTER: &str = "
    select place, kind, name, failed, payload, attempts, started_at, recorded_at
    from (
        select place, kind, name, failed, payload, attempts, started_at, recorded_at,
            coalesce(sum(octet_length(payload)) over (
                order by place rows between unbounded preceding and 1 preceding
            ), 0) as bytes_before
        from {schema}.records
        where workflow_key = $1
          and place > $2
        order by place
        limit $3
    ) as page
    where bytes_before < $4
    order by place";

/// The children of a workflow, oldest first.
pub(crate) const CHILDREN: &str = concat!(
    "select",
    workflow_columns!(),
    "
    from {schema}.workflows as w
    where w.parent_key = $1
    order by w.workflow_key + 0
    limit $2"
);

/// The take-overs of a workflow, oldest first.
pub(crate) const TAKEOVERS: &str = "
    select w.workflow_id, t.lost_at, t.taken_at, t.from_executor_id, t.to_executor_id, t.replayed,
        t.why
    from {schema}.takeovers as t
    join {schema}.workflows as w on w.workflow_key = t.workflow_key
    where t.workflow_key = $1
    order by t.takeover_number";

/// Dead letters by what they have in common. Counted in the index that was made for them.
pub(crate) const DEAD_LETTERS: &str = "
    with groups as materialized (
        select name, state, fingerprint, count(*) as letters,
            min(workflow_key) as oldest, max(workflow_key) as newest
        from {schema}.workflows
        where acknowledged_at is null
          and (state = 'failed' or state = 'stuck' or state = 'dead')
        group by name, state, fingerprint
        order by letters desc, newest desc
        limit $1
    )
    select g.name, g.state, g.fingerprint, g.letters, o.created_at, n.created_at, n.workflow_id
    from groups as g
    join {schema}.workflows as o on o.workflow_key = g.oldest
    join {schema}.workflows as n on n.workflow_key = g.newest
    order by g.letters desc, g.newest desc";

fn dead_letters(row: &Row) -> Result<DeadLetters, Failure> {
    Ok(DeadLetters {
        name: get(row, 0)?,
        state: rows::state(row, 1)?,
        fingerprint: get(row, 2)?,
        count: u64::from(rows::number(row, 3)?),
        first_at: instant(row, 4)?,
        last_at: instant(row, 5)?,
        newest: rows::workflow_id(row, 6)?,
    })
}

/// The names of what waits for an executor, read in the index of those.
pub(crate) const NAMES_WAITING: &str = "
    select waiting.name, count(*) as workflows
    from (
        select name
        from {schema}.workflows
        where state = 'enqueued'
        limit $1
    ) as waiting
    group by waiting.name
    order by workflows desc, waiting.name
    limit $2";

fn name_waiting(row: &Row) -> Result<NameWaiting, Failure> {
    Ok(NameWaiting {
        name: get(row, 0)?,
        count: u64::from(rows::number(row, 1)?),
    })
}

const TALLIES: &str = "
    select origin, name, state, count(*) as workflows
    from {schema}.workflows
    group by origin, name, state
    order by workflows desc, name, state, origin
    limit $1";

fn tally(row: &Row) -> Result<Tally, Failure> {
    Ok(Tally {
        origin: get(row, 0)?,
        name: get(row, 1)?,
        state: rows::state(row, 2)?,
        count: u64::from(rows::number(row, 3)?),
    })
}

#[cfg(test)]
pub(crate) fn list_sql(filter: &Filter) -> String {
    list::query(filter).sql
}

/// A version's cursor stands at the last row of those that are stuck which it has looked at.
pub(crate) const IS_UNTRIED: &str = "
    select 1
    from {schema}.workflows as w
    cross join (select {schema}.clock() as now) as at
    cross join {schema}.executors as e
    left join {schema}.stuck_cursors as c
      on c.queue_name = coalesce(w.queue_name, '')
     and c.name = w.name
     and c.version = e.version
    where w.workflow_key = $1
      and w.state = 'stuck'
      and e.drained_at is null
      and e.ended_at is null
      and e.lease_expires_at > at.now
      and not exists (
        select from {schema}.stuck as s
        where s.workflow_key = w.workflow_key
          and s.version = e.version
    )
      and case
        when c.stuck_number is null
            then w.ended_at > at.now - $2::bigint * interval '1 microsecond'
        else c.stuck_number < (
            select max(s.stuck_number)
            from {schema}.stuck as s
            where s.workflow_key = w.workflow_key
        )
    end
    limit 1";

impl WorkflowStore for PostgresStore {
    fn find(&self, id: &WorkflowId) -> StoreFuture<'_, Option<Workflow>> {
        let id = id.clone();
        self.side("find a workflow", id, |db, id| {
            async move { one(db, FIND, params![id.as_str()]).await }.boxed()
        })
    }

    fn result(&self, key: WorkflowKey) -> StoreFuture<'_, Option<(Workflow, Option<Outcome>)>> {
        self.side("read a result", key, |db, key| {
            async move {
                let row = db.query_opt(RESULT, params![key.0]).await?;
                row.as_ref().map(with_result).transpose()
            }
            .boxed()
        })
    }

    fn is_untried(&self, key: WorkflowKey, patience: Duration) -> StoreFuture<'_, bool> {
        let of = (key, i64::try_from(patience.as_micros()).unwrap_or(i64::MAX));
        self.side(
            "ask who may try a stuck workflow",
            of,
            |db, (key, patience)| {
                async move {
                    let row = db.query_opt(IS_UNTRIED, params![key.0, *patience]).await?;
                    Ok(row.is_some())
                }
                .boxed()
            },
        )
    }

    fn history(
        &self,
        key: WorkflowKey,
        after: Option<Place>,
        limit: u32,
    ) -> StoreFuture<'_, Vec<Record>> {
        self.side("read a history", (key, after, limit), |db, of| {
            async move {
                let (key, after, limit) = of;
                let sql = match after {
                    Some(_) => HISTORY_AFTER,
                    None => HISTORY_FIRST,
                };
                let place = after.as_ref().map(Place::encode).unwrap_or_default();
                let rows = db
                    .query(
                        sql,
                        params![key.0, place, i64::from(*limit), rows::page_bytes()],
                    )
                    .await?;
                rows.iter().map(rows::record).collect()
            }
            .boxed()
        })
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Vec<Workflow>> {
        self.side("list workflows", filter, |db, filter| {
            async move {
                let query = list::query(filter);
                let found = db.query_once(&query.sql, &query.params()).await?;
                found.iter().map(rows::workflow_or_why).collect()
            }
            .boxed()
        })
    }

    fn dead_letters(&self) -> StoreFuture<'_, Vec<DeadLetters>> {
        self.side("count dead letters", (), |db, ()| {
            async move {
                let most = i64::from(DEAD_LETTER_GROUPS_MAX);
                let rows = db.query(DEAD_LETTERS, params![most]).await?;
                rows.iter().map(dead_letters).collect()
            }
            .boxed()
        })
    }

    fn tallies(&self) -> StoreFuture<'_, Vec<Tally>> {
        self.side("count workflows", (), |db, ()| {
            async move {
                let rows = db.query(TALLIES, params![i64::from(TALLIES_MAX)]).await?;
                rows.iter().map(tally).collect()
            }
            .boxed()
        })
    }

    fn names_waiting(&self) -> StoreFuture<'_, Vec<NameWaiting>> {
        self.side("look for the names of what waits", (), |db, ()| {
            async move {
                let (rows_max, names_max) = (LOOKED_AT_MAX, NAMES_WAITING_MAX);
                let (rows_max, names_max) = (i64::from(rows_max), i64::from(names_max));
                let rows = db
                    .query(NAMES_WAITING, params![rows_max, names_max])
                    .await?;
                rows.iter().map(name_waiting).collect()
            }
            .boxed()
        })
    }

    fn takeovers(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<Takeover>> {
        self.side("read take-overs", key, |db, key| {
            async move {
                let rows = db.query(TAKEOVERS, params![key.0]).await?;
                rows.iter().map(takeover).collect()
            }
            .boxed()
        })
    }

    fn children(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<Workflow>> {
        self.side("list children", key, |db, key| {
            async move {
                let rows = db.query(CHILDREN, params![key.0, CHILDREN_MAX]).await?;
                rows.iter().map(rows::workflow_or_why).collect()
            }
            .boxed()
        })
    }
}

async fn one(
    db: &Connection,
    sql: &'static str,
    params: &[Param<'_>],
) -> Result<Option<Workflow>, Failure> {
    let row = db.query_opt(sql, params).await?;
    row.as_ref().map(rows::workflow_or_why).transpose()
}

fn with_result(row: &Row) -> Result<(Workflow, Option<Outcome>), Failure> {
    let failed: Option<bool> = get(row, WORKFLOW_COLUMNS)?;
    let payload: Option<String> = get(row, WORKFLOW_COLUMNS + 1)?;
    let outcome = failed.zip(payload);
    let outcome = outcome.map(|(failed, payload)| rows::outcome(failed, payload));
    Ok((rows::workflow_or_why(row)?, outcome))
}

fn takeover(row: &Row) -> Result<Takeover, Failure> {
    Ok(Takeover {
        workflow: rows::workflow_id(row, 0)?,
        lost_at: instant(row, 1)?,
        at: instant(row, 2)?,
        from: ExecutorId::from_stored(get(row, 3)?),
        to: ExecutorId::from_stored(get(row, 4)?),
        replayed: rows::number(row, 5)?,
        why: get(row, 6)?,
    })
}
