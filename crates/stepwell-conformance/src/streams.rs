//! Streams: append-only values with offsets.

use serde_json::json;
use stepwell_core::{
    WorkflowKey,
    store::{Effect, EffectOutcome, PAGE_BYTES_MAX, Progressed, StreamEntry},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, expect_about, payload},
};

async fn read(case: &Case<'_>, key: WorkflowKey, from: u64, limit: u32) -> Vec<StreamEntry> {
    let entries = case.store.stream(key, "log", from, limit).await;
    entries.expect("a stream can be read")
}

/// Nothing was appended.
pub async fn a_stream_begins_empty(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;

    assert!(read(&case, key, 0, 10).await.is_empty());
}

/// "Its place; the first is 0", and when it was appended.
pub async fn the_offsets_of_a_stream_count_from_0(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let progressed = worker.append(key, 0, "log", json!("a")).await;
    assert_eq!(progressed, Progressed::Recorded(vec![EffectOutcome::Done]));
    case.advance(MINUTE).await;
    worker.append(key, 1, "log", json!("b")).await;

    let entries = read(&case, key, 0, 10).await;
    assert_eq!((entries[0].offset, entries[1].offset), (0, 1));
    assert_eq!(entries[1].value, payload(json!("b")));
    expect_about(entries[1].at, case.now());
    expect_about(entries[0].at, case.now() - MINUTE);
}

/// "The values of a stream from an offset …, up to `limit`."
pub async fn a_stream_is_read_in_pages(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    for number in 0..5 {
        worker.append(key, number, "log", json!(number)).await;
    }

    let offsets = |page: Vec<StreamEntry>| page.iter().map(|it| it.offset).collect::<Vec<_>>();
    assert_eq!(offsets(read(&case, key, 0, 2).await), [0, 1]);
    assert_eq!(offsets(read(&case, key, 2, 2).await), [2, 3]);
    assert_eq!(offsets(read(&case, key, 4, 2).await), [4]);
    assert!(read(&case, key, 5, 2).await.is_empty());
}

/// "Fewer when they hold [`PAGE_BYTES_MAX`]".
pub async fn a_stream_is_read_up_to_so_many_bytes(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let large = json!("x".repeat(PAGE_BYTES_MAX / 2 + 1));
    for number in 0..3 {
        worker.append(key, number, "log", large.clone()).await;
    }
    assert_eq!(read(&case, key, 0, 1_000).await.len(), 2);
    assert_eq!(read(&case, key, 1, 1_000).await.len(), 2);
    assert_eq!(read(&case, key, 2, 1_000).await.len(), 1);
}

/// Several values of one operation keep their order.
pub async fn values_of_one_operation_keep_their_order(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let append = |value: u32| Effect::Append {
        stream: "log".to_owned(),
        value: payload(json!(value)),
    };

    worker.effects(key, 0, (0..4).map(append).collect()).await;
    assert_eq!(
        case.stream(key, "log").await,
        [0, 1, 2, 3].map(|n| json!(n))
    );
}

/// Every stream of every workflow has offsets of its own.
pub async fn streams_are_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let (one, other) = (worker.start("order-1").await, worker.start("order-2").await);
    worker.append(one, 0, "log", json!(1)).await;
    worker.append(one, 1, "audit", json!(2)).await;
    worker.append(other, 0, "log", json!(3)).await;

    assert_eq!(read(&case, one, 0, 10).await.len(), 1);
    assert_eq!(case.stream(one, "audit").await, [json!(2)]);
    let entries = read(&case, other, 0, 10).await;
    assert_eq!(
        (entries[0].offset, &entries[0].value),
        (0, &payload(json!(3)))
    );
}

/// An operation that is handed in again appends nothing.
pub async fn a_repeated_operation_appends_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.append(key, 0, "log", json!(1)).await;

    let again = worker.append(key, 0, "log", json!(1)).await;
    assert_eq!(again, Progressed::Existing);
    assert_eq!(case.stream(key, "log").await, [json!(1)]);
}

/// What a workflow has appended outlives its end.
pub async fn a_stream_outlives_the_end(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.append(key, 0, "log", json!(1)).await;
    worker.succeed(key, json!(1)).await;

    assert_eq!(case.stream(key, "log").await, [json!(1)]);
}

/// Offsets go on after a take-over, without a gap.
pub async fn a_stream_goes_on_after_a_take_over(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    worker.append(key, 0, "log", json!(1)).await;
    worker.retire().await;
    let other = case.register().await;
    other.claim(1).await;
    other.append(key, 1, "log", json!(2)).await;

    let offsets: Vec<_> = read(&case, key, 0, 10)
        .await
        .iter()
        .map(|it| it.offset)
        .collect();
    assert_eq!(offsets, [0, 1]);
}
