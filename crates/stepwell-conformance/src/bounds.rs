//! Bounds: what the edge lets through comes back as it was, to the last byte.

use serde_json::{Value, json};
use stepwell_core::{
    Outcome, Payload, Place, Position, RecordKind, State,
    limits::{NAME_BYTES_MAX, PAYLOAD_DEPTH_MAX},
    store::{Effect, Filter, NewRecord, NewWorkflow, Progressed, Started},
};

use crate::{
    Backend,
    fixture::{Case, Worker, here, message, payload, step, values_of, workflow},
};

/// Takes a payload through every place that keeps one.
async fn expect_kept(case: &Case<'_>, worker: &Worker, payload: Payload) {
    let input = payload.clone();
    let key = worker
        .new_workflow(NewWorkflow {
            input,
            ..here("order-1")
        })
        .await;
    let outcome = Outcome::Ok(payload.clone());
    let record = NewRecord {
        outcome: outcome.clone(),
        ..step(0, "step", json!(null))
    };
    worker.records(key, vec![record]).await;
    let (name, value) = ("kept".to_owned(), payload.clone());
    let event = Effect::SetEvent {
        name: name.clone(),
        value: value.clone(),
    };
    let append = Effect::Append {
        stream: name,
        value,
    };
    worker.effects(key, 1, vec![event, append]).await;
    let to = stepwell_core::store::NewMessage {
        payload: payload.clone(),
        ..message("order-1", json!(1))
    };
    case.send(to).await;
    let failed = stepwell_core::End::Failed {
        error: payload.clone(),
        fingerprint: String::new(),
        reason: String::new(),
    };
    worker.finish(key, failed).await;

    let history = case.history(key).await;
    assert!(history[0].outcome == outcome, "the input changed");
    assert!(history[1].outcome == outcome, "the record changed");
    assert!(
        history[3].outcome == Outcome::Err(payload.clone()),
        "the error changed"
    );
    let event = case
        .store
        .event(key, "kept")
        .await
        .expect("an event can be read");
    assert!(event.as_ref() == Some(&payload), "the event changed");
    let stream = case
        .store
        .stream(key, "kept", 0, 1)
        .await
        .expect("a stream can be read");
    assert!(stream[0].value == payload, "the stream changed");
    let inbox = case
        .store
        .inbox(key, "", 1)
        .await
        .expect("an inbox can be read");
    assert!(inbox[0].payload == payload, "the message changed");
}

/// A payload of a megabyte is nothing special.
pub async fn a_payload_of_a_megabyte_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    expect_kept(&case, &worker, payload(json!(["x".repeat(1 << 20)]))).await;
}

/// JSON may hold what C strings and some databases' text may not.
pub async fn a_payload_with_nul_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    expect_kept(
        &case,
        &worker,
        payload(json!(["a\0b", "\u{1}", "\u{feff}"])),
    )
    .await;
}

/// All of Unicode.
pub async fn a_payload_of_any_characters_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    let text = "größer 数 \u{202e}שלום\u{202c} 🦀 \u{10ffff} e\u{301} '\"\\ ; drop table";
    expect_kept(&case, &worker, payload(json!([text]))).await;
}

/// The text is kept, not what it means: numbers keep their digits, objects the order of their keys.
pub async fn a_payload_keeps_its_text(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    let text = r#"[{"b":1,"a":1.0,"a":2}, 1e2, 18446744073709551615, 0.1000, null, ""]"#;
    expect_kept(&case, &worker, Payload::from_stored(text.to_owned())).await;
}

/// The deepest value that the edge lets through.
pub async fn a_payload_of_the_greatest_depth_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;

    let mut value = json!(1);
    for _ in 0..PAYLOAD_DEPTH_MAX {
        value = json!([value]);
    }
    expect_kept(&case, &worker, payload(value)).await;
}

/// An id is text: of any characters, found again exactly.
pub async fn ids_of_any_characters_are_apart(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let ids = [
        "order",
        "Order",
        " order",
        "order ",
        "örder",
        "o\u{308}rder",
        "🦀",
        "'",
        "%",
        "1",
        "01",
    ];
    for workflow_id in ids {
        case.enqueue(workflow_id).await;
    }

    for workflow_id in ids {
        assert_eq!(case.find(workflow_id).await.id.as_str(), workflow_id);
    }
    assert_eq!(case.list(Filter::default()).await.len(), ids.len());
}

/// The longest id; what differs in its last byte is another one.
pub async fn an_id_of_255_bytes_is_kept_whole(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let one = "x".repeat(NAME_BYTES_MAX);
    let other = format!("{}y", &one[1..]);
    let key = case.enqueue(&one).await;

    assert_ne!(case.enqueue(&other).await, key);
    match case.start(workflow(&one)).await {
        Started::Existing { key: found, .. } => assert_eq!(found, key),
        other => panic!("a second start came to {other:?}"),
    }
}

/// The longest names, of everything that has one.
pub async fn names_of_255_bytes_are_kept_whole(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let name = "ñ".repeat(NAME_BYTES_MAX / 2);
    let key = worker
        .new_workflow(NewWorkflow {
            name: name.clone(),
            ..here("order-1")
        })
        .await;
    worker.publish(key, 0, &name, json!(1)).await;
    worker.append(key, 1, &name, json!(1)).await;
    worker.record(key, 2, &name, json!(1)).await;

    assert_eq!(case.find("order-1").await.name, name);
    assert_eq!(case.event(key, &name).await, Some(json!(1)));
    assert_eq!(case.stream(key, &name).await, [json!(1)]);
    assert_eq!(case.history(key).await[3].name, name);
}

/// "Empty where the kind says all": a record without a name is one.
pub async fn a_record_without_a_name_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let now = NewRecord {
        kind: RecordKind::Now,
        ..step(0, "", json!("2026-01-01"))
    };

    let progressed = worker.records(key, vec![now]).await;
    assert_eq!(progressed, Progressed::Recorded(Vec::new()));
    assert_eq!(case.history(key).await[1].name, "");
}

/// The largest numbers that the types hold.
pub async fn the_largest_numbers_are_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let place = Place::At(Position::top(u32::MAX).child(u32::MAX).child(0));
    let record = NewRecord {
        place,
        attempts: u32::MAX,
        ..step(0, "step", json!(1))
    };
    worker.records(key, vec![record.clone()]).await;

    let kept = &case.history(key).await[1];
    assert_eq!((&kept.place, kept.attempts), (&record.place, u32::MAX));
    let inbox = case
        .store
        .inbox(key, "", u32::MAX)
        .await
        .expect("an inbox can be read");
    assert!(inbox.is_empty());
}

/// A position deep in joins of joins.
pub async fn a_deep_position_is_kept(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let deep = (0..60).fold(Position::top(12), |position, number| position.child(number));
    let place = Place::At(deep);
    worker
        .records(
            key,
            vec![NewRecord {
                place: place.clone(),
                ..step(0, "", json!(1))
            }],
        )
        .await;

    assert_eq!(case.history(key).await[1].place, place);
}

/// A reason is a sentence of any length, in any language.
pub async fn a_long_reason_is_kept_whole(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let reason = "Vorgang 3 hieß `prüfen`, jetzt `bezahlen`; ".repeat(200);
    worker.stick(key, &reason).await;

    let row = case.find("order-1").await;
    assert_eq!((row.state, row.reason), (State::Stuck, Some(reason)));
}

/// A thousand messages, events, values: nothing is lost between.
pub async fn a_thousand_effects_of_one_operation_happen(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let key = worker.start("order-1").await;
    let append = |number: u32| Effect::Append {
        stream: "log".to_owned(),
        value: payload(json!(number)),
    };
    worker
        .effects(key, 0, (0..1_000).map(append).collect())
        .await;

    let entries = case
        .store
        .stream(key, "log", 0, 2_000)
        .await
        .expect("a stream can be read");
    let values = values_of(entries.iter().map(|entry| &entry.value));
    let expected: Vec<Value> = (0..1_000).map(|number| json!(number)).collect();
    assert_eq!(values, expected);
}
