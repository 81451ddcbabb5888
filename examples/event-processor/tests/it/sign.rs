//! Signed deliveries.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use stepwell::Timestamp;

pub(crate) const SECRET: &str = "c2VjcmV0";

/// Headers.
pub(crate) type Headers = Vec<(String, String)>;

/// The hexadecimal HMAC-SHA256.
pub(crate) fn hexed(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

/// As Stripe signs.
pub(crate) fn stripe(body: &str) -> Headers {
    let at = Timestamp::now().as_second().to_string();
    let signature = hexed(&[at.as_bytes(), b".", body.as_bytes()]);
    let value = format!("t={at},v1={signature}");
    vec![("stripe-signature".to_owned(), value)]
}

/// As GitHub signs a push.
pub(crate) fn github(id: &str, body: &str) -> Headers {
    let signature = format!("sha256={}", hexed(&[body.as_bytes()]));
    let headers = [
        ("x-hub-signature-256", signature.as_str()),
        ("x-github-delivery", id),
        ("x-github-event", "push"),
    ];
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Has the providers' own libraries sign bodies: `(provider, id, body)`.
pub(crate) fn by_libraries(signers: &str, deliveries: &[(&str, String, String)]) -> Vec<Headers> {
    let at = Timestamp::now().as_second();
    let lines = deliveries.iter().map(|(provider, id, body)| {
        let delivery = json!({
            "provider": provider, "secret": SECRET, "id": id, "kind": "push", "at": at, "body": body,
        });
        format!("{delivery}\n")
    });
    let lines: String = lines.collect();
    let mut program = Command::new(signers);
    let program = program
        .arg("node")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut library = program.spawn().unwrap();
    let mut input = library.stdin.take().unwrap();
    // It answers while it is told more.
    let told = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = library.wait_with_output().unwrap();
    told.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let headers = answers.lines().map(|line| {
        let headers: Value = serde_json::from_str(line).unwrap();
        let headers = headers.as_object().unwrap().iter();
        headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    });
    headers.collect()
}
