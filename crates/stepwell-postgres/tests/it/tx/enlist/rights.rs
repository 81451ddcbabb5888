//! Who may start workflows in a transaction.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use stepwell::ErrorKind;

use super::{PARCEL, SHIPPING, ids, ship, shipping};
use crate::tx::Shop;

/// A role that may do nothing yet.
async fn clerk(shop: &Shop) -> (PgConnection, String) {
    let database = shop.url.rsplit('/').next().unwrap();
    let role = format!("clerk_of_{database}");
    let make = format!("create role {role} login password 'x'");
    shop.pool.execute(AssertSqlSafe(make)).await.unwrap();
    let options = (*shop.pool.connect_options()).clone();
    let options = options.username(&role).password("x");
    (PgConnection::connect_with(&options).await.unwrap(), role)
}

/// The rights that the crate's documentation asks for, and not one more.
#[tokio::test]
async fn the_rights_that_are_documented_are_enough() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let (mut clerk, role) = clerk(&shop).await;
    let call = || ship("widget".to_owned()).id("s").queue(&SHIPPING);

    let error = app.start_in(&mut clerk, call()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setup, "{error}");
    assert!(error.to_string().contains("a right is missing"), "{error}");

    let grant = format!(
        "grant usage on schema stepwell to {role};
         grant select on stepwell.identity, stepwell.workflows, stepwell.records, stepwell.queues,
            stepwell.messages to {role};
         grant insert on stepwell.workflows, stepwell.records, stepwell.attributes, stepwell.queues,
            stepwell.messages to {role};
         grant update (state, reason, wake_at) on stepwell.workflows to {role};
         grant usage on sequence stepwell.changes, stepwell.workflows_workflow_key_seq,
            stepwell.messages_message_number_seq to {role}"
    );
    let granted = sqlx::raw_sql(AssertSqlSafe(grant))
        .execute(&shop.pool)
        .await;
    granted.unwrap();
    let mut tx = clerk.begin().await.unwrap();
    app.start_in(&mut tx, call().attribute("customer", "ann"))
        .await
        .unwrap();
    app.start_in(&mut tx, call()).await.unwrap();
    app.send_in(&mut tx, "s", PARCEL, "parcel".to_owned())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ids(&app).await, ["s"]);
}

/// What the role has set for itself does not lead elsewhere.
#[tokio::test]
async fn a_search_path_of_the_user_leads_nowhere_else() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    sqlx::raw_sql(
        "create schema decoy;
         create table decoy.workflows (like stepwell.workflows);
         create function decoy.btrim(text, text) returns text language sql as 'select ''decoy''';",
    )
    .execute(&shop.pool)
    .await
    .unwrap();
    let mut tx = shop.pool.begin().await.unwrap();
    tx.execute("set local search_path = decoy, pg_catalog")
        .await
        .unwrap();
    app.start_in(&mut tx, ship("widget".to_owned()).id("s"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ids(&app).await, ["s"]);
}
