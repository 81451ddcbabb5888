//! Two executors see one tick at once: the schedule's row decides.

use std::{sync::Arc, time::Duration};

use stepwell_core::{
    Missed, Payload, Timestamp,
    store::{
        Applied, Batch, Change, NewSchedule, ScheduleChange, ScheduleStore, Scheduled, Store, Tick,
    },
};
use stepwell_postgres::PostgresStore;

use crate::server::{connect, unique, url, url_with};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

async fn change(store: &PostgresStore, change: ScheduleChange) -> Scheduled {
    let batch = Batch {
        executor: None,
        changes: vec![Change::Schedule(change)],
    };
    match store.commit(batch).await.unwrap().applied.pop() {
        Some(Applied::Schedule(scheduled)) => scheduled,
        other => panic!("a change of a schedule came to {other:?}"),
    }
}

/// Without a lock both would read the same next tick, and the later one would take it back.
#[tokio::test]
async fn a_tick_that_waited_for_another_one_does_not_go_back() {
    let schema = unique("ticks");
    let store = PostgresStore::open(&url_with(&format!("schema={schema}"))).await;
    let store = Arc::new(store.unwrap());
    let new = NewSchedule {
        name: "nightly".to_owned(),
        workflow: "nightly".to_owned(),
        spec: "@every 1s".to_owned(),
        timezone: None,
        missed: Missed::Latest,
        arguments: Payload::from_stored("[]".to_owned()),
        queue: None,
        executor: None,
        next_at: Some(at(0)),
    };
    change(&store, ScheduleChange::Define(new)).await;

    let mut other = connect(&url()).await;
    let first = other.transaction().await.unwrap();
    let moves_on = format!("update \"{schema}\".schedules set next_at = to_timestamp(1800000002)");
    first.batch_execute(&moves_on).await.unwrap();
    let tick = Tick {
        name: "nightly".to_owned(),
        revision: 0,
        at: Some(at(0)),
        starts: Vec::new(),
        last_at: None,
        next_at: Some(at(1)),
    };
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { change(&store, ScheduleChange::Tick(tick)).await }
    });
    waits_for_a_lock(&schema).await;
    first.commit().await.unwrap();

    assert_eq!(second.await.unwrap(), Scheduled::TooLate);
    let known = store.schedules().await.unwrap();
    assert_eq!(known[0].next_at, Some(at(2)));
}

async fn waits_for_a_lock(schema: &str) {
    let db = connect(&url()).await;
    let waiting = "select exists (select from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%' || $1 || '%')";
    let looked = tokio::time::timeout(Duration::from_secs(30), async {
        while !db
            .query_one(waiting, &[&schema])
            .await
            .unwrap()
            .get::<_, bool>(0)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    looked.await.expect("the second tick waits for the first");
}
