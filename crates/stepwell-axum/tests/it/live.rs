//! A workflow, live.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use stepwell::{
    Ctx, Stream,
    axum::{events, testing::TestApp},
    workflow,
};

use crate::shop::{GO, Shop, send, shop, slow};

const NUMBERS: Stream<u64> = Stream::new("numbers");

/// Appends so many numbers.
#[workflow]
async fn talks(ctx: &mut Ctx<Shop>, numbers: u64) -> stepwell::Result<()> {
    for number in 0..numbers {
        ctx.append(NUMBERS, number).await;
    }
    Ok(())
}

/// Reads events until `enough` says so, or the stream ends.
async fn read(shop: &TestApp<Shop>, last: Option<&str>, enough: fn(&str) -> bool) -> String {
    let mut request = Request::builder().uri("/jobs/j/events");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = shop.oneshot(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
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

#[tokio::test(start_paused = true)]
async fn a_client_that_has_seen_the_end_is_told_to_stop() {
    let shop = shop().await;
    start(&shop).await;
    shop.app().send("j", GO, true).await.unwrap();
    let all = read(&shop, None, |_| false).await;
    assert!(all.starts_with("retry: 2000\n"), "{all}");
    let last = all
        .lines()
        .filter_map(|it| it.strip_prefix("id: "))
        .next_back();
    assert_eq!(last, Some("3-succeeded"), "{all}");
    for (seen, status) in [
        ("3-succeeded", 204),
        ("3", 200),
        ("2-succeeded", 200),
        ("3-failed", 200),
    ] {
        let headers = [("last-event-id", seen)];
        let again = send(&shop, "GET", "/jobs/j/events", &headers, "").await;
        assert_eq!(again.status, status, "{seen}");
        assert_eq!(again.text.contains("SUCCESS"), status == 200, "{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_seen_more_than_there_is_begins_anew() {
    let shop = shop().await;
    start(&shop).await;
    shop.app().send("j", GO, true).await.unwrap();
    for seen in ["4", "1000", "1000-succeeded"] {
        let all = read(&shop, Some(seen), |_| false).await;
        assert!(all.contains("id: 1\n"), "{seen}: {all}");
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_streams_and_no_more() {
    let shop = TestApp::new(Shop::default(), |app| {
        axum::Router::new()
            .route(
                "/jobs/{id}/events",
                axum::routing::get(events().streams_max(2)),
            )
            .with_state(app)
    });
    let shop = shop.await;
    shop.app().start(slow("ann".into()).id("j")).await.unwrap();
    let open = async || {
        let request = Request::get("/jobs/j/events").body(Body::empty()).unwrap();
        shop.oneshot(request).await
    };
    let (one, two, three) = (open().await, open().await, open().await);
    assert_eq!((one.status().as_u16(), two.status().as_u16()), (200, 200));
    assert_eq!(three.status(), 503);
    assert!(three.headers().contains_key("retry-after"));
    drop(one);
    assert_eq!(open().await.status(), 200);
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn a_long_stream_is_told_whole_and_in_order() {
    let shop = TestApp::new(Shop::default(), |app| {
        axum::Router::new()
            .route("/jobs/{id}/events", axum::routing::get(events()))
            .with_state(app)
    });
    let shop = shop.await;
    shop.app().run(talks(100).id("j")).await.unwrap();
    let all = read(&shop, None, |_| false).await;
    let told: Vec<u64> = all
        .lines()
        .filter_map(|it| it.strip_prefix("data: "))
        .filter_map(|it| serde_json::from_str::<serde_json::Value>(it).ok()?["value"].as_u64())
        .collect();
    assert_eq!(told, (0..100).collect::<Vec<_>>());
    let rest = read(&shop, Some("60"), |_| false).await;
    assert!(
        !rest.contains("id: 60\n") && rest.contains("id: 61\n"),
        "{rest}"
    );
    assert!(
        rest.contains(r#""stream":"numbers","offset":60,"value":60"#),
        "{rest}"
    );
}
