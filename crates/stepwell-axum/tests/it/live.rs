//! A workflow, live.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use stepwell::axum::testing::TestApp;

use crate::shop::{GO, Shop, send, shop};

/// Reads events until `enough` says so, or the stream ends.
async fn read(shop: &TestApp<Shop>, last: Option<&str>, enough: fn(&str) -> bool) -> String {
    let mut request = Request::builder().uri("/jobs/j/events");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = shop.oneshot(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut text = String::new();
    while !enough(&text) {
        match body.frame().await {
            Some(frame) => {
                text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap())
            }
            None => break,
        }
    }
    text
}

async fn start(shop: &TestApp<Shop>) {
    send(
        shop,
        "POST",
        "/jobs",
        &[("dbos-idempotency-key", "j")],
        r#""ann""#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn events_tell_what_happens_and_end_with_the_workflow() {
    let shop = shop().await;
    start(&shop).await;
    let begun = read(&shop, None, |text| text.contains("id: 2\n")).await;
    assert!(begun.contains("id: 1\nevent: stream\n"), "{begun}");
    assert!(begun.contains(r#""value":"began""#), "{begun}");
    let published = "id: 2\nevent: event\ndata: {\"name\":\"ready\",\"value\":7}\n";
    assert!(begun.contains(published), "{begun}");
    shop.app().send("j", GO, true).await.unwrap();
    let all = read(&shop, None, |_| false).await;
    assert!(all.contains(r#""status":"SUCCESS""#), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_goes_on_after_what_it_has_seen() {
    let shop = shop().await;
    start(&shop).await;
    shop.app().send("j", GO, true).await.unwrap();
    shop.app().client().wait("j").await.unwrap();
    let rest = read(&shop, Some("2"), |_| false).await;
    assert!(
        !rest.contains("id: 2\n") && rest.contains("id: 3\n"),
        "{rest}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_shutdown() {
    let shop = shop().await;
    start(&shop).await;
    shop.app().stop_taking_work();
    // Without the end of the stream this would wait for ever.
    read(&shop, None, |_| false).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_workflow_has_no_events() {
    let shop = shop().await;
    assert_eq!(
        send(&shop, "GET", "/jobs/nobody/events", &[], "")
            .await
            .status,
        404
    );
}
