//! Bodies that cost more than they say.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use http::Request;
use serde_json::json;
use stepwell::axum::testing::TestApp;

use super::{dose, in_time};
use crate::shop::{Shop, charges, post_json, send, shop};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends a body of 100,000 pieces of 1 KiB; answers the status and how many of them were read.
async fn pieces_read(shop: &TestApp<Shop>, path: &str, headers: &[(&str, &str)]) -> (u16, usize) {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let pieces = stream::iter(0..100_000).map(move |_| {
        count.fetch_add(1, SeqCst);
        Ok::<_, std::io::Error>(Bytes::from_static(&[b'['; 1_024]))
    });
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from_stream(pieces)).unwrap();
    let status = in_time(shop.oneshot(request)).await.status().as_u16();
    (status, read.load(SeqCst))
}

#[tokio::test]
async fn a_body_is_not_read_when_it_cannot_matter() {
    let shop = shop().await;
    for (path, headers, status, pieces_max) in [
        ("/pay-with-key", &[JSON][..], 400, 0),
        ("/pay", &[], 415, 1),
        ("/pay", &[JSON, ("content-length", "999999999")], 413, 2_049),
        ("/pay", &[JSON, ("sec-fetch-site", "cross-site")], 403, 0),
        ("/pay", &[JSON], 413, 2_049),
        ("/small", &[JSON], 413, 1),
    ] {
        let (found, pieces) = pieces_read(&shop, path, headers).await;
        assert_eq!(found, status, "{path} {headers:?}");
        assert!(pieces <= pieces_max, "{path} {headers:?}: {pieces} pieces");
    }
    assert_eq!(charges(&shop), 0);
}

#[tokio::test]
async fn a_body_of_very_many_values_is_refused_before_they_are_kept() {
    let shop = shop().await;
    for piece in ["{},", "0,", r#"{"":0},"#, "[[]],"] {
        let body = format!("[{}0]", piece.repeat(250_000));
        for path in ["/pay", "/pay?x=1", "/pay/7"] {
            let answer = in_time(post_json(&shop, path, &body)).await;
            assert_eq!(answer.status, 413, "{path} {piece}");
            assert!(answer.text.contains("100000 values"), "{}", answer.text);
        }
    }
    assert_eq!(charges(&shop), 0);
}

/// With a search for each member this would take minutes.
#[tokio::test]
async fn very_many_members_are_merged_in_time() {
    let shop = shop().await;
    let mut body = "{".to_owned();
    for member in 0..45_000 {
        write!(body, "\"m{member}\":0,").unwrap();
    }
    body.push_str("\"amount\":5}");
    for _ in 0..dose() {
        let answer = in_time(post_json(&shop, "/pay?note=n", &body)).await;
        assert_eq!(answer.json(), json!({"amount": 5, "note": "n"}));
    }
}

#[tokio::test]
async fn a_query_has_a_thousand_parameters_at_most() {
    let shop = shop().await;
    let query = |parameters: usize| {
        let names: Vec<_> = (0..parameters).map(|it| format!("p{it}")).collect();
        format!("/pay/7?{}", names.join("&"))
    };
    assert_eq!(post_json(&shop, &query(1_000), "").await.status, 200);
    let answer = in_time(post_json(&shop, &query(10_000), "")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("has 10000 parameters, at most 1000"));
}

#[tokio::test]
async fn a_workflow_without_arguments_takes_no_body() {
    let shop = shop().await;
    for (body, status) in [
        ("", 500),
        ("null", 500),
        ("{}", 500),
        ("[1]", 422),
        ("{", 400),
    ] {
        assert_eq!(
            post_json(&shop, "/fails", body).await.status,
            status,
            "{body}"
        );
    }
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused_whatever_the_type_sees_of_it() {
    let shop = shop().await;
    let key = [("idempotency-key", "k")];
    let pay = async |body: &str| send(&shop, "POST", "/pay", &key, body).await;
    let first = pay(r#"{"amount": 5, "currency": "EUR"}"#).await;
    assert_eq!(first.status, 200);
    let again = pay(r#"{"currency":"EUR","amount":5}"#).await;
    assert_eq!((again.status, again.text), (200, first.text));
    let other = pay(r#"{"amount": 5, "currency": "USD"}"#).await;
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(charges(&shop), 1);
}

#[tokio::test]
async fn a_large_body_straight_into_its_type_is_taken() {
    let shop = shop().await;
    let note = "é".repeat(900_000);
    let body = json!({"amount": 5, "note": note}).to_string();
    let answer = in_time(post_json(&shop, "/pay", &body)).await;
    assert_eq!(
        (answer.status, answer.json()["note"].as_str()),
        (200, Some(&*note))
    );
}
