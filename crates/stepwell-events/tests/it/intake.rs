//! What becomes of deliveries.

use stepwell::{
    App, Call, Ctx, ErrorKind, State,
    events::{Delivery, Repeats, Taken},
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
    for (id, text) in [("orders-1", "a"), ("orders-5", "b")] {
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
    assert_eq!(origin("orders-1").await, "orders/placed");
    assert_eq!(origin("orders-2").await, "orders");
    assert_eq!(origin("own-id").await, "own");
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
    let workflow = app.client().get("orders-1").await.unwrap().unwrap();
    assert_eq!(workflow.state, State::Enqueued);
    app.launch().await.unwrap();
    assert_eq!(
        app.handle::<handle>("orders-1").result().await.unwrap(),
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
