//! The providers: they sign with their own libraries, and send again what was not acknowledged.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use futures_util::{StreamExt, stream};
use http_body_util::Full;
use serde_json::json;

use super::{
    fleet::{Addresses, Http, http},
    load::{Kind, Load, kind},
};
use crate::sign::{self, Headers};

/// How many are signed at once: a signature is good for five minutes.
const SIGNED: usize = 100;
/// How many requests are open at once.
const AT_ONCE: usize = 8;
/// How long a provider waits before it sends again.
const PAUSE: Duration = Duration::from_millis(100);

type Delivery = (&'static str, String, String);

/// One in two is Stripe's. An event of Stripe's without JSON has no id, and is refused; so poison is
/// GitHub's.
fn delivery(number: usize) -> Delivery {
    let id = format!("evt-{number}");
    match kind(number) {
        Kind::Poison => ("github", id, "poison".to_owned()),
        _ if number % 4 < 2 => {
            let body = json!({ "id": id, "type": "charge.failed" });
            ("stripe", id, body.to_string())
        }
        _ => {
            let repository = json!({ "full_name": "ann/shop" });
            let body = json!({ "ref": "refs/heads/main", "repository": repository });
            ("github", id, body.to_string())
        }
    }
}

pub(super) async fn send(load: &Load, signers: &str, addresses: &Addresses) {
    let http = &http();
    let numbers: Vec<usize> = (0..load.webhooks).collect();
    for numbers in numbers.chunks(SIGNED) {
        let deliveries: Vec<Delivery> = numbers.iter().map(|number| delivery(*number)).collect();
        let signed = {
            let (signers, deliveries) = (signers.to_owned(), deliveries.clone());
            tokio::task::spawn_blocking(move || sign::by_libraries(&signers, &deliveries))
        };
        let signed = signed.await.unwrap();
        assert_eq!(signed.len(), deliveries.len());
        let sends = numbers.iter().zip(deliveries).zip(&signed);
        let sends = sends.flat_map(|((number, delivery), headers)| {
            let times = if kind(*number) == Kind::Twice { 2 } else { 1 };
            let send = move |_| {
                let delivery = delivery.clone();
                async move { deliver(http, addresses, &delivery, headers).await }
            };
            (0..times).map(send)
        });
        stream::iter(sends)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }
}

/// Sends until it is acknowledged.
async fn deliver(http: &Http, addresses: &Addresses, delivery: &Delivery, headers: &Headers) {
    let (provider, _, body) = delivery;
    loop {
        let address = addresses.lock().unwrap().last().cloned();
        if let Some(address) = address {
            let mut request = Request::post(format!("http://{address}/webhooks/{provider}"));
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request.body(Full::from(body.clone())).unwrap();
            match http.request(request).await.map(|answer| answer.status()) {
                Ok(StatusCode::OK) => return,
                Ok(away) if away.is_server_error() => {}
                Ok(other) => panic!("{delivery:?} was answered with {other}"),
                // It was killed.
                Err(_) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
