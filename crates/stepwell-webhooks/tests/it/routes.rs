//! The endpoint, on a database in memory.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use http::Request;
use serde_json::{Value, json};
use stepwell::{
    App, Call, Ctx, Event, Queue,
    axum::testing::TestApp,
    events::{Delivery, Source, Sources},
    observe::{Fate, Observation, Observer},
    sleep,
    testing::Harness,
    webhooks::{GitHub, Provider, Stripe, Unsigned},
    workflow,
};

use crate::sign::{self, BODY, Headers, SECRET};

static NARROW: Queue = Queue::new("narrow").concurrency(1).waiting_max(1);
const BEGUN: Event<bool> = Event::new("begun");

#[workflow]
async fn paid(_ctx: &mut Ctx, event: Value) -> stepwell::Result<String> {
    Ok(format!("done {}", event["id"].as_str().unwrap_or_default()))
}

#[workflow]
async fn slow(ctx: &mut Ctx, _event: Value) -> stepwell::Result<()> {
    ctx.set_event(BEGUN, true).await;
    ctx.run(sleep(Duration::from_secs(3_600))).await;
    Ok(())
}

fn stripe() -> Stripe {
    Stripe::new(SECRET).unwrap().body_limit(999)
}

fn as_paid(event: &Delivery) -> Result<Call<paid>, serde_json::Error> {
    event.json().map(paid)
}

async fn serving(source: impl Source<paid>) -> TestApp {
    let router = |app: App| -> Router {
        let sources = Sources::new(&app).add(source, as_paid).unwrap();
        sources.routes()
    };
    TestApp::new((), router).await
}

fn signed(test: &TestApp, body: &str) -> Headers {
    let now_s = test.app().client().now().as_second();
    sign::stripe(SECRET, now_s, body.as_bytes())
}

async fn post(test: &TestApp, headers: Headers, body: &str) -> (u16, Value) {
    let mut request = Request::post("/hook");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = test.oneshot(request).await;
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, json)
}

async fn post_signed(test: &TestApp, body: &str) -> (u16, Value) {
    post(test, signed(test, body), body).await
}

#[tokio::test]
async fn an_event_starts_one_workflow_however_often_it_comes() {
    let test = serving(stripe().at("/hook")).await;
    let answer = |duplicate: bool| json!({ "id": "stripe~event-evt_1", "duplicate": duplicate });
    assert_eq!(post_signed(&test, BODY).await, (200, answer(false)));
    assert_eq!(post_signed(&test, BODY).await, (200, answer(true)));
    // The same event in other words.
    let other = r#"{"id":"evt_1","pending_webhooks":2}"#;
    assert_eq!(post_signed(&test, other).await, (200, answer(true)));
    let workflow = test.app().client().get("stripe~event-evt_1").await.unwrap();
    let origin = workflow.unwrap().origin;
    assert_eq!(origin.as_deref(), Some("stripe/paid"));
}

#[tokio::test]
async fn what_is_refused_starts_nothing() {
    let test = serving(stripe().at("/hook")).await;
    let large = " ".repeat(1000);
    let now_s = test.app().client().now().as_second();
    let other = |body: &str| sign::stripe("other", now_s, body.as_bytes());
    let stale = sign::stripe(SECRET, 1_000, BODY.as_bytes());
    for (headers, body, status) in [
        (other(BODY), BODY, 401),
        (other("not json"), "not json", 401),
        (stale, BODY, 401),
        (vec![], BODY, 400),
        (signed(&test, "not json"), "not json", 400),
        (signed(&test, "{}"), "{}", 400),
        (signed(&test, &large), &large, 413),
    ] {
        let (answered, problem) = post(&test, headers, body).await;
        assert_eq!((answered, &problem["status"]), (status, &json!(status)));
    }
    let started = test
        .app()
        .client()
        .list(stepwell::store::Filter::default())
        .await;
    assert_eq!(started.unwrap(), []);
}

#[tokio::test]
async fn the_answer_is_the_result_if_the_endpoint_asks() {
    let minute = Duration::from_secs(60);
    let test = serving(stripe().at("/hook").answer_with_result(minute)).await;
    for _ in 0..2 {
        let answer = post_signed(&test, BODY).await;
        assert_eq!(answer, (200, json!("done evt_1")));
    }
}

#[tokio::test]
async fn a_result_that_takes_too_long_is_promised() {
    let test = TestApp::new((), |app: App| {
        let endpoint = stripe().at("/hook").answer_with_result(Duration::ZERO);
        let sources = Sources::new(&app);
        let sources = sources.add(endpoint, |event: &Delivery| event.json().map(slow));
        sources.unwrap().routes()
    })
    .await;
    let answer = json!({ "id": "stripe~event-evt_1", "duplicate": false });
    assert_eq!(post_signed(&test, BODY).await, (202, answer));
}

#[tokio::test]
async fn poison_is_acknowledged_because_it_is_kept() {
    let test = TestApp::new((), |app: App| {
        let refuse = |_: &Delivery| -> Result<Call<paid>, &str> { Err("no such product") };
        let sources = Sources::new(&app).add(stripe().at("/hook"), refuse);
        sources.unwrap().routes()
    })
    .await;
    let (status, answer) = post_signed(&test, BODY).await;
    assert_eq!((status, &answer["poison"]), (200, &json!(true)));
    let id = answer["id"].as_str().unwrap();
    let kept = test
        .app()
        .client()
        .history(id)
        .await
        .unwrap()
        .input
        .unwrap();
    let kept: Value = kept.read().unwrap();
    assert_eq!(kept[0]["body"], json!({ "text": BODY }));
    assert_eq!(kept[0]["reason"], "no such product");
}

#[tokio::test]
async fn a_full_queue_sends_the_provider_away_for_a_while() {
    let test = TestApp::new((), |app: App| {
        let source = Unsigned::behind_other_authentication("internal", "x-id").at("/hook");
        let queued =
            |_: &Delivery| -> Result<Call<slow>, String> { Ok(slow(Value::Null).queue(&NARROW)) };
        let sources = Sources::new(&app).add(source, queued);
        sources.unwrap().routes()
    })
    .await;
    let post_as = |id: &str| post(&test, vec![("x-id", id.to_owned())], "");
    assert_eq!(post_as("1").await.0, 200);
    // The first one has a place: nobody waits.
    let begun = test.app().get_event("internal~event-1", BEGUN).await;
    assert_eq!(begun.unwrap(), Some(true));
    assert_eq!(post_as("2").await.0, 200);
    assert_eq!(post_as("3").await.0, 429);
    assert_eq!(post_as("1").await.0, 200);
}

#[tokio::test]
async fn without_a_database_nothing_is_acknowledged() {
    let test = serving(stripe().at("/hook")).await;
    let headers = signed(&test, BODY);
    test.app().shutdown().await;
    assert_eq!(post(&test, headers, BODY).await.0, 503);
}

#[tokio::test]
async fn githubs_ping_is_answered() {
    let test = serving(GitHub::new(SECRET).unwrap().at("/hook")).await;
    let mut ping = sign::github(SECRET, b"{}");
    ping[2].1 = "ping".to_owned();
    assert_eq!(post(&test, ping, "{}").await, (200, json!("pong")));
}

/// What became of each delivery.
#[derive(Clone, Default)]
struct Fates(Arc<Mutex<Vec<(String, Fate)>>>);

impl Observer for Fates {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::Event { source, fate, .. } = observation {
            self.0.lock().unwrap().push(((*source).to_owned(), *fate));
        }
    }
}

#[tokio::test]
async fn every_delivery_is_counted_by_what_became_of_it() {
    let fates = Fates::default();
    let builder = App::builder("hooks").observer(fates.clone());
    let test = TestApp::with(Harness::with(builder).await, |app: App| -> Router {
        let sources = Sources::new(&app).add(stripe().at("/hook"), as_paid);
        sources.unwrap().routes()
    });
    let wrong = sign::stripe("another", 0, BODY.as_bytes());
    let large = "x".repeat(1_000);
    assert_eq!(post(&test, wrong, BODY).await.0, 401);
    assert_eq!(post_signed(&test, &large).await.0, 413);
    assert_eq!(post_signed(&test, BODY).await.0, 200);
    assert_eq!(post_signed(&test, BODY).await.0, 200);
    let expected = [
        Fate::Rejected,
        Fate::Rejected,
        Fate::Started,
        Fate::Duplicate,
    ];
    let expected = expected.map(|fate| ("stripe".to_owned(), fate));
    assert_eq!(*fates.0.lock().unwrap(), expected);
}
