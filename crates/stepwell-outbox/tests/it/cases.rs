//! Each case in both databases.

use std::time::Duration;

use stepwell::{ErrorKind, State, events::Sources, outbox::Outbox};

use crate::place::{LINE, Place, SHUT, Users, consuming, noting, ship, stop, wait_for};

macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(&crate::place::Place::sqlite().await).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(place) = crate::place::Place::postgres().await {
                        super::$case(&place).await;
                    }
                }
            )*
        }
    };
}

on_both!(
    each_row_is_one_workflow_and_poison_is_kept,
    a_row_that_comes_again_finds_its_workflow,
    what_is_accepted_may_be_deleted,
    two_consumers_lose_and_double_nothing,
    a_full_queue_holds_rows_back,
    what_is_not_accepted_yet_is_not_marked,
    a_table_that_is_not_there_is_waited_for,
    what_makes_no_sense_is_refused,
    rows_come_in_their_order_and_say_what_they_are,
    no_row_keeps_others_from_being_taken,
    a_batch_is_full_with_sixteen_mebibytes,
);

/// Values that the column's type does not promise.
async fn no_row_keeps_others_from_being_taken(place: &Place) {
    let odd = match &place.users {
        Users::Sqlite(_) => {
            "drop table outbox;
             create table outbox (
                 id integer primary key autoincrement, kind, key, payload json, created_at,
                 accepted_at text
             );
             insert into outbox (payload) values ('0'), (cast('1' as blob)), (x'ff');
             insert into outbox (kind, key, payload, created_at) values (x'ff', 7, 2, x'fd')"
        }
        Users::Postgres(_) => {
            "insert into outbox (payload, created_at)
             values ('0', now()), ('1', 'infinity'), ('\"x\"', '-infinity'), ('2', 'infinity')"
        }
    };
    place.run(odd.to_owned()).await;
    place.insert("3").await;
    let app = place.app().await;
    let consumers = consuming(&app, place.outbox());
    place.accepted(5).await;
    assert_eq!(wait_for(&app, State::Succeeded, 4).await.len(), 4);
    assert_eq!(wait_for(&app, State::Failed, 1).await.len(), 1);
    stop(app, consumers).await;
}

async fn each_row_is_one_workflow_and_poison_is_kept(place: &Place) {
    for order in 0..7 {
        place.insert(&order.to_string()).await;
    }
    place.insert("seven").await;
    let app = place.app().await;
    let consumers = consuming(&app, place.outbox().batch(3));
    place.accepted(8).await;
    // What comes while it is consumed.
    place.insert("8").await;
    place.accepted(9).await;
    let mut done = wait_for(&app, State::Succeeded, 8).await;
    done.sort();
    let ids = [1, 2, 3, 4, 5, 6, 7, 9].map(|id| format!("outbox~event-{id}"));
    assert_eq!(done, ids);
    let poison = wait_for(&app, State::Failed, 1).await;
    assert!(
        poison[0].starts_with("outbox~event-8~poison-"),
        "{poison:?}"
    );
    stop(app, consumers).await;
}

/// As after a crash between the start and the mark.
async fn a_row_that_comes_again_finds_its_workflow(place: &Place) {
    place.insert("7").await;
    let app = place.app().await;
    let consumers = consuming(&app, place.outbox().poll(Duration::from_millis(20)));
    place.accepted(1).await;
    place
        .run("update outbox set accepted_at = null".to_owned())
        .await;
    place.accepted(1).await;
    assert_eq!(
        wait_for(&app, State::Succeeded, 1).await,
        ["outbox~event-1"]
    );
    stop(app, consumers).await;
}

async fn what_is_accepted_may_be_deleted(place: &Place) {
    for order in 0..5 {
        place.insert(&order.to_string()).await;
    }
    let app = place.app().await;
    let consumers = consuming(&app, place.outbox().delete_accepted());
    place.accepted(0).await;
    assert_eq!(wait_for(&app, State::Succeeded, 5).await.len(), 5);
    stop(app, consumers).await;
}

async fn two_consumers_lose_and_double_nothing(place: &Place) {
    let app = place.app().await;
    let small = || place.outbox().batch(7).poll(Duration::from_millis(20));
    // Of one name, as in two processes.
    let consumers = [consuming(&app, small()), consuming(&app, small())];
    for order in 0..100 {
        place.insert(&order.to_string()).await;
    }
    place.accepted(100).await;
    let done = wait_for(&app, State::Succeeded, 100).await;
    assert_eq!(done.len(), 100);
    app.shutdown().await;
    for consumer in consumers {
        consumer.ended().await;
    }
}

async fn a_full_queue_holds_rows_back(place: &Place) {
    for order in 0..20 {
        place.insert(&order.to_string()).await;
    }
    let app = place.app().await;
    let sources = Sources::new(&app).add(place.outbox(), |event| {
        event.json().map(|order: u32| ship(order).queue(&LINE))
    });
    let consumers = sources.unwrap().start();
    place.accepted(20).await;
    let done = wait_for(&app, State::Succeeded, 20).await;
    let in_order: Vec<_> = (1..=20).map(|id| format!("outbox~event-{id}")).collect();
    assert_eq!(done, in_order);
    stop(app, consumers).await;
}

/// A process that ends between the two loses nothing.
async fn what_is_not_accepted_yet_is_not_marked(place: &Place) {
    let app = place.app().await;
    let client = app.client();
    app.run(ship(0).queue(&SHUT)).await.unwrap();
    client.pause_queue("outbox-shut", "test", "").await.unwrap();
    for order in 0..3 {
        place.insert(&order.to_string()).await;
    }
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let add = |tell: tokio::sync::mpsc::UnboundedSender<()>| {
        let sources = Sources::new(&app).add(place.outbox(), move |event| {
            // Nobody may listen any more.
            let _ = tell.send(());
            event.json().map(|order: u32| ship(order).queue(&SHUT))
        });
        sources.unwrap().start()
    };
    let consumers = add(tell.clone());
    // One is started, two find the queue full and are tried again and again.
    for _ in 0..5 {
        told.recv().await.unwrap();
    }
    let marked = "select count(*) from outbox where accepted_at is not null";
    assert_eq!(place.number(marked).await, 0);
    drop(consumers);
    assert_eq!(place.number(marked).await, 0);

    client.resume_queue("outbox-shut").await.unwrap();
    let consumers = add(tell);
    place.accepted(3).await;
    assert_eq!(wait_for(&app, State::Succeeded, 4).await.len(), 4);
    stop(app, consumers).await;
}

/// A batch marks all of its rows at one instant.
async fn a_batch_is_full_with_sixteen_mebibytes(place: &Place) {
    let large = format!("\"{}\"", "x".repeat(6 * 1_024 * 1_024));
    for _ in 0..4 {
        place.insert(&large).await;
    }
    let app = place.app().await;
    // The next poll is far away: what a full batch leaves is taken at once.
    let consumers = consuming(&app, place.outbox().poll(Duration::from_secs(3_600)));
    place.accepted(4).await;
    let batches = "select count(distinct accepted_at) from outbox";
    assert_eq!(place.number(batches).await, 2);
    stop(app, consumers).await;
}

async fn a_table_that_is_not_there_is_waited_for(place: &Place) {
    let app = place.app().await;
    let later = || place.outbox().table("later").named("later");
    let consumers = consuming(&app, later());
    place.run(later().schema()).await;
    place
        .run("insert into later (payload) values ('7')".to_owned())
        .await;
    assert_eq!(wait_for(&app, State::Succeeded, 1).await, ["later~event-1"]);
    stop(app, consumers).await;
}

async fn what_makes_no_sense_is_refused(place: &Place) {
    let app = place.app().await;
    let refused = |outbox: Outbox, says: &str| {
        let added = Sources::new(&app).add(outbox, |event| event.json().map(ship));
        let error = added.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setup);
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(place.outbox().batch(0), "a batch of 0 rows");
    refused(place.outbox().batch(10_001), "10001 rows");
    refused(place.outbox().poll(Duration::ZERO), "longer than 0");
    for table in ["", "a b", "a;drop", "Orders", "1st", "a.b.c", "a\"b"] {
        refused(place.outbox().table(table), "the table");
    }
    app.shutdown().await;
}

async fn rows_come_in_their_order_and_say_what_they_are(place: &Place) {
    for order in 0..30 {
        place.insert(&order.to_string()).await;
    }
    let app = place.app().await;
    let (consumers, seen) = noting(&app, place.outbox());
    place.accepted(30).await;
    let seen = seen.lock().unwrap().clone();
    let orders: Vec<u32> = seen.iter().map(|it| it.json().unwrap()).collect();
    assert_eq!(orders, (0..30).collect::<Vec<_>>());
    let first = &seen[0];
    assert_eq!((first.source.as_str(), first.id.as_str()), ("outbox", "1"));
    assert_eq!(
        (first.kind.as_deref(), first.key.as_deref()),
        (Some("order"), Some("ann"))
    );
    assert!(first.at.is_some());
    stop(app, consumers).await;
}

/// Its trigger notifies: it is not found by a poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_in_postgres_is_heard_of_at_once() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    place.insert("1").await;
    let app = place.app().await;
    let consumers = consuming(&app, place.outbox().poll(Duration::from_secs(3_600)));
    place.accepted(1).await;
    for rows in 2..6 {
        place.insert("1").await;
        place.accepted(rows).await;
    }
    stop(app, consumers).await;
}
