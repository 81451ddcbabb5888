//! No hot statement reads a table from end to end, on empty tables and on full ones.
//!
//! The plans are generic ones with the settings of [`Role::Work`], as the store has them made.

use stepwell_core::{State, store::Filter};
use tokio_postgres::types::Type;

use crate::{
    change, claim,
    connection::{Connection, Role},
    executors, messages, queues,
    store::PostgresStore,
    take_over, workflows,
};

/// How the tables are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// As they were made, without statistics.
    Empty,
    /// A page or two, with statistics: the planner would rather read them whole.
    Small,
    /// With statistics: much that has ended or waits, little that runs.
    Large,
}

/// Tables that hold a row for each workflow or more; the others are small.
const LARGE: [&str; 8] = [
    "workflows",
    "records",
    "attributes",
    "messages",
    "events",
    "stream_entries",
    "stuck",
    "takeovers",
];

/// A schema of its own with tables of a size.
struct Tables {
    db: Connection,
}

impl Tables {
    async fn new(size: Size) -> Self {
        let url = std::env::var("STEPWELL_TEST_POSTGRES").unwrap();
        let schema = format!("plans_{}_{size:?}", std::process::id()).to_lowercase();
        let url = format!("{url}?schema={schema}");
        let store = PostgresStore::open(&url).await.unwrap();
        let db = Connection::open(store.server.clone(), Role::Work)
            .await
            .unwrap();
        let rows = match size {
            Size::Empty => 0,
            Size::Small => 50,
            Size::Large => 20_000,
        };
        if rows > 0 {
            db.batch(&fill(rows)).await.unwrap();
        }
        Self { db }
    }

    /// The plan of a statement, a line each.
    async fn plan(&self, sql: &str, types: &[Type]) -> Vec<String> {
        let types: Vec<_> = types.iter().map(Type::name).collect();
        let types = match types.as_slice() {
            [] => String::new(),
            types => format!("({})", types.join(", ")),
        };
        let prepare = format!("deallocate all; prepare it {types} as {sql}");
        self.db.batch(&prepare).await.unwrap();
        let count = "select cardinality(parameter_types) from pg_prepared_statements";
        let count = self.db.query_once(count, &[]).await.unwrap();
        let values = vec!["null"; usize::try_from(count[0].get::<_, i32>(0)).unwrap()];
        let values = match values.as_slice() {
            [] => String::new(),
            values => format!("({})", values.join(", ")),
        };
        let explain = format!("explain execute it {values}");
        let lines = self.db.query_once(&explain, &[]).await.unwrap();
        lines.iter().map(|line| line.get(0)).collect()
    }

    /// Checks that a statement looks rows up in indexes, and in no other than the best.
    async fn flat(&self, sql: &str, types: &[Type]) -> Vec<String> {
        let plan = self.plan(sql, types).await;
        let scanned = plan.iter().any(|line| {
            let table = line.split_once("Seq Scan on ").map(|(_, table)| table);
            let table = table.and_then(|table| table.split_whitespace().next());
            table.is_some_and(|table| LARGE.contains(&table))
        });
        assert!(!scanned, "{sql}\n{}", plan.join("\n"));
        plan
    }

    /// Checks that a statement is flat, and answered by an index.
    async fn uses(&self, sql: &str, index: &str) {
        let plan = self.flat(sql, &[]).await;
        let uses = plan.iter().any(|line| line.contains(index));
        assert!(uses, "{index}:\n{sql}\n{}", plan.join("\n"));
    }

    /// Checks that a statement reads an index no further than a condition on a column says.
    async fn bounds(&self, sql: &str, index: &str, column: &str) {
        let plan = self.flat(sql, &[]).await;
        let mut lines = plan.iter().skip_while(|line| !line.contains(index));
        let condition = lines.find(|line| line.contains("Index Cond:"));
        let bounds = condition.is_some_and(|line| line.contains(column));
        assert!(bounds, "{index}:\n{sql}\n{}", plan.join("\n"));
    }

    /// Checks that a statement addresses every row by its key: neither through the index of what
    /// runs, nor by a join that reads an index from end to end.
    async fn by_key(&self, sql: &str, types: &[Type]) {
        let plan = self.flat(sql, types).await;
        let shown = plan.join("\n");
        assert!(!shown.contains("workflows_running"), "{sql}\n{shown}");
        for (i, line) in plan.iter().enumerate() {
            let Some((_, on)) = line.split_once(" on ") else {
                continue;
            };
            let table = on.split_whitespace().next().unwrap();
            let is_scan = line.contains("Index") && LARGE.contains(&table);
            let has_condition = plan.get(i + 1).is_some_and(|it| it.contains("Index Cond:"));
            assert!(!is_scan || has_condition, "{line}\n{sql}\n{shown}");
        }
    }
}

/// Fills the tables, and tells the planner.
fn fill(rows: u32) -> String {
    format!(
        "insert into {{schema}}.workflows
            (workflow_id, name, state, executor_id, queue_name, queue_key, queue_rank, created_at,
             parent_key)
        select 'order-' || i, 'checkout',
            case when i % 100 = 0 then 'running' when i % 2 = 0 then 'enqueued' else 'succeeded' end,
            'e-' || (i % 3), case when i % 4 = 0 then 'mail' else '' end,
            case when i % 8 = 0 then 'key-' || (i % 56) else '' end, i, clock_timestamp(),
            case when i % 10 = 0 then i / 10 end
        from generate_series(1, {rows}) as i;
        insert into {{schema}}.records
            (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
        select workflow_key, place, 'step', '', false, '[]', 1, created_at, created_at
        from {{schema}}.workflows, unnest(array['', '0', '1', '~']) as place;
        insert into {{schema}}.messages (workflow_key, topic, payload, sent_at)
        select workflow_key, '', '[]', created_at from {{schema}}.workflows;
        insert into {{schema}}.events
            (workflow_key, name, event_number, place, value, published_at)
        select workflow_key, 'status', 1, '0', '[]', created_at from {{schema}}.workflows;
        insert into {{schema}}.stream_entries
            (workflow_key, stream, entry_offset, place, value, appended_at)
        select workflow_key, 'log', 0, '0', '[]', created_at from {{schema}}.workflows;
        insert into {{schema}}.stuck (workflow_key, queue_name, name, version)
        select workflow_key, queue_name, name, 'v1' from {{schema}}.workflows;
        insert into {{schema}}.queues (queue_name, created_at) values ('mail', clock_timestamp());
        insert into {{schema}}.executors
            (executor_id, application, version, host, pid, lease_ms, started_at, lease_expires_at)
        select 'e-' || i, 'shop', 'v1', 'host', 1, 1000, clock_timestamp(), clock_timestamp()
        from generate_series(0, 2) as i;
        analyze {{schema}}.workflows, {{schema}}.records, {{schema}}.messages, {{schema}}.events,
            {{schema}}.stream_entries, {{schema}}.stuck, {{schema}}.queues, {{schema}}.executors"
    )
}

/// What batches run.
async fn check_batches(tables: &Tables) {
    let types = change::hot::types();
    tables.by_key(change::hot::sql::RUNS, &types).await;
    tables.by_key(change::hot::sql::RECORD, &[]).await;
    tables
        .by_key(change::hot::sql::RUNS_AND_STARTS, &types)
        .await;
    tables.by_key(change::hot::sql::STARTS, &types).await;
    for sql in change::UNIQUE {
        tables.uses(sql, "workflows_unique").await;
    }
    for sql in change::BY_KEY {
        tables.by_key(sql, &[]).await;
    }
}

/// What claims and take-overs run.
async fn check_claims(tables: &Tables) {
    tables
        .uses(claim::candidates::WAITING, "workflows_enqueued")
        .await;
    tables
        .uses(claim::queue::QUEUES, "workflows_enqueued")
        .await;
    tables.uses(claim::lanes::KEYS, "workflows_enqueued").await;
    tables
        .uses(claim::lanes::KEYS, "workflows_running_key")
        .await;
    for sql in [claim::candidates::DUE, claim::ANYTHING] {
        tables.bounds(sql, "workflows_delayed", "wake_at <=").await;
    }
    tables
        .uses(claim::queue::USED, "workflows_running_queue")
        .await;
    tables.uses(claim::stuck::ANY_SINCE, "stuck_name").await;
    tables.uses(claim::stuck::SINCE, "stuck_version").await;
    tables.uses(claim::ANYTHING, "workflows_enqueued").await;
    for sql in [
        claim::find::LOCK,
        claim::find::LOCK_STUCK,
        claim::take::RUN,
        claim::take::DIE,
        claim::take::NOTE_STARTS,
    ] {
        tables.by_key(sql, &[]).await;
    }
    tables.flat(claim::find::OWNED, &[]).await;
    tables
        .uses(claim::find::OWNED_KEYS, "workflows_running")
        .await;
    tables.uses(executors::NEXT_WAKE, "workflows_delayed").await;
    tables
        .uses(executors::DEADLINES, "workflows_deadline")
        .await;
    tables.uses(take_over::HAND_BACK, "workflows_running").await;
    tables.uses(take_over::HAS_WORK, "workflows_running").await;
    tables.flat(take_over::OTHERS, &[]).await;
}

/// What reads run.
async fn check_reads(tables: &Tables) {
    tables.uses(messages::INBOX, "messages_inbox").await;
    tables.uses(messages::EVENT, "events_pkey").await;
    tables.uses(messages::EVENTS, "events_pkey").await;
    tables.uses(messages::STREAM, "stream_entries_pkey").await;
    tables
        .uses(workflows::TAKEOVERS, "takeovers_workflow")
        .await;
    tables
        .uses(workflows::FIND, "workflows_workflow_id_key")
        .await;
    tables
        .uses(workflows::NAMES_WAITING, "workflows_enqueued")
        .await;
    tables.uses(queues::SEEN, "workflows_running_queue").await;
    tables.uses(workflows::RESULT, "records_pkey").await;
    tables.uses(workflows::CHILDREN, "workflows_parent").await;
    tables.uses(workflows::HISTORY_FIRST, "records_pkey").await;
    tables.uses(workflows::HISTORY_AFTER, "records_pkey").await;
}

/// A list of what is in trouble reads only that.
async fn check_list(tables: &Tables) {
    let filter = Filter {
        states: vec![State::Failed],
        ..Filter::default()
    };
    let sql = workflows::list_sql(&filter);
    tables.uses(&sql, "workflows_troubled").await;
    let letters = workflows::DEAD_LETTERS;
    tables.uses(letters, "workflows_dead_letters").await;
}

async fn check(size: Size) {
    let tables = Tables::new(size).await;
    check_batches(&tables).await;
    check_claims(&tables).await;
    check_reads(&tables).await;
    check_list(&tables).await;
}

#[tokio::test]
async fn no_hot_statement_scans_empty_tables() {
    check(Size::Empty).await;
}

#[tokio::test]
async fn no_hot_statement_scans_small_tables() {
    check(Size::Small).await;
}

#[tokio::test]
async fn no_hot_statement_scans_large_tables() {
    check(Size::Large).await;
}
