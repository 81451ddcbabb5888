//! Signed requests, made without the crate's own code.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;
use stepwell::{
    Timestamp,
    webhooks::{Delivery, Provider, Rejected, Verified},
};

pub(crate) const NOW_S: i64 = 1_700_000_000;
pub(crate) const BODY: &str = r#"{"id":"evt_1","event_id":"evt_1","type":"paid"}"#;
pub(crate) const SECRET: &str = "c2VjcmV0"; // base64 of `secret`

pub(crate) type Headers = Vec<(&'static str, String)>;

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hexed(secret: &str, parts: &[&[u8]]) -> String {
    hex::encode(mac(secret.as_bytes(), parts))
}

pub(crate) fn stripe(secret: &str, at_s: i64, body: &[u8]) -> Headers {
    let at = at_s.to_string();
    let signature = hexed(secret, &[at.as_bytes(), b".", body]);
    vec![("stripe-signature", format!("t={at},v1={signature}"))]
}

pub(crate) fn github(secret: &str, body: &[u8]) -> Headers {
    let signature = hexed(secret, &[body]);
    vec![
        ("x-hub-signature-256", format!("sha256={signature}")),
        ("x-github-delivery", "evt_1".to_owned()),
        ("x-github-event", "paid".to_owned()),
    ]
}

pub(crate) fn slack(secret: &str, at_s: i64, body: &[u8]) -> Headers {
    let at = at_s.to_string();
    let signature = hexed(secret, &[b"v0:", at.as_bytes(), b":", body]);
    vec![
        ("x-slack-signature", format!("v0={signature}")),
        ("x-slack-request-timestamp", at),
    ]
}

pub(crate) fn standard(secret: &str, at_s: i64, body: &[u8]) -> Headers {
    let (at, key) = (at_s.to_string(), STANDARD.decode(secret).unwrap());
    let signature = mac(&key, &[b"evt_1.", at.as_bytes(), b".", body]);
    vec![
        (
            "webhook-signature",
            format!("v1,{}", STANDARD.encode(signature)),
        ),
        ("webhook-timestamp", at),
        ("webhook-id", "evt_1".to_owned()),
    ]
}

pub(crate) fn hmac(secret: &str, at_s: i64, body: &[u8]) -> Headers {
    let at = at_s.to_string();
    vec![
        ("x-signature", hexed(secret, &[at.as_bytes(), b"\n", body])),
        ("x-time", at),
    ]
}

pub(crate) fn header_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    map
}

pub(crate) fn verify_at(
    provider: &dyn Provider,
    headers: &Headers,
    body: &[u8],
    now_s: i64,
) -> Result<Verified, Rejected> {
    let now = Timestamp::from_second(now_s).unwrap();
    provider.verify(&header_map(headers), body.to_vec().into(), now)
}

pub(crate) fn verify(
    provider: &dyn Provider,
    headers: &Headers,
    body: &[u8],
) -> Result<Verified, Rejected> {
    verify_at(provider, headers, body, NOW_S)
}

#[track_caller]
pub(crate) fn delivered(verified: Result<Verified, Rejected>) -> Delivery {
    match verified {
        Ok(Verified::Delivery(delivery)) => delivery,
        other => panic!("not delivered: {other:?}"),
    }
}
