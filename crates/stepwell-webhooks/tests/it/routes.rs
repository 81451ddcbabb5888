//! The route, on a database in memory.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use futures_util::future::BoxFuture;
use http::Request;
use serde_json::{Value, json};
use stepwell::{
    App, Ctx, Error, ErrorKind, Timestamp,
    axum::testing::TestApp,
    webhooks::{Delivery, GitHub, Poison, PoisonSink, Stripe, webhook},
    workflow,
};

use crate::sign::{self, BODY, Headers, SECRET};

#[workflow]
async fn paid(_ctx: &mut Ctx, event: Value) -> stepwell::Result<String> {
    Ok(format!("done {}", event["id"].as_str().unwrap_or_default()))
}

fn stripe() -> Stripe {
    Stripe::new(SECRET).unwrap().body_limit(999)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a test app hands its application over"
)]
fn started(app: App) -> Router {
    webhook(&app, stripe(), |event: Delivery| event.json().map(paid)).at("/hook")
}

fn signed(body: &str) -> Headers {
    sign::stripe(SECRET, Timestamp::now().as_second(), body.as_bytes())
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
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// Keeps poison, or is away.
#[derive(Debug)]
struct Kept(Mutex<Vec<Poison>>, Result<(), Error>);

impl PoisonSink for Kept {
    fn keep(&self, poison: Poison) -> BoxFuture<'_, Result<(), Error>> {
        self.0.lock().unwrap().push(poison);
        let outcome = self.1.clone();
        Box::pin(async move { outcome })
    }
}

#[tokio::test]
async fn an_event_starts_one_workflow_however_often_it_comes() {
    let test = TestApp::new((), started).await;
    let answer = |duplicate: bool| json!({ "id": "stripe-evt_1", "duplicate": duplicate });
    assert_eq!(post(&test, signed(BODY), BODY).await, (200, answer(false)));
    assert_eq!(post(&test, signed(BODY), BODY).await, (200, answer(true)));
    // The same event in other words.
    let other = r#"{"id":"evt_1","pending_webhooks":2}"#;
    assert_eq!(post(&test, signed(other), other).await, (200, answer(true)));
    assert!(
        test.app()
            .client()
            .get("stripe-evt_1")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn what_is_refused_starts_nothing() {
    let test = TestApp::new((), started).await;
    let large = " ".repeat(1000);
    let stale = sign::stripe(SECRET, 1_000, BODY.as_bytes());
    for (headers, body, status) in [
        (signed("other"), BODY, 401),
        (signed("other"), "not json", 401),
        (stale, BODY, 401),
        (vec![], BODY, 400),
        (signed("not json"), "not json", 400),
        (signed("{}"), "{}", 400),
        (signed(&large), &large, 413),
    ] {
        let (answered, problem) = post(&test, headers, body).await;
        assert_eq!((answered, &problem["status"]), (status, &json!(status)));
    }
    assert!(
        test.app()
            .client()
            .get("stripe-evt_1")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn the_answer_is_the_result_if_the_route_asks() {
    let test = TestApp::new((), |app| {
        let route = webhook(&app, stripe(), |event: Delivery| event.json().map(paid));
        route.answer_with_result().at("/hook")
    });
    let test = test.await;
    for _ in 0..2 {
        assert_eq!(
            post(&test, signed(BODY), BODY).await,
            (200, json!("done evt_1"))
        );
    }
}

async fn poisoned(sink: Option<Arc<Kept>>) -> (u16, Value) {
    let test = TestApp::new((), |app| {
        let route = webhook(&app, stripe(), |_: Delivery| {
            Err("no such product").map(|(): ()| paid(Value::Null))
        });
        match sink {
            Some(sink) => route.poison(sink).at("/hook"),
            None => route.at("/hook"),
        }
    });
    post(&test.await, signed(BODY), BODY).await
}

#[tokio::test]
async fn poison_is_acknowledged_only_when_it_is_kept() {
    let kept = Arc::new(Kept(Mutex::default(), Ok(())));
    assert_eq!(
        poisoned(Some(kept.clone())).await,
        (200, json!({ "poison": true }))
    );
    let poison = kept.0.lock().unwrap().remove(0);
    let expected = Poison {
        source: "stripe".to_owned(),
        coordinates: "evt_1".to_owned(),
        bytes: BODY.into(),
        reason: "no such product".to_owned(),
    };
    assert_eq!(poison, expected);
    let away = Error::new(ErrorKind::Unavailable, "away");
    let away = Arc::new(Kept(Mutex::default(), Err(away)));
    assert_eq!(poisoned(Some(away)).await.0, 503);
    assert_eq!(poisoned(None).await.0, 422);
}

#[tokio::test]
async fn githubs_ping_is_answered() {
    let test = TestApp::new((), |app: App| {
        let github = GitHub::new(SECRET).unwrap();
        webhook(&app, github, |event: Delivery| event.json().map(paid)).at("/hook")
    });
    let mut ping = sign::github(SECRET, b"{}");
    ping[2].1 = "ping".to_owned();
    assert_eq!(post(&test.await, ping, "{}").await, (200, json!("pong")));
}
