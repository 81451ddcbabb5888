//! A request that is sent again.

use serde_json::json;

use crate::shop::{GO, charges, exists, send, shop, slow};

const KEY: (&str, &str) = ("idempotency-key", "\"k1\"");
const ID: &str = "POST /slow/{name}~key-k1";

#[tokio::test(start_paused = true)]
async fn a_retry_after_the_end_has_the_same_answer_and_says_so() {
    let shop = shop().await;
    let first = send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 5}"#).await;
    let again = send(&shop, "POST", "/pay", &[KEY], r#"{ "amount" : 5 }"#).await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (200, None)
    );
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (200, Some("true"))
    );
    assert_eq!(first.text, again.text);
    assert_eq!(charges(&shop), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_replayed_with_its_status() {
    let shop = shop().await;
    for replayed in [None, Some("true")] {
        let answer = send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 5000}"#).await;
        assert_eq!(
            (answer.status, answer.header("idempotency-replayed")),
            (402, replayed)
        );
        assert_eq!(answer.json()["dbos_error_code"], "DECLINED");
        assert_eq!(answer.json()["message"], "the card was declined");
    }
    assert_eq!(charges(&shop), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_while_it_runs_is_a_409_that_says_where_to_look() {
    let shop = shop().await;
    send(&shop, "POST", "/slow/ann", &[KEY], "").await;
    let again = send(&shop, "POST", "/slow/ann", &[KEY], "").await;
    assert_eq!(
        (again.status, again.header("retry-after")),
        (409, Some("1"))
    );
    assert_eq!(again.json()["workflow_id"], ID);
    assert!(
        again
            .header("location")
            .unwrap()
            .starts_with("/jobs/POST%20")
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_can_join_instead() {
    let shop = std::sync::Arc::new(shop().await);
    let id = "POST /joined/{name}~key-k1";
    let send = |shop: std::sync::Arc<_>| async move {
        send(&shop, "POST", "/joined/ann", &[KEY], "").await
    };
    let first = tokio::spawn(send(std::sync::Arc::clone(&shop)));
    exists(&shop, id).await;
    let second = tokio::spawn(send(std::sync::Arc::clone(&shop)));
    shop.app().send(id, GO, true).await.unwrap();
    assert_eq!(first.await.unwrap().json(), json!("ann"));
    assert_eq!(second.await.unwrap().json(), json!("ann"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_used_for_something_else_is_a_422() {
    let shop = shop().await;
    send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 5}"#).await;
    let other = send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 6}"#).await;
    assert_eq!(other.status, 422);
    assert!(
        other
            .text
            .contains("was used with another request; use a new one")
    );
    assert_eq!(charges(&shop), 1);
}

/// The type ignores all of these: it would be answered with the result of another request.
#[tokio::test(start_paused = true)]
async fn a_key_belongs_to_path_query_and_body() {
    let five = r#"{"amount": 5}"#;
    let large = r#"{"amount": 5, "reference": 18446744073709551616}"#;
    for (path, body, same, other_path, other_body) in [
        (
            "/pay?currency=EUR",
            five,
            "/pay?currency=EUR",
            "/pay?currency=USD",
            five,
        ),
        ("/pay?a=1&b=2", five, "/pay?b=2&a=1", "/pay?a=2&b=1", five),
        ("/pay?a=1&a=2", five, "/pay?a=1&a=2", "/pay?a=2&a=1", five),
        ("/pay", five, "/pay", "/pay?currency=USD", five),
        ("/of/ann", five, "/of/ann", "/of/bob", five),
        ("/pay", large, "/pay", "/pay", &large.replace("616", "617")),
    ] {
        let shop = shop().await;
        assert_eq!(send(&shop, "POST", path, &[KEY], body).await.status, 200);
        let again = send(&shop, "POST", same, &[KEY], body).await;
        let replayed = again.header("idempotency-replayed");
        assert_eq!((again.status, replayed), (200, Some("true")), "{same}");
        let other = send(&shop, "POST", other_path, &[KEY], other_body).await;
        assert_eq!(other.status, 422, "{other_path} {other_body}");
        assert_eq!(charges(&shop), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_of_different_routes_do_not_meet() {
    let shop = shop().await;
    send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 5}"#).await;
    send(&shop, "POST", "/pay/5", &[KEY], "").await;
    assert_eq!(charges(&shop), 2);
}

#[tokio::test(start_paused = true)]
async fn the_verbatim_key_is_the_workflow_id_and_joins() {
    let shop = shop().await;
    let key = ("dbos-idempotency-key", "payment-abc-123");
    send(&shop, "POST", "/slow/ann", &[key], "").await;
    shop.app().send("payment-abc-123", GO, true).await.unwrap();
    let again = send(&shop, "POST", "/slow/ann", &[key], "").await;
    assert_eq!((again.status, again.json()), (200, json!("ann")));
    assert_eq!(
        shop.app()
            .handle::<slow>("payment-abc-123")
            .result()
            .await
            .unwrap(),
        "ann"
    );
}

#[tokio::test(start_paused = true)]
async fn the_extractor_requires_a_key_and_its_option_does_not() {
    let shop = shop().await;
    let missing = send(&shop, "POST", "/keyed", &[], "").await;
    assert_eq!(missing.status, 400);
    assert!(
        missing
            .text
            .contains("the header `Idempotency-Key` is required")
    );
    assert_eq!(send(&shop, "POST", "/keyed", &[KEY], "").await.text, "k1");
    assert_eq!(send(&shop, "POST", "/optional", &[], "").await.text, "none");
}

#[tokio::test(start_paused = true)]
async fn two_keys_that_differ_are_a_400() {
    let shop = shop().await;
    let headers = [KEY, ("dbos-idempotency-key", "k2")];
    let answer = send(&shop, "POST", "/pay", &headers, r#"{"amount": 5}"#).await;
    assert_eq!(answer.status, 400);
    assert_eq!(charges(&shop), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_two_sends_changes_nothing() {
    let shop = shop().await;
    let first = send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 5}"#).await;
    shop.crash().await;
    let again = send(&shop, "POST", "/pay", &[KEY], r#"{"amount": 5}"#).await;
    assert_eq!((first.text, charges(&shop)), (again.text, 1));
}

#[tokio::test(start_paused = true)]
async fn a_workflow_id_that_was_used_for_something_else_is_a_422() {
    let shop = shop().await;
    let key = ("dbos-idempotency-key", "p1");
    send(&shop, "POST", "/pay", &[key], r#"{"amount": 5}"#).await;
    let other = send(&shop, "POST", "/pay", &[key], r#"{"amount": 6}"#).await;
    assert_eq!(other.status, 422);
    let other = send(&shop, "POST", "/jobs", &[key], r#""ann""#).await;
    assert_eq!(other.status, 422, "another workflow");
}

#[tokio::test(start_paused = true)]
async fn every_principal_has_keys_of_its_own() {
    let shop = shop().await;
    for (user, replayed) in [("ann", None), ("ben", None), ("ann", Some("true"))] {
        let headers = [KEY, ("x-user", user)];
        let answer = send(&shop, "POST", "/of/x", &headers, r#"{"amount": 5}"#).await;
        assert_eq!(answer.header("idempotency-replayed"), replayed, "{user}");
    }
    assert_eq!(charges(&shop), 2);
}

#[tokio::test(start_paused = true)]
async fn the_longest_key_is_taken_and_a_longer_one_refused() {
    let shop = shop().await;
    for (length, status) in [(255, 200), (256, 400)] {
        let key = "k".repeat(length);
        for replayed in [None, (status == 200).then_some("true")] {
            let headers = [("idempotency-key", key.as_str())];
            let answer = send(&shop, "POST", "/pay", &headers, r#"{"amount": 5}"#).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("idempotency-replayed"), replayed);
        }
    }
    assert_eq!(charges(&shop), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_sent_again_starts_nothing() {
    let shop = shop().await;
    let first = send(&shop, "POST", "/jobs", &[KEY], r#""ann""#).await;
    let again = send(&shop, "POST", "/jobs", &[KEY], r#""ann""#).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.json(), again.json());
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test(start_paused = true)]
async fn a_route_can_ask_for_a_key() {
    let shop = shop().await;
    let pay = r#"{"amount": 5}"#;
    let missing = send(&shop, "POST", "/pay-with-key", &[], pay).await;
    assert_eq!(missing.status, 400);
    let said = missing.text;
    assert!(said.contains("`Idempotency-Key` is required"), "{said}");
    assert_eq!(charges(&shop), 0);
    let paid = send(&shop, "POST", "/pay-with-key", &[KEY], pay).await;
    assert_eq!((paid.status, charges(&shop)), (200, 1));
}

/// An id that a client chooses is one of the application's: only a route that says so lets it.
#[tokio::test(start_paused = true)]
async fn a_client_chooses_no_workflow_id_unless_the_route_says_so() {
    let shop = shop().await;
    let pay = r#"{"amount": 5}"#;
    let key = ("dbos-idempotency-key", "partner-17");
    for replayed in [None, Some("true")] {
        let answer = send(&shop, "POST", "/pay-with-key", &[key], pay).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("idempotency-replayed"), replayed);
    }
    let client = shop.app().client();
    assert!(client.get("partner-17").await.unwrap().is_none());
    let scoped = client.get("POST /pay-with-key~key-partner-17").await;
    assert!(scoped.unwrap().is_some());
    // Where it does, those that Stepwell makes are refused.
    for id in ["nightly~tick-2026-01-01T00:00:00Z", "order-7~2", "-"] {
        let answer = send(&shop, "POST", "/pay", &[("dbos-idempotency-key", id)], pay).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    assert_eq!(charges(&shop), 1);
}

/// A key so long that the id is a digest.
#[tokio::test(start_paused = true)]
async fn the_id_of_a_principals_request_can_be_chosen_by_nobody_else() {
    let shop = shop().await;
    let pay = r#"{"amount": 5}"#;
    let key = "k".repeat(250);
    let of = [("idempotency-key", key.as_str()), ("x-user", "ann")];
    assert_eq!(send(&shop, "POST", "/of/x", &of, pay).await.status, 200);
    let filter = stepwell::store::Filter::default();
    let id = shop.app().client().list(filter).await.unwrap().remove(0).id;
    for (path, status) in [("/pay", 400), ("/of/x", 200)] {
        let headers = [("dbos-idempotency-key", id.as_str()), ("x-user", "bob")];
        let answer = send(&shop, "POST", path, &headers, pay).await;
        // In a header there may be no blank either.
        assert!([status, 400].contains(&answer.status), "{}", answer.text);
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
}
