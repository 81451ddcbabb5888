//! What cannot be done in a transaction of the user's own, and what is left of that then.

use stepwell::{App, Error, ErrorKind, Queue, Unique, testing::Harness};

use super::{PARCEL, Shipping, connect, ids, order, ship, shipping};
use crate::tx::Shop;

static SMALL: Queue = Queue::new("small").waiting_max(1);

/// The error names what is wrong, and the transaction goes on as if nothing had been.
async fn refused<T: std::fmt::Debug>(
    shop: &Shop,
    app: &Shipping,
    attempt: impl AsyncFnOnce(&mut sqlx::PgConnection) -> Result<T, Error>,
    (kind, says): (ErrorKind, &str),
) {
    let before = (shop.orders().await, ids(app).await);
    let mut tx = shop.pool.begin().await.unwrap();
    let error = attempt(&mut tx).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    order(&mut tx).await;
    tx.commit().await.unwrap();
    assert_eq!((shop.orders().await - 1, ids(app).await), before);
}

#[tokio::test]
async fn a_conflict_leaves_the_transaction_usable() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    app.start(ship("widget".to_owned()).id("s")).await.unwrap();
    refused(
        &shop,
        &app,
        async |tx| app.start_in(tx, ship("gadget".to_owned()).id("s")).await,
        (ErrorKind::Conflict, "with another input"),
    )
    .await;
}

#[tokio::test]
async fn a_receiver_that_there_is_not_leaves_the_transaction_usable() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    refused(
        &shop,
        &app,
        async |tx| app.send_in(tx, "nobody", PARCEL, "x".to_owned()).await,
        (ErrorKind::NotFound, "`nobody`"),
    )
    .await;
}

#[tokio::test]
async fn what_would_hold_others_up_is_refused() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    let call = || ship("widget".to_owned()).id("s");
    refused(
        &shop,
        &app,
        async |tx| app.start_in(tx, call().unique(Unique::new("ann"))).await,
        (ErrorKind::Invalid, "a unique key"),
    )
    .await;
    // A queue that nobody has used yet, and one that is known.
    for _ in 0..2 {
        refused(
            &shop,
            &app,
            async |tx| app.start_in(tx, call().queue(&SMALL)).await,
            (ErrorKind::Invalid, "the queue `small` has `waiting_max`"),
        )
        .await;
        let first = ship("first".to_owned()).id("first").queue(&SMALL);
        app.start(first).await.unwrap();
    }
    // What is there already needs no room.
    let mut tx = shop.pool.begin().await.unwrap();
    let first = ship("first".to_owned()).id("first").queue(&SMALL);
    app.start_in(&mut tx, first).await.unwrap();
}

#[tokio::test]
async fn a_transaction_in_another_database_is_refused() {
    let (shop, other) = (Shop::open().await, Shop::open().await);
    let app = shipping(&shop).await;
    let mut tx = other.pool.begin().await.unwrap();
    let started = app.start_in(&mut tx, ship("widget".to_owned())).await;
    let error = started.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setup, "{error}");
    assert!(error.to_string().contains("in another database"), "{error}");

    // Also where there is a schema of that name, of another application.
    drop(shipping(&other).await);
    refused(
        &other,
        &shipping(&other).await,
        async |tx| app.start_in(tx, ship("widget".to_owned())).await,
        (ErrorKind::Setup, "in another database"),
    )
    .await;
    refused(
        &other,
        &shipping(&other).await,
        async |tx| app.send_in(tx, "s", PARCEL, "x".to_owned()).await,
        (ErrorKind::Setup, "in another database"),
    )
    .await;
}

#[tokio::test]
async fn workflows_in_sqlite_cannot_be_started_in_postgres() {
    let shop = Shop::open().await;
    let test = Harness::new(connect(&shop.url).await).await;
    let app: &App<_> = &test.app;
    refused(
        &shop,
        app,
        async |tx| app.start_in(tx, ship("widget".to_owned())).await,
        (ErrorKind::Setup, "in a database of another kind"),
    )
    .await;
}

#[tokio::test]
async fn a_transaction_that_takes_no_writes_any_more_says_so() {
    let shop = Shop::open().await;
    let app = shipping(&shop).await;
    for (begin, says) in [
        ("begin read only", "read-only"),
        ("begin; select 1/0", "failed before"),
    ] {
        let mut connection = shop.pool.acquire().await.unwrap();
        let begun = sqlx::raw_sql(begin).execute(&mut *connection).await;
        assert_eq!(begun.is_err(), begin.contains("1/0"));
        let started = app.start_in(&mut *connection, ship("widget".to_owned()));
        let error = started.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        sqlx::raw_sql("rollback")
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    assert!(ids(&app).await.is_empty());
}
