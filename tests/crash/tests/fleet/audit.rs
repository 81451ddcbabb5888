//! What the rows say, in the order in which it became visible.
//!
//! A trigger notes every change of a workflow's state or owner; Postgres keeps when each
//! transaction was committed. Who acts on what another one has written commits after it, so laid
//! out by these times no limit is broken that was kept, and none is kept that was broken.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{FromRow, PgPool};
use stepwell::Place;

const INSTALL: &str = "
    create schema audit;
    create table audit.moves (
        number bigint generated always as identity,
        workflow_key bigint not null,
        state text not null,
        executor_id text
    );
    create function audit.note() returns trigger language plpgsql as $$
        begin
            insert into audit.moves (workflow_key, state, executor_id)
            values (new.workflow_key, new.state, new.executor_id);
            return null;
        end
    $$;
    create trigger note_start after insert on stepwell.workflows
        for each row execute function audit.note();
    create trigger note_move after update on stepwell.workflows
        for each row
        when (old.state is distinct from new.state
            or old.executor_id is distinct from new.executor_id)
        execute function audit.note();";

/// When a row was committed, by the wall clock in nanoseconds.
macro_rules! committed {
    ($row:literal) => {
        concat!(
            "(extract(epoch from pg_xact_commit_timestamp(",
            $row,
            ".xmin)) * 1000000000)::bigint"
        )
    };
}

/// A workflow's state or owner changed. What ends comes before what begins at the same instant:
/// only who has seen the end begins.
const MOVES: &str = concat!(
    "select w.workflow_id, w.queue_name, m.state, m.executor_id, ",
    committed!("m"),
    " as at
    from audit.moves as m
    join stepwell.workflows as w using (workflow_key)
    order by at, m.state = 'running', m.number"
);

const EXECUTORS: &str = "
    select executor_id, pid,
        (extract(epoch from started_at) * 1000000000)::bigint as started_at,
        (extract(epoch from ended_at) * 1000000000)::bigint as ended_at
    from stepwell.executors";

const STEPS: &str = concat!(
    "select w.workflow_id, r.place, ",
    committed!("r"),
    " as at
    from stepwell.records as r
    join stepwell.workflows as w using (workflow_key)
    where r.kind = 'step'"
);

const RESULTS: &str = "
    select w.workflow_id, w.state, coalesce(w.reason, '') as reason, r.payload
    from stepwell.workflows as w
    left join stepwell.records as r
      on r.workflow_key = w.workflow_key
     and r.kind = 'result'";

/// A workflow's state or owner changed.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Move {
    pub(crate) workflow_id: String,
    /// Empty for none.
    pub(crate) queue_name: String,
    pub(crate) state: String,
    pub(crate) executor_id: Option<String>,
    /// When it was committed.
    pub(crate) at: i64,
}

/// An incarnation of a process.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Executor {
    pub(crate) executor_id: String,
    pub(crate) pid: i64,
    pub(crate) started_at: i64,
    pub(crate) ended_at: Option<i64>,
}

/// What a workflow came to.
#[derive(Debug, Clone, FromRow)]
#[expect(dead_code, reason = "what is not read is shown when a test fails")]
pub(crate) struct Ended {
    pub(crate) workflow_id: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) payload: Option<String>,
}

/// A take-over, counted by its reason.
pub(crate) type Takeovers = BTreeMap<String, i64>;

/// All that the database says that keeps the workflows.
pub(crate) struct Audit {
    pub(crate) moves: Vec<Move>,
    pub(crate) executors: BTreeMap<String, Executor>,
    /// When each step was recorded, by `<workflow>:<position>`.
    pub(crate) steps: BTreeMap<String, i64>,
    pub(crate) results: Vec<Ended>,
    pub(crate) takeovers: Takeovers,
}

/// Notes every move from now on. The store's tables are there.
pub(crate) async fn install(db: &PgPool) {
    sqlx::raw_sql(INSTALL).execute(db).await.unwrap();
}

/// How many workflows there are that have not succeeded, and of those how many never will by
/// themselves; none while the server is away.
pub(crate) async fn unfinished(db: &PgPool) -> Option<(i64, i64)> {
    let sql = "
        select count(*) filter (where state <> 'succeeded'),
            count(*) filter (where state in ('failed', 'cancelled', 'stuck', 'dead'))
        from stepwell.workflows";
    sqlx::query_as(sql).fetch_one(db).await.ok()
}

/// The workflows that will not succeed by themselves, in sentences.
pub(crate) async fn lost(db: &PgPool) -> Vec<String> {
    let ended: Vec<Ended> = sqlx::query_as(RESULTS).fetch_all(db).await.unwrap();
    let lost = ended.into_iter().filter(|it| {
        let state = it.state.as_str();
        ["failed", "cancelled", "stuck", "dead"].contains(&state)
    });
    lost.map(|it| format!("{it:?}")).collect()
}

/// Every workflow that is there, or only those that have succeeded; none while the server is away.
pub(crate) async fn ids(db: &PgPool, succeeded: bool) -> Option<BTreeSet<String>> {
    let sql = "select workflow_id from stepwell.workflows where state = 'succeeded' or not $1";
    let rows = sqlx::query_scalar(sql).bind(succeeded).fetch_all(db).await;
    rows.ok()
        .map(|rows: Vec<String>| rows.into_iter().collect())
}

impl Audit {
    pub(crate) async fn read(db: &PgPool) -> Self {
        let executors: Vec<Executor> = sqlx::query_as(EXECUTORS).fetch_all(db).await.unwrap();
        let steps: Vec<(String, String, i64)> = sqlx::query_as(STEPS).fetch_all(db).await.unwrap();
        let takeovers = "select why, count(*) from stepwell.takeovers group by why";
        let takeovers: Vec<(String, i64)> = sqlx::query_as(takeovers).fetch_all(db).await.unwrap();
        Self {
            moves: sqlx::query_as(MOVES).fetch_all(db).await.unwrap(),
            executors: executors
                .into_iter()
                .map(|it| (it.executor_id.clone(), it))
                .collect(),
            steps: steps.into_iter().map(step).collect(),
            results: sqlx::query_as(RESULTS).fetch_all(db).await.unwrap(),
            takeovers: takeovers.into_iter().collect(),
        }
    }

    /// Whether a process had a lease at an instant.
    pub(crate) fn is_live(&self, pid: u32, at: i64) -> bool {
        self.executors.values().any(|it| {
            it.pid == i64::from(pid)
                && it.started_at <= at
                && it.ended_at.is_none_or(|ended_at| at < ended_at)
        })
    }

    /// The process behind an incarnation.
    pub(crate) fn pid(&self, executor_id: &str) -> Option<i64> {
        self.executors.get(executor_id).map(|it| it.pid)
    }
}

fn step((workflow, place, at): (String, String, i64)) -> (String, i64) {
    let place = Place::parse(&place).unwrap();
    (format!("{workflow}:{}", place.position().unwrap()), at)
}

/// What the transactions left in the user's database: how often each, by workflow and operation.
pub(crate) async fn applied(shop: &PgPool) -> BTreeMap<(String, String), i64> {
    let sql = "select workflow_id, operation, count(*) from applied group by 1, 2";
    let rows: Vec<(String, String, i64)> = sqlx::query_as(sql).fetch_all(shop).await.unwrap();
    rows.into_iter()
        .map(|(workflow, operation, count)| ((workflow, operation), count))
        .collect()
}
