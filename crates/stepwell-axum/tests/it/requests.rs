//! What becomes of a request, and of its ids.

use serde_json::json;
use stepwell::store::Filter;

use stepwell::{DECLINED_NOTE, State};

use crate::shop::{Payment, exists, pay, post_json, send, shop};

#[tokio::test(start_paused = true)]
async fn the_endpoint_is_the_workflow() {
    let shop = shop().await;
    let answer = post_json(&shop, "/pay", r#"{"amount": 5, "note": "thanks"}"#).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"amount": 5, "note": "thanks"}))
    );
}

#[tokio::test(start_paused = true)]
async fn path_query_and_body_are_one_argument() {
    let shop = shop().await;
    let answer = post_json(&shop, "/pay/7?note=q", r#"{"amount": 1}"#).await;
    assert_eq!(answer.json(), json!({"amount": 7, "note": "q"}));
}

#[tokio::test(start_paused = true)]
async fn a_scalar_argument_takes_the_path_parameter_and_a_long_run_is_a_202() {
    let shop = shop().await;
    let answer = send(
        &shop,
        "POST",
        "/slow/ann",
        &[("idempotency-key", "k 1".trim_end_matches(" 1"))],
        "",
    )
    .await;
    assert_eq!(answer.status, 202);
    let id = "POST /slow/{name}~key-k";
    assert_eq!(
        answer.json(),
        json!({"workflow_id": id, "status": "started"})
    );
    let location = answer.header("location").unwrap();
    assert_eq!(location, "/jobs/POST%20%2Fslow%2F%7Bname%7D~key-k");
    let status = send(&shop, "GET", location, &[], "").await;
    assert_eq!(
        (status.status, status.json()["status"].clone()),
        (200, json!("PENDING"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_json_or_of_another_kind_is_refused() {
    let shop = shop().await;
    let answer = post_json(&shop, "/pay", "{").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("the body is no JSON") && answer.text.contains("line 1"));
    let answer = post_json(&shop, "/pay", r#"{"amount": "many"}"#).await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("does not fit the workflow's argument"),
        "{}",
        answer.text
    );
    let headers = [("content-type", "text/plain")];
    let answer = send(&shop, "POST", "/pay", &headers, r#"{"amount": 1}"#).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_2_mib_at_most_unless_the_route_says_otherwise() {
    let shop = shop().await;
    let body = |bytes: usize| format!(r#"{{"amount": 1, "note": "{}"}}"#, "x".repeat(bytes));
    let answer = post_json(&shop, "/pay", &body(2 * 1024 * 1024 - 100)).await;
    assert_eq!(answer.status, 200);
    let answer = post_json(&shop, "/pay", &body(2 * 1024 * 1024)).await;
    assert_eq!(answer.status, 413);
    let answer = post_json(&shop, "/large", &body(3 * 1024 * 1024)).await;
    assert_eq!(answer.status, 200);
    let answer = post_json(&shop, "/small", &body(100)).await;
    assert_eq!(answer.status, 413);
    assert!(
        answer.text.contains("more than the 100 bytes"),
        "{}",
        answer.text
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_answers_at_once_and_waits_when_it_is_asked_to() {
    let shop = shop().await;
    let answer = post_json(&shop, "/jobs", r#""ann""#).await;
    assert_eq!(
        (answer.status, answer.json()["status"].clone()),
        (202, json!("started"))
    );
    let id = answer.json()["workflow_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location").unwrap(), format!("/jobs/{id}"));
    shop.app().send(&id, crate::shop::GO, true).await.unwrap();
    let headers = [
        ("prefer", "respond-async, wait=10"),
        ("dbos-idempotency-key", &id),
    ];
    let answer = send(&shop, "POST", "/jobs", &headers, r#""ann""#).await;
    assert_eq!((answer.status, answer.json()), (200, json!("ann")));
}

#[tokio::test(start_paused = true)]
async fn a_status_has_both_names_an_etag_and_waits() {
    let shop = shop().await;
    send(
        &shop,
        "POST",
        "/jobs",
        &[("dbos-idempotency-key", "j1")],
        r#""ann""#,
    )
    .await;
    let first = send(&shop, "GET", "/jobs/j1", &[], "").await;
    assert_eq!(first.json()["status"], "PENDING");
    assert_eq!(first.json()["state"], "running");
    let etag = first.header("etag").unwrap();
    let same = send(&shop, "GET", "/jobs/j1", &[("if-none-match", etag)], "").await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    shop.app().send("j1", crate::shop::GO, true).await.unwrap();
    let ended = send(
        &shop,
        "GET",
        "/jobs/j1?wait=10",
        &[("if-none-match", etag)],
        "",
    )
    .await;
    assert_eq!(ended.status, 200);
    assert_eq!(
        (&ended.json()["status"], &ended.json()["result"]),
        (&json!("SUCCESS"), &json!("ann"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_and_one_of_another_workflow_are_not_found() {
    let shop = shop().await;
    let answer = send(&shop, "GET", "/jobs/nobody", &[], "").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["detail"], "there is no workflow `nobody`");
    send(
        &shop,
        "POST",
        "/pay",
        &[("dbos-idempotency-key", "p1")],
        r#"{"amount": 1}"#,
    )
    .await;
    assert_eq!(send(&shop, "GET", "/jobs/p1", &[], "").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn the_request_id_is_taken_kept_and_echoed() {
    let shop = shop().await;
    let headers = [
        ("x-request-id", "r1"),
        ("dbos-request-id", "r2"),
        ("dbos-idempotency-key", "p"),
    ];
    let answer = send(&shop, "POST", "/pay", &headers, r#"{"amount": 1}"#).await;
    assert_eq!(answer.header("x-request-id"), Some("r1"));
    let workflow = shop.app().client().get("p").await.unwrap().unwrap();
    assert!(
        workflow
            .attributes
            .contains(&("request_id".into(), "r1".into()))
    );
    assert_eq!(workflow.origin.as_deref(), Some("POST /pay"));
    let answer = send(&shop, "GET", "/teapot", &[("dbos-request-id", "r2")], "").await;
    assert_eq!(answer.header("x-request-id"), Some("r2"));
    assert_eq!(answer.json()["request_id"], "r2");
    assert_eq!(
        send(&shop, "GET", "/teapot", &[], "")
            .await
            .header("x-request-id")
            .unwrap()
            .len(),
        36
    );
}

#[tokio::test(start_paused = true)]
async fn a_traceparent_stays_with_the_workflow() {
    let shop = shop().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("dbos-idempotency-key", "p")];
    send(&shop, "POST", "/pay", &headers, r#"{"amount": 1}"#).await;
    let workflow = shop.app().client().get("p").await.unwrap().unwrap();
    assert!(
        workflow
            .attributes
            .contains(&("traceparent".into(), trace.into()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_cancels_nothing() {
    let shop = std::sync::Arc::new(shop().await);
    let request = {
        let shop = std::sync::Arc::clone(&shop);
        tokio::spawn(async move {
            send(
                &shop,
                "POST",
                "/slow/ann",
                &[("dbos-idempotency-key", "s1")],
                "",
            )
            .await
        })
    };
    exists(&shop, "s1").await;
    request.abort();
    shop.app().send("s1", crate::shop::GO, true).await.unwrap();
    let handle = shop.app().handle::<crate::shop::slow>("s1");
    assert_eq!(handle.result().await.unwrap(), "ann");
}

#[tokio::test(start_paused = true)]
async fn several_arguments_come_from_the_path_and_the_array() {
    let shop = shop().await;
    let answer = send(&shop, "PUT", "/transfer/ann", &[], r#"["ben", 5]"#).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!("5 from ann to ben"))
    );
    let answer = send(&shop, "PUT", "/transfer/ann", &[], r#"["ben"]"#).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("takes 3 arguments"), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_location_is_right_within_a_nested_router() {
    let shop = shop().await;
    let answer = post_json(&shop, "/v1/jobs", r#""ann""#).await;
    let id = answer.json()["workflow_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location").unwrap(), format!("/v1/jobs/{id}"));
}

#[tokio::test(start_paused = true)]
async fn the_type_of_a_body_is_read_as_http_says() {
    let shop = shop().await;
    for (kind, status) in [
        ("Application/JSON; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("text/json", 415),
        ("", 415),
    ] {
        let headers = [("content-type", kind)];
        let answer = send(&shop, "POST", "/pay", &headers, r#"{"amount": 1}"#).await;
        assert_eq!(answer.status, status, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_etag_is_compared_weakly_and_a_wait_must_be_a_number() {
    let shop = shop().await;
    let key = ("dbos-idempotency-key", "j1");
    send(&shop, "POST", "/jobs", &[key], r#""ann""#).await;
    let first = send(&shop, "GET", "/jobs/j1", &[], "").await;
    let etag = format!("\"other\", W/{}", first.header("etag").unwrap());
    let same = send(&shop, "GET", "/jobs/j1", &[("if-none-match", &etag)], "").await;
    assert_eq!(same.status, 304);
    let bad = send(&shop, "GET", "/jobs/j1?wait=long", &[], "").await;
    assert_eq!(bad.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_bounded_and_answers_what_is_there() {
    let shop = shop().await;
    let key = ("dbos-idempotency-key", "j1");
    send(&shop, "POST", "/jobs", &[key], r#""ann""#).await;
    let before = tokio::time::Instant::now();
    let answer = send(&shop, "GET", "/jobs/j1?wait=100000", &[], "").await;
    assert_eq!(answer.json()["status"], "PENDING");
    assert_eq!(before.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_request_id_that_is_none_is_replaced() {
    let shop = shop().await;
    for id in ["", "a b", &"x".repeat(129)] {
        let answer = send(&shop, "GET", "/teapot", &[("x-request-id", id)], "").await;
        assert_eq!(answer.header("x-request-id").unwrap().len(), 36, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_answered_to_the_last_digit() {
    let shop = shop().await;
    let exact = "[340282366920938463463374607431768211455,0.1]";
    let answer = send(&shop, "POST", "/exact", &[("idempotency-key", "k")], "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, exact));
    let list = shop.app().client().list(Filter::default()).await.unwrap();
    let path = format!(
        "/exact/{}",
        list[0].id.as_str().replace('/', "%2F").replace(' ', "%20")
    );
    let answer = send(&shop, "GET", &path, &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(
        answer.text.contains(&format!("\"result\":{exact}")),
        "{}",
        answer.text
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_request_is_no_dead_letter() {
    let shop = shop().await;
    let declined = post_json(&shop, "/pay", r#"{"amount": 5000}"#).await;
    assert_eq!(declined.status, 402);
    let client = shop.app().client();
    assert_eq!(client.dead_letters().await.unwrap(), []);
    let row = &client
        .list(stepwell::store::Filter::default())
        .await
        .unwrap()[0];
    let note = row.acknowledged.as_ref().map(|it| it.note.as_str());
    assert_eq!((row.state, note), (State::Failed, Some(DECLINED_NOTE)));
    // The same failure of a workflow that no request has started.
    let event = pay(Payment {
        amount: 5000,
        note: None,
    });
    assert!(shop.app().run(event).await.is_err());
    assert_eq!(client.dead_letters().await.unwrap()[0].count, 1);
    assert_eq!(post_json(&shop, "/fails", "").await.status, 500);
    assert_eq!(client.dead_letters().await.unwrap().len(), 2);
}
