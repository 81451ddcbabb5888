//! Errors as clients see them: nothing that the server should keep to itself.

use serde_json::json;

use crate::shop::{GO, post_json, send, shop};

#[tokio::test(start_paused = true)]
async fn a_problem_has_the_members_of_both_worlds() {
    let shop = shop().await;
    let answer = send(&shop, "GET", "/teapot", &[("x-request-id", "r1")], "").await;
    assert_eq!(answer.status, 418);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(
        answer.json(),
        json!({
            "type": "about:blank",
            "title": "I'm a teapot",
            "status": 418,
            "detail": "short and stout",
            "message": "short and stout",
            "dbos_error_code": "TEAPOT",
            "dbos_error": "DBOSException",
            "request_id": "r1",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_a_status_is_a_500_without_its_cause() {
    let shop = shop().await;
    send(
        &shop,
        "POST",
        "/jobs",
        &[("dbos-idempotency-key", "j")],
        r#""ann""#,
    )
    .await;
    shop.app().send("j", GO, false).await.unwrap();
    let headers = [("dbos-idempotency-key", "j"), ("prefer", "wait=5")];
    let answer = send(&shop, "POST", "/jobs", &headers, r#""ann""#).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    assert_eq!(answer.json()["workflow_id"], "j");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_workflow_is_a_500_without_its_message() {
    let shop = shop().await;
    let answer = post_json(&shop, "/panics", "").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_handler_is_a_500_and_the_next_request_is_served() {
    let shop = shop().await;
    let answer = send(&shop, "GET", "/broken", &[], "").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text.contains("bug"), "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(send(&shop, "GET", "/teapot", &[], "").await.status, 418);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_workflow_is_a_409() {
    let shop = shop().await;
    send(
        &shop,
        "POST",
        "/jobs",
        &[("dbos-idempotency-key", "j")],
        r#""ann""#,
    )
    .await;
    shop.app().client().cancel("j").await.unwrap();
    let headers = [("dbos-idempotency-key", "j"), ("prefer", "wait=5")];
    let answer = send(&shop, "POST", "/jobs", &headers, r#""ann""#).await;
    assert_eq!(
        (answer.status, answer.json()["dbos_error_code"].clone()),
        (409, json!("CANCELLED"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_application_that_shuts_down_is_a_503_to_try_again() {
    let shop = shop().await;
    shop.app().shutdown().await;
    let answer = post_json(&shop, "/pay", r#"{"amount": 5}"#).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_of_its_own_type_says_what_it_means_or_is_a_500() {
    let shop = shop().await;
    let answer = post_json(&shop, "/refuses/11", "").await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.json()["dbos_error_code"], "LIMIT");
    assert_eq!(answer.json()["detail"], "no more than 10");
    let answer = post_json(&shop, "/refuses/0", "").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passed_is_a_504() {
    let shop = shop().await;
    let call = crate::shop::slow("ann".into()).id("j");
    let call = call.deadline(std::time::Duration::from_secs(1));
    shop.app().start(call).await.unwrap();
    let headers = [("dbos-idempotency-key", "j"), ("prefer", "wait=30")];
    let answer = send(&shop, "POST", "/jobs", &headers, r#""ann""#).await;
    assert_eq!(answer.status, 504);
}

#[tokio::test(start_paused = true)]
async fn a_status_and_events_tell_no_more_than_a_500() {
    let shop = shop().await;
    let key = ("dbos-idempotency-key", "f");
    let answer = send(&shop, "POST", "/fails", &[key], "").await;
    assert_eq!(answer.status, 500);
    let status = send(&shop, "GET", "/fails/f", &[], "").await;
    assert_eq!(status.json()["status"], "ERROR");
    assert_eq!(status.json()["error"]["status"], 500);
    let events = send(&shop, "GET", "/jobs/f/events", &[], "").await;
    assert!(events.text.contains(r#""name":"leaks""#), "{}", events.text);
    for text in [answer.text, status.text, events.text] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_no_workflow_can_have_is_not_found() {
    let shop = shop().await;
    for path in [
        "/jobs/a%00b".to_owned(),
        format!("/jobs/{}", "x".repeat(256)),
    ] {
        assert_eq!(
            send(&shop, "GET", &path, &[], "").await.status,
            404,
            "{path}"
        );
    }
}
