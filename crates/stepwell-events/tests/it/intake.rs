//! What becomes of deliveries.

use std::time::Duration;

use stepwell::{
    App, Call, Ctx, ErrorKind, Payload, State, Unique,
    events::{Delivery, Repeats, Taken, event_id},
    store::NewWorkflow,
    workflow,
};

use crate::source::intake;

#[workflow]
pub(crate) async fn handle(_ctx: &mut Ctx, text: String) -> stepwell::Result<String> {
    Ok(text)
}

pub(crate) async fn app(name: &str) -> App {
    let builder = App::builder(name).database("sqlite::memory:");
    builder.launch().await.unwrap()
}

fn delivery(id: &str, body: &str) -> Delivery {
    Delivery::new("orders", id, body.to_owned())
}

/// The body as text, unless it is `bad` or makes it panic.
fn text(delivery: &Delivery) -> Result<Call<handle>, String> {
    let body = String::from_utf8(delivery.body.to_vec()).map_err(|error| error.to_string())?;
    assert_ne!(body, "panic", "the mapping meets what it does not expect");
    match body.as_str() {
        "bad" => Err("bad".to_owned()),
        _ => Ok(handle(body)),
    }
}

fn word<W>(taken: &Taken<W>) -> &'static str {
    match taken {
        Taken::Started(_) => "started",
        Taken::Duplicate(_) => "duplicate",
        Taken::Poison { .. } => "poison",
    }
}

#[tokio::test]
async fn each_event_of_a_batch_is_one_workflow_or_poison() {
    let app = app("batch").await;
    let intake = intake(&app, "orders", text);
    let batch = [
        delivery("1", "a"),
        delivery("2", "bad"),
        delivery("1", "a"),
        Delivery::new("orders", "3", vec![0xff]),
        delivery("4", "panic"),
        delivery("5", "b"),
    ];
    let words = |taken: &[Taken<handle>]| taken.iter().map(word).collect::<Vec<_>>();
    let taken = intake.accept_all(&batch).await.unwrap();
    assert_eq!(
        words(&taken),
        [
            "started",
            "poison",
            "duplicate",
            "poison",
            "poison",
            "started"
        ]
    );
    let again = intake.accept_all(&batch).await.unwrap();
    assert_eq!(
        words(&again),
        [
            "duplicate",
            "poison",
            "duplicate",
            "poison",
            "poison",
            "duplicate"
        ]
    );
    for (id, text) in [("orders~event-1", "a"), ("orders~event-5", "b")] {
        assert_eq!(app.handle::<handle>(id).result().await.unwrap(), text);
    }
    let all = app
        .client()
        .list(stepwell::store::Filter::default())
        .await
        .unwrap();
    assert_eq!(all.len(), 5, "two good ones, three poison ones");
}

#[tokio::test]
async fn a_known_id_with_other_content_is_another_event_unless_the_source_says_so() {
    let app = app("content").await;
    let alike = intake(&app, "orders", text);
    let (first, other) = (delivery("1", "a"), delivery("1", "b"));
    assert_eq!(word(&alike.accept(&first).await.unwrap()), "started");
    let Taken::Poison { id } = alike.accept(&other).await.unwrap() else {
        panic!("an event was lost");
    };
    let kept = app.client().get(&id).await.unwrap();
    assert_eq!(kept.unwrap().name, "stepwell.poison");
    let in_other_words = Delivery {
        repeats: Repeats::InOtherWords,
        ..other
    };
    assert_eq!(
        word(&alike.accept(&in_other_words).await.unwrap()),
        "duplicate"
    );
}

#[tokio::test]
async fn a_mapping_may_give_an_id_and_an_origin() {
    let app = app("given").await;
    let intake = intake(&app, "orders", |delivery: &Delivery| {
        let call = text(delivery)?;
        Ok(match delivery.body.as_ref() {
            b"own" => call.id("own-id").origin("own"),
            _ => call,
        })
    });
    let mut with_kind = delivery("1", "a");
    with_kind.kind = Some("placed".to_owned());
    let mut odd_kind = delivery("2", "a");
    odd_kind.kind = Some("a\nb".to_owned());
    for delivery in [&with_kind, &odd_kind, &delivery("3", "own")] {
        assert_eq!(word(&intake.accept(delivery).await.unwrap()), "started");
    }
    let origin = async |id: &str| app.client().get(id).await.unwrap().unwrap().origin.unwrap();
    assert_eq!(origin("orders~event-1").await, "orders/placed");
    assert_eq!(origin("orders~event-2").await, "orders");
    assert_eq!(origin("own-id").await, "own");
}

/// The mapping says which work an event is part of. Another event that would start the same work with
/// other input was not handled by it.
#[tokio::test]
async fn an_event_whose_chosen_id_has_other_work_is_poison() {
    let app = app("chosen").await;
    let intake = intake(&app, "orders", |it: &Delivery| Ok(text(it)?.id("order-7")));
    let placed = delivery("evt_1", "placed");
    assert_eq!(word(&intake.accept(&placed).await.unwrap()), "started");
    assert_eq!(word(&intake.accept(&placed).await.unwrap()), "duplicate");
    for repeats in [Repeats::Alike, Repeats::InOtherWords] {
        let cancelled = Delivery {
            repeats,
            ..delivery("evt_2", "cancelled")
        };
        assert_eq!(word(&intake.accept(&cancelled).await.unwrap()), "poison");
    }
}

/// Whatever else has the id of an event: the event was not handled by it.
#[tokio::test]
async fn an_event_whose_id_another_workflow_has_is_poison() {
    let app = app("other").await;
    let intake = intake(&app, "orders", text);
    let id = event_id("orders", &["1"]);
    let input = Payload::of(&("a",), 1_000).unwrap();
    let other = NewWorkflow::new(id.into(), "other", input);
    app.client().start_made(other).await.unwrap();
    for repeats in [Repeats::Alike, Repeats::InOtherWords] {
        let event = Delivery {
            repeats,
            ..delivery("1", "a")
        };
        assert_eq!(word(&intake.accept(&event).await.unwrap()), "poison");
    }
}

#[tokio::test]
async fn an_event_never_meets_an_id_of_the_application() {
    let app = app("apart").await;
    let intake = intake(&app, "orders", text);
    for id in ["orders-1", "orders:1", "1", "orders"] {
        app.run(handle("b".to_owned()).id(id)).await.unwrap();
    }
    let refused = app.start(handle("b".to_owned()).id("orders~event-1")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(
        word(&intake.accept(&delivery("1", "a")).await.unwrap()),
        "started"
    );
}

/// It is the work of another event that is there, and this one would be kept nowhere.
#[tokio::test]
async fn an_event_that_a_unique_key_refuses_is_poison() {
    let app = app("unique").await;
    let intake = intake(&app, "orders", |it: &Delivery| {
        let one = Unique::new("ann")
            .within(Duration::from_secs(3_600))
            .reject();
        Ok(text(it)?.unique(one))
    });
    let first = delivery("1", "a");
    assert_eq!(word(&intake.accept(&first).await.unwrap()), "started");
    assert_eq!(word(&intake.accept(&first).await.unwrap()), "duplicate");
    for (id, repeats) in [("2", Repeats::Alike), ("3", Repeats::InOtherWords)] {
        let event = Delivery {
            repeats,
            ..delivery(id, "a")
        };
        let Taken::Poison { id } = intake.accept(&event).await.unwrap() else {
            panic!("an event was acknowledged, and kept nowhere");
        };
        assert!(app.client().get(&id).await.unwrap().is_some());
    }
}

/// Without a refusal it is the work that is there which does what the event asks for.
#[tokio::test]
async fn an_event_that_joins_by_its_unique_key_is_one_with_the_work_that_is_there() {
    let app = app("joins").await;
    let intake = intake(&app, "orders", |it: &Delivery| {
        let one = Unique::new("ann").within(Duration::from_secs(3_600));
        Ok(text(it)?.unique(one))
    });
    assert_eq!(
        word(&intake.accept(&delivery("1", "a")).await.unwrap()),
        "started"
    );
    let Taken::Duplicate(joined) = intake.accept(&delivery("2", "a")).await.unwrap() else {
        panic!("it did not join");
    };
    assert_eq!(joined.id(), event_id("orders", &["1"]).as_str());
}

/// They would all have one id, and each after the first would be taken for the first come again.
#[tokio::test]
async fn events_without_an_id_are_kept_each_by_itself() {
    let app = app("without").await;
    let intake = intake(&app, "orders", text);
    let mut kept = Vec::new();
    for (body, repeats) in [("a", Repeats::Alike), ("b", Repeats::InOtherWords)] {
        let event = Delivery {
            repeats,
            ..delivery("", body)
        };
        let Taken::Poison { id } = intake.accept(&event).await.unwrap() else {
            panic!("an event without an id was started or swallowed");
        };
        kept.push(id);
    }
    assert_ne!(kept[0], kept[1]);
}

#[tokio::test]
async fn what_breaks_a_limit_is_poison() {
    let app = app("limits").await;
    let intake = intake(&app, "orders", |_: &Delivery| {
        Ok(handle("x".to_owned()).attribute("", "an attribute has a name"))
    });
    let Taken::Poison { id } = intake.accept(&delivery("1", "a")).await.unwrap() else {
        panic!("it was started");
    };
    let result = app.handle::<stepwell::events::poison>(id).result().await;
    let reason = result.unwrap_err().to_string();
    assert!(reason.contains("attribute"), "{reason}");
}

#[tokio::test]
async fn what_this_process_has_no_room_for_waits_in_the_database() {
    let builder = App::builder("small").database("sqlite::memory:");
    // It runs nothing: whatever it accepts is for others.
    let app = builder.build().await.unwrap();
    let intake = intake(&app, "orders", text);
    let taken = intake.accept_all(&[delivery("1", "a")]).await.unwrap();
    assert_eq!(word(&taken[0]), "started");
    let workflow = app.client().get("orders~event-1").await.unwrap().unwrap();
    assert_eq!(workflow.state, State::Enqueued);
    app.launch().await.unwrap();
    assert_eq!(
        app.handle::<handle>("orders~event-1")
            .result()
            .await
            .unwrap(),
        "a"
    );
}

#[tokio::test]
async fn nothing_is_accepted_once_the_application_stops() {
    let app = app("stopping").await;
    let intake = intake(&app, "orders", text);
    app.shutdown().await;
    let error = intake.accept(&delivery("1", "a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(intake.accept_all(&[delivery("1", "a")]).await.is_err());
}
