//! Addresses that name no database that can be used.

use std::sync::Arc;

use stepwell_core::{
    clock::SystemClock,
    store::{StoreErrorKind, StoreUrl, open_store},
};
use stepwell_postgres::PostgresStore;

use crate::server::{self, unique, url_with};

async fn refused(url: &str, kind: StoreErrorKind, says: &str) {
    let error = PostgresStore::open(url).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let url = "postgres://shop:s3cr3t@127.0.0.1:1/shop";
    refused(
        url,
        StoreErrorKind::Unavailable,
        "`postgres://127.0.0.1:1/shop`",
    )
    .await;
}

#[tokio::test]
async fn a_missing_database_is_named_with_what_to_do() {
    let url = url_with("dbname=not_there&password=s3cr3t");
    refused(&url, StoreErrorKind::Unusable, "create it").await;
}

#[tokio::test]
async fn an_unknown_user_is_told_what_to_check() {
    let url = url_with("user=nobody_here&password=s3cr3t");
    refused(&url, StoreErrorKind::Unusable, "check user, password").await;
}

#[tokio::test]
async fn an_unknown_parameter_is_refused() {
    let url = "postgres://shop:s3cr3t@db/shop?sslmod=require";
    refused(url, StoreErrorKind::Unusable, "`sslmod`").await;
}

#[tokio::test]
async fn a_file_without_certificates_is_named() {
    let url = url_with("sslmode=verify-full&sslrootcert=/dev/null");
    refused(&url, StoreErrorKind::Unusable, "`/dev/null` holds no root").await;
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_when_tls_is_asked_for() {
    let url = url_with("sslmode=require");
    refused(&url, StoreErrorKind::Unusable, "speaks no TLS").await;
}

#[tokio::test]
async fn both_schemes_find_this_store() {
    let schema = unique("schemes");
    let url = url_with(&format!("schema={schema}"));
    let (_, rest) = url.split_once("://").unwrap();
    for scheme in ["postgres", "postgresql"] {
        let url = StoreUrl::new(format!("{scheme}://{rest}"));
        let store = open_store(&url, Arc::new(SystemClock)).await.unwrap();
        assert!(store.describe().ends_with(&format!("?schema={schema}")));
        assert!(!store.describe().contains('@'));
    }
}

/// A name that is a word of SQL, with capitals: it is quoted wherever it stands.
#[tokio::test]
async fn a_schema_may_have_any_plain_name() {
    let schema = unique("Select");
    let url = url_with(&format!("schema={schema}"));
    drop(PostgresStore::open(&url).await.unwrap());
    let db = server::connect(&server::url()).await;
    let found = "select count(*) from pg_namespace where nspname = $1";
    let found: i64 = db.query_one(found, &[&schema]).await.unwrap().get(0);
    assert_eq!(found, 1);
}
