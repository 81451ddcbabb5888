//! No hot statement reads a table from end to end, on an empty file and on a full one.

use rusqlite::Connection;
use stepwell_core::{Place, State, store::Filter};

use crate::{change, claim, connection, executors, messages, queues, schema, take_over, workflows};

/// How SQLite would run a statement, a line for each loop.
fn plan(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(&format!("explain query plan {sql}")).unwrap();
    // Without values: a plan does not depend on them.
    let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3));
    lines.collect::<Result<_, _>>().unwrap()
}

/// Tables that hold a row for each workflow or more; the others are small.
const LARGE: [&str; 9] = [
    "workflows",
    "w",
    "child",
    "records",
    "c",
    "messages",
    "events",
    "stream_entries",
    "stuck",
];

#[track_caller]
fn flat(db: &Connection, sql: &str) {
    let plan = plan(db, sql);
    let scanned = plan.iter().find(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("SCAN") && words.next().is_some_and(|table| LARGE.contains(&table))
    });
    assert!(scanned.is_none(), "{sql}\n{plan:#?}");
    // A list that is cut after it was sorted was read as a whole.
    let sorted = plan
        .iter()
        .any(|line| line.contains("TEMP B-TREE FOR ORDER BY"));
    assert!(!sorted || !sql.contains("limit"), "{sql}\n{plan:#?}");
}

#[track_caller]
fn uses(db: &Connection, sql: &str, index: &str) {
    flat(db, sql);
    let plan = plan(db, sql);
    assert!(
        plan.iter().any(|line| line.contains(index)),
        "{sql}\n{plan:#?}"
    );
}

fn empty() -> Connection {
    let mut db = connection::memory().unwrap();
    schema::migrate(&mut db, crate::url::Tenancy::Own).unwrap();
    db
}

/// A file whose statistics are known, with much that waits and little that runs.
fn full() -> Connection {
    let db = empty();
    db.execute_batch(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
        insert into workflows
            (workflow_id, name, state, executor_id, queue_name, queue_key, queue_rank, created_at)
        select 'order-' || i, 'checkout',
            case when i % 100 = 0 then 'running' when i % 2 = 0 then 'enqueued' else 'succeeded' end,
            'e-' || (i % 3), case when i % 4 = 0 then 'mail' end,
            case when i % 8 = 0 then 'key-' || (i % 56) else '' end, i, i
        from n;
        insert into records
        select workflow_key, '', 'input', '', 0, '[]', 1, 0, 0 from workflows;
        insert into queues (queue_name, created_at) values ('mail', 0);
        analyze",
    )
    .unwrap();
    db
}

fn check_all(db: &Connection) {
    for sql in change::HOT {
        flat(db, sql);
    }
    uses(db, claim::WAITING, "workflows_enqueued");
    uses(db, claim::QUEUES, "workflows_enqueued");
    uses(db, claim::DUE, "workflows_delayed");
    uses(db, claim::RUNNING_ALL, "workflows_running_queue");
    uses(db, claim::RUNNING_HERE, "workflows_running");
    uses(db, claim::RUNNING_OF, "workflows_running_key");
    uses(db, claim::RUNNING_OF_NOBODY, "workflows_running_queue");
    uses(db, claim::KEY_FROM, "workflows_enqueued");
    uses(db, claim::KEY_BEHIND, "workflows_enqueued");
    uses(db, claim::stuck::QUEUES, "stuck_name");
    uses(db, claim::stuck::SINCE, "stuck_name");
    uses(db, claim::stuck::UNTRIED, "stuck_version");
    flat(db, claim::FIND);
    flat(db, claim::OWNED);
    uses(db, claim::OWNED_KEYS, "workflows_running");
    flat(db, claim::RUN);
    uses(db, executors::NEXT_WAKE, "workflows_delayed");
    uses(db, executors::DEADLINES, "workflows_deadline");
    uses(db, take_over::HAND_BACK, "workflows_running");
    uses(db, take_over::OTHERS, "executors_active");
    uses(db, queues::LIST, "workflows_enqueued");
    uses(db, queues::LIST, "workflows_running_queue");
    uses(db, queues::SEEN, "workflows_running");
    uses(db, messages::INBOX, "messages_inbox");
    uses(db, messages::WAITING, "messages_inbox");
    flat(db, messages::EVENT);
    flat(db, messages::EVENTS);
    flat(db, messages::STREAM);
    uses(db, workflows::TAKEOVERS, "takeovers_workflow");
    uses(db, workflows::IS_UNTRIED, "stuck_version");
    flat(db, &workflows::find_sql());
    uses(db, &workflows::children_sql(), "workflows_parent");
    flat(db, &workflows::history_sql(None));
    flat(db, &workflows::history_sql(Some(&Place::Input)));
}

#[test]
fn no_hot_statement_scans_an_empty_file() {
    check_all(&empty());
}

#[test]
fn no_hot_statement_scans_a_full_file() {
    check_all(&full());
}

#[test]
fn a_list_of_troubled_workflows_reads_only_those() {
    let filter = Filter {
        states: vec![State::Failed],
        ..Filter::default()
    };
    let sql = workflows::list_sql(&filter);
    for db in [empty(), full()] {
        let plan = plan(&db, &sql);
        assert!(
            plan.iter().any(|line| line.contains("workflows_troubled")),
            "{plan:#?}"
        );
    }
}

#[test]
fn what_waits_is_named_from_its_index() {
    for db in [empty(), full()] {
        let plan = plan(&db, workflows::NAMES_WAITING);
        let uses = |index| plan.iter().any(|line| line.contains(index));
        assert!(uses("COVERING INDEX workflows_enqueued"), "{plan:#?}");
    }
}

#[test]
fn dead_letters_are_counted_in_their_index() {
    for db in [empty(), full()] {
        let plan = plan(&db, workflows::DEAD_LETTERS);
        assert!(
            plan.iter()
                .any(|line| line.contains("workflows_dead_letters")),
            "{plan:#?}"
        );
    }
}
