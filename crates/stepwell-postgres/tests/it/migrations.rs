//! From an empty database to the newest schema, once.

use std::sync::Arc;

use stepwell_core::store::{ExecutorStore, Filter, StoreErrorKind, WorkflowStore};
use stepwell_postgres::PostgresStore;
use tokio::{runtime::Builder, sync::Barrier};

use crate::server::{self, new_executor, unique, url_with};

async fn in_schema(schema: &str) -> PostgresStore {
    let url = url_with(&format!("schema={schema}"));
    PostgresStore::open(&url).await.unwrap()
}

async fn sql(text: &str) {
    let db = server::connect(&server::url()).await;
    db.batch_execute(text).await.unwrap();
}

#[tokio::test]
async fn a_migrated_schema_is_migrated_again_without_change() {
    let schema = unique("migrated");
    drop(in_schema(&schema).await);
    let db = server::connect(&server::url()).await;
    let applied = format!("select number, applied_at::text from {schema}.migrations");
    let before = db.simple_query(&applied).await.unwrap();
    drop(in_schema(&schema).await);
    let after = db.simple_query(&applied).await.unwrap();
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
}

/// Two binaries that start at once on an empty database: the loser waits and goes on.
#[test]
fn many_processes_make_the_same_schema_at_once() {
    let schema = Arc::new(unique("at_once"));
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let together = Arc::new(Barrier::new(8));
        let starts = (0..8).map(|_| {
            let (schema, together) = (Arc::clone(&schema), Arc::clone(&together));
            tokio::spawn(async move {
                together.wait().await;
                let store = in_schema(&schema).await;
                assert!(store.list(Filter::default()).await.unwrap().is_empty());
            })
        });
        for start in starts.collect::<Vec<_>>() {
            start.await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_newer_major_schema_is_refused_with_what_to_do() {
    let schema = unique("newer");
    drop(in_schema(&schema).await);
    sql(&format!("update {schema}.migrations set major = 2")).await;
    let error = PostgresStore::open(&url_with(&format!("schema={schema}")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    for says in ["of version 2", "knows version 1", "update Stepwell"] {
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A newer binary of the same major version adds; this one can go on beside it.
#[tokio::test]
async fn a_newer_minor_schema_is_used() {
    let schema = unique("minor");
    drop(in_schema(&schema).await);
    sql(&format!("insert into {schema}.migrations values (9, 1)")).await;
    in_schema(&schema).await;
}

#[tokio::test]
async fn a_schema_of_another_application_is_left_alone() {
    let schema = unique("theirs");
    sql(&format!(
        "create schema {schema}; create table {schema}.messages (id integer)"
    ))
    .await;
    let error = PostgresStore::open(&url_with(&format!("schema={schema}")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable, "{error:?}");
    assert!(
        error.to_string().contains("of another application"),
        "{error}"
    );
    let db = server::connect(&server::url()).await;
    let tables = format!("select count(*) from pg_tables where schemaname = '{schema}'");
    let tables: i64 = db.query_one(&tables, &[]).await.unwrap().get(0);
    assert_eq!(tables, 1);
}

/// A user that may only do what the documentation asks for.
#[tokio::test]
async fn least_rights_are_enough_for_a_migrated_schema() {
    let (schema, role) = (unique("least"), unique("clerk"));
    sql(&format!("create role {role} login password '{role}'")).await;
    let url = url_with(&format!("schema={schema}&user={role}&password={role}"));

    let error = PostgresStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable, "{error:?}");
    assert!(
        error.to_string().contains("`create` on the database"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("password"), "{error:?}");

    drop(in_schema(&schema).await);
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("grant `usage`"), "{error}");

    sql(&format!(
        "grant usage on schema {schema} to {role};
         grant select, insert, update, delete on all tables in schema {schema} to {role};
         grant usage, select on all sequences in schema {schema} to {role}"
    ))
    .await;
    let store = PostgresStore::open(&url).await.unwrap();
    let executor = new_executor();
    store.register(executor.clone()).await.unwrap();
    server::start(&store, &executor.id, "order-1").await;
    store.retire(&executor.id).await.unwrap();
}

/// What is printed for a person to apply is what a store applies.
#[tokio::test]
async fn what_is_missing_can_be_applied_by_hand() {
    for parameters in ["pooled=auto", "pooled=true"] {
        let schema = unique("by_hand");
        let url = url_with(&format!("schema={schema}&{parameters}"));

        let before = PostgresStore::migrations(&url).await.unwrap();
        assert_eq!(before.applied, 0);
        assert_eq!(before.missing[0].number, 1);
        let made = format!("select 1 from pg_namespace where nspname = '{schema}'");
        let db = server::connect(&server::url()).await;
        assert!(
            db.query(&made, &[]).await.unwrap().is_empty(),
            "looking makes no schema"
        );

        for migration in &before.missing {
            sql(&migration.sql).await;
        }
        let after = PostgresStore::migrations(&url).await.unwrap();
        assert_eq!(after.applied as usize, before.missing.len());
        assert!(after.missing.is_empty());
        let store = PostgresStore::open(&url).await.unwrap();
        assert!(store.list(Filter::default()).await.unwrap().is_empty());
    }
}
