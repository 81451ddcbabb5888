//! Histories: every record in its place, in pages.

use serde_json::json;
use stepwell_core::{
    Place, Position, RecordKind, WorkflowKey,
    store::{NewRecord, PAGE_BYTES_MAX},
};

use crate::{
    Backend,
    fixture::{Case, Worker, step},
};

fn at(place: Place) -> NewRecord {
    NewRecord {
        place,
        ..step(0, "operation", json!(1))
    }
}

async fn steps(worker: &Worker, key: WorkflowKey, count: u32) {
    let records = (0..count).map(|number| step(number, "step", json!(number)));
    worker.records(key, records.collect()).await;
}

/// The order of the history is the order of the places, not of the writing.
pub async fn records_stand_in_the_order_of_their_places(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let four = Position::top(4);
    let mut places = vec![
        Place::At(Position::top(0)),
        Place::At(Position::top(2)),
        Place::At(four.clone()),
        Place::Attempt(four.clone(), 1),
        Place::Attempt(four.clone(), 12),
        Place::At(four.child(0)),
        Place::At(four.child(0).child(3)),
        Place::At(four.child(10)),
        Place::At(Position::top(9)),
        Place::At(Position::top(10)),
        Place::At(Position::top(11)),
        Place::At(Position::top(100)),
    ];
    for place in places.iter().rev() {
        worker.records(key, vec![at(place.clone())]).await;
    }
    worker.succeed(key, json!(1)).await;

    places.insert(0, Place::Input);
    places.push(Place::Result);
    let read: Vec<_> = case
        .history(key)
        .await
        .into_iter()
        .map(|it| it.place)
        .collect();
    assert_eq!(read, places);
}

/// "The records after a place …, up to `limit`."
pub async fn a_history_is_read_in_pages(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    steps(&worker, key, 25).await;
    worker.succeed(key, json!(1)).await;

    let mut after = None;
    let mut read = Vec::new();
    for _ in 0..7 {
        let page = case
            .store
            .history(key, after, 4)
            .await
            .expect("a page can be read");
        assert!(page.len() <= 4);
        after = page.last().map(|last| last.place.clone());
        read.extend(page);
    }
    assert_eq!(read, case.history(key).await);
    assert_eq!(read.len(), 27);
}

/// "Fewer when they hold [`PAGE_BYTES_MAX`]": what one answer brings into memory is bounded.
pub async fn a_page_of_a_history_is_bounded_by_its_bytes(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let large = json!("x".repeat(PAGE_BYTES_MAX / 2 + 1));
    for number in 0..3 {
        worker.record(key, number, "charge", large.clone()).await;
    }
    let page = async |after| {
        let page = case.store.history(key, after, 1_000).await;
        let places = page.expect("a page can be read").into_iter();
        places.map(|record| record.place).collect::<Vec<_>>()
    };
    let at = |number| Place::At(Position::top(number));
    assert_eq!(page(None).await, [Place::Input, at(0), at(1)]);
    assert_eq!(page(Some(at(1))).await, [at(2)]);
    assert_eq!(page(Some(Place::Input)).await, [at(0), at(1)]);
}

/// A place to read after need not have a record of its own.
pub async fn a_history_is_read_after_any_place(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.record(key, 0, "charge", json!(1)).await;
    worker.record(key, 5, "ship", json!(1)).await;

    let after = Place::At(Position::top(3));
    let page = case
        .store
        .history(key, Some(after), 10)
        .await
        .expect("a page can be read");
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].place, Place::At(Position::top(5)));
    let end = case.store.history(key, Some(Place::Result), 10).await;
    assert!(end.expect("a page can be read").is_empty());
}

/// A history is its workflow's alone.
pub async fn histories_are_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (one, other) = (worker.start("order-1").await, worker.start("order-2").await);
    steps(&worker, one, 3).await;
    steps(&worker, other, 1).await;

    assert_eq!(case.places(one).await, ["", "0", "1", "2"]);
    assert_eq!(case.places(other).await, ["", "0"]);
}

/// What was never started has no history.
pub async fn an_unknown_key_has_no_history(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert!(case.history(WorkflowKey(4_711)).await.is_empty());
}

/// Every kind of operation comes back as what it was.
pub async fn every_kind_of_record_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let records = RecordKind::ALL
        .into_iter()
        .zip(0..)
        .map(|(kind, number)| NewRecord {
            kind,
            ..step(number, kind.as_str(), json!(1))
        });
    worker.records(key, records.collect()).await;

    let kinds: Vec<_> = case
        .history(key)
        .await
        .iter()
        .skip(1)
        .map(|it| it.kind)
        .collect();
    assert_eq!(kinds, RecordKind::ALL);
}

/// A long history is whole.
pub async fn a_long_history_is_whole(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    steps(&worker, key, 5_000).await;

    let history = case.history(key).await;
    assert_eq!(history.len(), 5_001);
    let last = Place::At(Position::top(4_999));
    assert_eq!(history.last().map(|it| &it.place), Some(&last));
}

/// A finished workflow's history can still be read, as one that runs can.
pub async fn a_history_outlives_the_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    steps(&worker, key, 2).await;
    let before = case.history(key).await;
    case.cancel("order-1").await;

    assert_eq!(case.history(key).await, before);
}
