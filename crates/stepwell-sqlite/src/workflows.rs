//! Reads of workflows and their histories.

mod list;

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use stepwell_core::{
    ExecutorId, Outcome, Place, Record, State, Takeover, WorkflowId, WorkflowKey,
    store::{
        DEAD_LETTER_GROUPS_MAX, DeadLetters, Filter, LOOKED_AT_MAX, NAMES_WAITING_MAX, NameWaiting,
        Store, StoreFuture, TALLIES_MAX, Tally, Workflow, WorkflowStore,
    },
};

use crate::{
    connection::snapshot,
    error::Failure,
    rows::{self, RECORD_COLUMNS, WORKFLOW_COLUMNS, instant, micros},
    store::SqliteStore,
};

/// How many workflows a list of children shows at most.
const CHILDREN_MAX: u32 = 10_000;

const RESULT: &str = "
    select failed, payload
    from records
    where workflow_key = ?1
      and place = '~'";

/// The take-overs of a workflow, oldest first.
pub(crate) const TAKEOVERS: &str = "
    select w.workflow_id, t.lost_at, t.taken_at, t.from_executor_id, t.to_executor_id, t.replayed,
        t.why
    from takeovers as t
    join workflows as w on w.workflow_key = t.workflow_key
    where t.workflow_key = ?1
    order by t.takeover_number";

/// A page of a history. The key is the table's, so that a page is read in one go.
pub(crate) fn history_sql(after: Option<&Place>) -> String {
    // No text is less than the input's place: `''` needs another operator.
    let operator = if after.is_some() { ">" } else { ">=" };
    format!(
        "select {RECORD_COLUMNS}
        from records
        where workflow_key = ?1
          and place {operator} ?2
        order by place
        limit ?3"
    )
}

/// A workflow by its id.
pub(crate) fn find_sql() -> String {
    format!("select {WORKFLOW_COLUMNS} from workflows as w where w.workflow_id = ?1")
}

/// The children of a workflow, oldest first.
pub(crate) fn children_sql() -> String {
    format!(
        "select {WORKFLOW_COLUMNS}
        from workflows as w
        where w.parent_key = ?1
        order by w.workflow_key
        limit ?2"
    )
}

/// Dead letters by what they have in common. Counted in the index that was made for them: SQLite would
/// rather read the rows of all that ever failed.
pub(crate) const DEAD_LETTERS: &str = "
    with groups as materialized (
        select name, state, fingerprint, count(*) as letters,
            min(workflow_key) as oldest, max(workflow_key) as newest
        from workflows indexed by workflows_dead_letters
        where acknowledged_at is null
          and (state = 'failed' or state = 'stuck' or state = 'dead')
        group by name, state, fingerprint
        order by letters desc, newest desc
        limit ?1
    )
    select g.name, g.state, g.fingerprint, g.letters, o.created_at, n.created_at, n.workflow_id
    from groups as g
    join workflows as o on o.workflow_key = g.oldest
    join workflows as n on n.workflow_key = g.newest
    order by g.letters desc, g.newest desc";

fn dead_letters(row: &Row<'_>) -> rusqlite::Result<DeadLetters> {
    Ok(DeadLetters {
        name: row.get(0)?,
        state: State::of_stored(row.get_ref(1)?.as_str()?),
        fingerprint: row.get(2)?,
        count: row.get::<_, u32>(3)?.into(),
        first_at: rows::instant(row.get(4)?)?,
        last_at: rows::instant(row.get(5)?)?,
        newest: rows::workflow_id(row.get(6)?)?,
    })
}

const TALLIES: &str = "
    select origin, name, state, count(*) as workflows
    from workflows
    group by origin, name, state
    order by workflows desc, name, state, origin
    limit ?1";

fn tally(row: &Row<'_>) -> rusqlite::Result<Tally> {
    Ok(Tally {
        origin: row.get(0)?,
        name: row.get(1)?,
        state: State::of_stored(row.get_ref(2)?.as_str()?),
        count: row.get::<_, u32>(3)?.into(),
    })
}

/// The names of what waits for an executor, read in the index of those.
pub(crate) const NAMES_WAITING: &str = "
    select name, count(*) as waiting
    from (
        select name
        from workflows indexed by workflows_enqueued
        where state = 'enqueued'
        limit ?1
    )
    group by name
    order by waiting desc, name
    limit ?2";

fn name_waiting(row: &Row<'_>) -> rusqlite::Result<NameWaiting> {
    Ok(NameWaiting {
        name: row.get(0)?,
        count: row.get::<_, u32>(1)?.into(),
    })
}

#[cfg(test)]
pub(crate) fn list_sql(filter: &Filter) -> String {
    list::query(filter).sql
}

/// A version's cursor stands at the last row of those that are stuck which it has looked at.
pub(crate) const IS_UNTRIED: &str = "
    select 1
    from workflows as w
    cross join executors as e
    left join stuck_cursors as c
      on c.queue_name = coalesce(w.queue_name, '')
     and c.name = w.name
     and c.version = e.version
    where w.workflow_key = ?1
      and w.state = 'stuck'
      and e.drained_at is null
      and e.ended_at is null
      and e.lease_expires_at > ?2
      and not exists (
        select 1
        from stuck as s
        where s.workflow_key = w.workflow_key
          and s.version = e.version
    )
      and case
        when c.stuck_number is null then w.ended_at > ?3
        else c.stuck_number < (
            select max(s.stuck_number)
            from stuck as s
            where s.workflow_key = w.workflow_key
        )
    end";

impl WorkflowStore for SqliteStore {
    fn find(&self, id: &WorkflowId) -> StoreFuture<'_, Option<Workflow>> {
        let id = id.clone();
        self.read("find a workflow", move |db| {
            snapshot(db, |db| {
                Ok(workflows(db, &find_sql(), params![id.as_str()])?.pop())
            })
        })
    }

    fn result(&self, key: WorkflowKey) -> StoreFuture<'_, Option<(Workflow, Option<Outcome>)>> {
        let by_key =
            format!("select {WORKFLOW_COLUMNS} from workflows as w where w.workflow_key = ?1");
        self.read("read a result", move |db| {
            snapshot(db, |db| {
                let Some(workflow) = workflows(db, &by_key, params![key.0])?.pop() else {
                    return Ok(None);
                };
                let mut statement = db.prepare_cached(RESULT)?;
                let outcome = statement
                    .query_row(params![key.0], |row| {
                        Ok(rows::outcome(row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                Ok(Some((workflow, outcome)))
            })
        })
    }

    fn is_untried(&self, key: WorkflowKey, patience: Duration) -> StoreFuture<'_, bool> {
        let now = micros(self.now());
        let patience = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        let since = now.saturating_sub(patience);
        self.read("ask who may try a stuck workflow", move |db| {
            let mut statement = db.prepare_cached(IS_UNTRIED)?;
            Ok(statement.exists(params![key.0, now, since])?)
        })
    }

    fn history(
        &self,
        key: WorkflowKey,
        after: Option<Place>,
        limit: u32,
    ) -> StoreFuture<'_, Vec<Record>> {
        self.read("read a history", move |db| {
            let mut statement = db.prepare_cached(&history_sql(after.as_ref()))?;
            let after = after.map(|place| place.encode()).unwrap_or_default();
            let records = statement.query_map(params![key.0, after, limit], rows::record)?;
            Ok(rows::page(records, |record| record.outcome.payload())?)
        })
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Vec<Workflow>> {
        self.read("list workflows", move |db| {
            let query = list::query(&filter);
            snapshot(db, |db| {
                workflows(db, &query.sql, rusqlite::params_from_iter(&query.values))
            })
        })
    }

    fn dead_letters(&self) -> StoreFuture<'_, Vec<DeadLetters>> {
        self.read("count dead letters", move |db| {
            let mut statement = db.prepare_cached(DEAD_LETTERS)?;
            let groups = statement.query_map(params![DEAD_LETTER_GROUPS_MAX], dead_letters)?;
            Ok(groups.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn tallies(&self) -> StoreFuture<'_, Vec<Tally>> {
        self.read("count workflows", move |db| {
            let mut statement = db.prepare_cached(TALLIES)?;
            let tallies = statement.query_map(params![TALLIES_MAX], tally)?;
            Ok(tallies.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn names_waiting(&self) -> StoreFuture<'_, Vec<NameWaiting>> {
        self.read("look for the names of what waits", move |db| {
            let mut statement = db.prepare_cached(NAMES_WAITING)?;
            let names =
                statement.query_map(params![LOOKED_AT_MAX, NAMES_WAITING_MAX], name_waiting)?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn takeovers(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<Takeover>> {
        self.read("read take-overs", move |db| {
            let mut statement = db.prepare_cached(TAKEOVERS)?;
            let takeovers = statement.query_map(params![key.0], takeover)?;
            Ok(takeovers.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn children(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<Workflow>> {
        self.read("list children", move |db| {
            snapshot(db, |db| {
                workflows(db, &children_sql(), params![key.0, CHILDREN_MAX])
            })
        })
    }
}

/// Reads workflows with their attributes.
fn workflows(db: &Connection, sql: &str, params: impl Params) -> Result<Vec<Workflow>, Failure> {
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map(params, rows::workflow_or_why)?;
    let mut found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    for workflow in &mut found {
        workflow.attributes = rows::attributes(db, workflow.key)?;
    }
    Ok(found)
}

fn takeover(row: &Row<'_>) -> rusqlite::Result<Takeover> {
    let at = |column| -> rusqlite::Result<Timestamp> { instant(row.get(column)?) };
    Ok(Takeover {
        workflow: rows::workflow_id(row.get(0)?)?,
        lost_at: at(1)?,
        at: at(2)?,
        from: ExecutorId::from_stored(row.get(3)?),
        to: ExecutorId::from_stored(row.get(4)?),
        replayed: row.get(5)?,
        why: row.get(6)?,
    })
}
