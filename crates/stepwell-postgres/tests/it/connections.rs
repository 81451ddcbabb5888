//! Connections that break, and the bell that rings through them.

use std::{sync::Arc, time::Duration};

use stepwell_core::{
    State,
    store::{ExecutorStore, Filter, Renewal, Store, StoreErrorKind, WorkflowStore},
};
use stepwell_postgres::PostgresStore;

use crate::server::{self, new_executor, unique, url_with};

/// Ends every connection of a store from the server's side, as a restart does.
async fn break_all(application: &str) {
    let db = server::connect(&server::url()).await;
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
               where application_name = $1";
    assert!(!db.query(end, &[&application]).await.unwrap().is_empty());
}

async fn open(application: &str) -> Arc<PostgresStore> {
    let url = url_with(&format!(
        "schema={}&application_name={application}",
        unique("connections")
    ));
    Arc::new(PostgresStore::open(&url).await.unwrap())
}

/// What the engine does: it tries again while the database is away.
async fn until_it_is_back<T>(
    mut ask: impl AsyncFnMut() -> Result<T, stepwell_core::store::StoreError>,
) -> T {
    for _ in 0..1_000 {
        match ask().await {
            Ok(done) => return done,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the store does not come back");
}

/// A function of somebody's that is found first is not the clock.
#[tokio::test]
async fn the_clock_is_the_servers_whatever_the_search_path_is() {
    let evil = unique("evil");
    let db = server::connect(&server::url()).await;
    db.batch_execute(&format!(
        "create schema {evil};
         create function {evil}.clock_timestamp() returns timestamptz language sql
            as $$select timestamptz '1999-01-01'$$"
    ))
    .await
    .unwrap();
    let (schema, path) = (unique("clock"), format!("{evil}%2Cpg_catalog"));
    let options = format!("options=-c%20search_path%3D{path}");
    let store = PostgresStore::open(&url_with(&format!("schema={schema}&{options}"))).await;
    let now = store.unwrap().now();
    assert!(now > "2020-01-01T00:00:00Z".parse().unwrap(), "{now}");
}

#[tokio::test]
async fn a_store_outlives_its_connections() {
    let application = unique("broken");
    let store = open(&application).await;
    let executor = new_executor();
    store.register(executor.clone()).await.unwrap();
    for round in 0..3 {
        server::start(&store, &executor.id, &format!("order-{round}")).await;
        break_all(&application).await;
        let listed = until_it_is_back(async || store.list(Filter::default()).await).await;
        assert_eq!(listed.len(), 2 * round + 1);
        break_all(&application).await;
        until_it_is_back(async || store.renew(Renewal::of(executor.id.clone())).await).await;
        until_it_is_back(async || {
            server::try_start(&store, &executor.id, &format!("after-{round}")).await
        })
        .await;
    }
}

/// While the line is down the counter is compared; afterwards notifications are heard again.
#[tokio::test]
async fn news_are_heard_after_the_line_was_broken() {
    let application = unique("line");
    let schema = unique("connections");
    let parameters = format!("schema={schema}&application_name={application}");
    let store = PostgresStore::open(&url_with(&parameters)).await.unwrap();
    let other = PostgresStore::open(&url_with(&format!("schema={schema}")))
        .await
        .unwrap();
    let executor = new_executor();
    other.register(executor.clone()).await.unwrap();
    break_all(&application).await;
    for round in 0..3 {
        while !until_it_is_back(async || store.news().await)
            .await
            .is_nothing()
        {}
        server::enqueue(&other, &format!("order-{round}")).await;
        while until_it_is_back(async || store.news().await)
            .await
            .is_nothing()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What others commit is told, each time: nobody has to ask ten times a second.
#[tokio::test]
async fn a_commit_of_another_store_is_told() {
    let parameters = format!("schema={}", unique("connections"));
    let store = PostgresStore::open(&url_with(&parameters)).await.unwrap();
    let other = PostgresStore::open(&url_with(&parameters)).await.unwrap();
    for round in 0..3 {
        while !store.news().await.unwrap().is_nothing() {}
        server::enqueue(&other, &format!("order-{round}")).await;
        while store.news().await.unwrap().is_nothing() {
            store.told().await;
        }
    }
}

/// Every connection says who it is, and gives up in time.
#[tokio::test]
async fn connections_are_set_up() {
    let application = unique("settings");
    let url = url_with(&format!(
        "schema={}&application_name={application}&lock_timeout=50",
        unique("connections")
    ));
    let store = PostgresStore::open(&url).await.unwrap();
    let executor = new_executor();
    store.register(executor.clone()).await.unwrap();
    server::start(&store, &executor.id, "order-1").await;
    let db = server::connect(&server::url()).await;
    let shown = "select count(*) from pg_stat_activity where application_name = $1";
    let connections: i64 = db.query_one(shown, &[&application]).await.unwrap().get(0);
    assert!((2..=8).contains(&connections), "{connections}");

    let schema = store.describe();
    let schema = schema.split("schema=").nth(1).unwrap();
    db.batch_execute(&format!(
        "begin; lock table {schema}.records in exclusive mode"
    ))
    .await
    .unwrap();
    let error = server::try_start(&store, &executor.id, "order-2")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Busy);
    assert!(error.to_string().contains("lock_timeout"), "{error}");
}

/// A word that makes no sense, an instant of no year, are no panic, and hide nothing else.
#[tokio::test]
async fn what_makes_no_sense_is_shown_and_no_panic() {
    let store = open(&unique("corrupt")).await;
    server::enqueue(&store, "order-1").await;
    let schema = store.describe();
    let schema = schema.split("schema=").nth(1).unwrap();
    let db = server::connect(&server::url()).await;
    for spoil in [
        "state = 'jumping'",
        "created_at = 'infinity'",
        "workflow_id = ''",
    ] {
        let set = format!("update {schema}.workflows set {spoil}");
        db.batch_execute(&set).await.unwrap();
        let shown = store.list(Filter::default()).await.unwrap();
        assert_eq!(shown[0].state, State::Unknown);
        assert!(shown[0].reason.is_some());
        db.batch_execute(&format!(
            "update {schema}.workflows set state = 'enqueued', created_at = now(), workflow_id = 'x'"
        ))
        .await
        .unwrap();
    }
}
