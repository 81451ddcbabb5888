//! Poison is kept, and starts what it should have started once its mapping is mended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use stepwell::{
    Call, Payload, Position, State, WorkflowId,
    events::{Body, Delivery, Poison, Taken},
    store::NewWorkflow,
};

use crate::{
    intake::{app, handle},
    source::intake,
};

#[tokio::test]
async fn poison_is_kept_as_it_came_and_fails_with_its_reason() {
    let app = app("kept").await;
    let refuse = |_: &Delivery| -> Result<Call<handle>, String> { Err("no such product".into()) };
    let intake = intake(&app, "orders", refuse);
    let delivery = Delivery {
        kind: Some("placed".to_owned()),
        key: Some("customer 7".to_owned()),
        at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        attributes: vec![("trace".to_owned(), "0af7".to_owned())],
        ..Delivery::new("orders", "1", vec![0xff, 0x00])
    };
    let Taken::Poison { id } = intake.accept(&delivery).await.unwrap() else {
        panic!("it was started");
    };
    let result = app
        .handle::<stepwell::events::poison>(id.as_str())
        .result()
        .await;
    assert_eq!(result.unwrap_err().to_string(), "no such product");
    assert_eq!(
        app.client().get(&id).await.unwrap().unwrap().state,
        State::Failed
    );
    let input = app.client().history(&id).await.unwrap().input.unwrap();
    let (kept,): (Poison,) = input.read().unwrap();
    assert_eq!(kept.body, Body::Base64("/wA=".to_owned()));
    assert_eq!(kept.delivery().unwrap(), delivery);
}

#[tokio::test]
async fn mended_poison_starts_the_workflow_of_its_event_once() {
    let app = app("mended").await;
    let mended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&mended);
    let intake = intake(&app, "orders", move |delivery: &Delivery| {
        match seen.load(Ordering::SeqCst) {
            true => Ok(handle(delivery.id.clone())),
            false => Err("not understood yet".to_owned()),
        }
    });
    let delivery = Delivery::new("orders", "1", "{}");
    let Taken::Poison { id } = intake.accept(&delivery).await.unwrap() else {
        panic!("it was started");
    };
    let poison = |id: &str| app.handle::<stepwell::events::poison>(id);
    poison(&id).result().await.unwrap_err();
    let client = app.client();
    client
        .fork(&id, "again-too-early", Position::top(0))
        .await
        .unwrap();
    poison("again-too-early").result().await.unwrap_err();
    mended.store(true, Ordering::SeqCst);
    for again in ["again", "and-again"] {
        client.fork(&id, again, Position::top(0)).await.unwrap();
        assert_eq!(poison(again).result().await.unwrap(), "orders~event-1");
    }
    assert_eq!(
        app.handle::<handle>("orders~event-1")
            .result()
            .await
            .unwrap(),
        "1"
    );
    // The source delivers it again: it is the one that the poison has started.
    assert!(matches!(
        intake.accept(&delivery).await.unwrap(),
        Taken::Duplicate(_)
    ));
}

#[tokio::test]
async fn poison_of_a_source_that_is_gone_keeps_its_reason() {
    let app = app("gone").await;
    let refuse = |_: &Delivery| -> Result<Call<handle>, String> { Err("no such product".into()) };
    let intake = intake(&app, "orders", refuse);
    let Taken::Poison { id } = intake
        .accept(&Delivery::new("orders", "1", ""))
        .await
        .unwrap()
    else {
        panic!("it was started");
    };
    app.handle::<stepwell::events::poison>(id.as_str())
        .result()
        .await
        .unwrap_err();
    drop(intake);
    app.client()
        .fork(&id, "again", Position::top(0))
        .await
        .unwrap();
    let result = app
        .handle::<stepwell::events::poison>("again")
        .result()
        .await;
    let reason = result.unwrap_err().to_string();
    assert!(
        reason.starts_with("no such product (") && reason.contains("`orders`"),
        "{reason}"
    );
}

/// What is too large beside the body must not hold its source up for ever.
#[tokio::test]
async fn poison_that_fits_no_payload_is_kept_as_far_as_it_does() {
    let builder = stepwell::App::builder("large").database("sqlite::memory:");
    let app = builder.payload_bytes_max(4_096).launch().await.unwrap();
    let refuse = |_: &Delivery| -> Result<Call<handle>, String> { Err("\u{e4}\n".repeat(9_000)) };
    let intake = intake(&app, "orders", refuse);
    let delivery = Delivery {
        attributes: vec![("header".to_owned(), "x".repeat(9_000))],
        ..Delivery::new("orders", "1", vec![7; 9_000])
    };
    let Taken::Poison { id } = intake.accept(&delivery).await.unwrap() else {
        panic!("it was started");
    };
    let input = app.client().history(&id).await.unwrap().input.unwrap();
    let (kept,): (Poison,) = input.read().unwrap();
    assert!(kept.reason.starts_with("\u{e4}\n"), "{}", kept.reason);
    assert!(matches!(
        kept.body,
        Body::Beginning {
            of_bytes: 9_000,
            ..
        }
    ));
}

/// A source must not wait for ever for an event whose id is longer than a payload may be.
#[tokio::test]
async fn an_event_with_an_id_of_any_length_is_started_or_kept() {
    for bytes in [70_000, 17_000_000] {
        let builder = stepwell::App::builder("long").database("sqlite::memory:");
        let app = builder.payload_bytes_max(65_536).launch().await.unwrap();
        let intake = intake(&app, "orders", |delivery: &Delivery| {
            match delivery.body.as_ref() {
                b"good" => Ok(handle("good".to_owned())),
                // An error that repeats all of it.
                _ => Err(delivery.id.clone()),
            }
        });
        let id = "\u{1}".repeat(bytes);
        let good = Delivery::new("orders", id.as_str(), "good");
        assert!(matches!(intake.accept(&good).await, Ok(Taken::Started(_))));
        assert!(matches!(
            intake.accept(&good).await,
            Ok(Taken::Duplicate(_))
        ));
        let other = Delivery::new("orders", id.clone() + "2", "good");
        assert!(matches!(intake.accept(&other).await, Ok(Taken::Started(_))));
        let bad = Delivery::new("orders", id, "bad");
        let Ok(Taken::Poison { id }) = intake.accept(&bad).await else {
            panic!("it was not kept");
        };
        let input = app.client().history(&id).await.unwrap().input.unwrap();
        assert!(input.as_str().len() < 16_000, "{}", input.as_str().len());
    }
}

/// What has the id of poison that is to be kept need not be that poison.
#[tokio::test]
async fn poison_whose_id_other_work_has_is_kept_beside_it() {
    let app = app("beside").await;
    let refuse = |_: &Delivery| -> Result<Call<handle>, String> { Err("no such product".into()) };
    let intake = intake(&app, "orders", refuse);
    let event = Delivery::new("orders", "1", "{}");
    let Ok(Taken::Poison { id: first }) = intake.accept(&event).await else {
        panic!("it was not kept");
    };
    // Kept once, whatever the reason is by now.
    let Ok(Taken::Poison { id: again }) = intake.accept(&event).await else {
        panic!("it was not kept");
    };
    assert_eq!(first, again);
    let client = app.client();
    client.wait(&first).await.unwrap();
    client.delete(&first).await.unwrap();
    let taken = WorkflowId::new(first.as_str()).unwrap();
    let other = NewWorkflow::new(taken, "other", Payload::null());
    client.start_made(other).await.unwrap();
    let Ok(Taken::Poison { id: beside }) = intake.accept(&event).await else {
        panic!("it was not kept");
    };
    assert_ne!(beside, first);
    let kept = client.get(&beside).await.unwrap().unwrap();
    assert_eq!(kept.name, "stepwell.poison");
}
