//! What the providers' own libraries sign now: `tests/with-signers cargo test -p stepwell-webhooks live`.

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use stepwell::{
    Timestamp,
    webhooks::{GitHub, Provider, Rejected, StandardWebhooks, Stripe},
};

use crate::sign::{Headers, SECRET, delivered, verify_at};

/// How many bodies each library signs.
const BODIES: usize = 200;

/// None, and a line that says so, without the libraries.
fn signers() -> Option<String> {
    let named = env::var("STEPWELL_TEST_SIGNERS").ok();
    if named.is_none() {
        // Not `eprintln!`: what passes must not hide what was left out.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no signing libraries are named; run tests/with-signers cargo test \
             -p stepwell-webhooks live"
        );
    }
    named
}

/// What a library puts into the headers of each delivery.
fn signed(signers: &str, language: &str, deliveries: &[Value]) -> Vec<Headers> {
    let mut program = Command::new(signers);
    let program = program.arg(language).stdin(Stdio::piped());
    let mut library = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut input = library.stdin.take().unwrap();
    let lines: Vec<String> = deliveries.iter().map(|one| format!("{one}\n")).collect();
    // It answers while it is told more.
    let told = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()));
    let output = library.wait_with_output().unwrap();
    told.join().unwrap().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let headers = lines.lines().map(|line| {
        let headers: Value = serde_json::from_str(line).unwrap();
        let headers = headers.as_object().unwrap().iter();
        headers
            .map(|(name, value)| (&*name.clone().leak(), value.as_str().unwrap().to_owned()))
            .collect()
    });
    headers.collect()
}

/// JSON with characters of every length.
fn body(random: &mut StdRng, number: usize) -> String {
    let length = random.random_range(0..200);
    let text: String = (0..length).map(|_| random.random::<char>()).collect();
    json!({ "id": format!("evt_{number}"), "type": "paid", "text": text }).to_string()
}

fn accepted(language: &str, provider: &dyn Provider) {
    let Some(signers) = signers() else {
        return;
    };
    let now = Timestamp::now().as_second();
    let mut random = StdRng::seed_from_u64(1);
    let bodies: Vec<String> = (0..BODIES).map(|n| body(&mut random, n)).collect();
    let of_it = bodies.iter().enumerate().map(|(number, body)| {
        json!({
            "provider": match provider.source() { "webhook" => "standard", other => other },
            "secret": SECRET,
            "id": format!("evt_{number}"),
            "kind": "paid",
            "at": now,
            "body": body,
        })
    });
    let headers = signed(&signers, language, &of_it.collect::<Vec<_>>());
    assert_eq!(headers.len(), BODIES);
    for (number, (headers, body)) in headers.iter().zip(&bodies).enumerate() {
        let delivery = delivered(verify_at(provider, headers, body.as_bytes(), now));
        assert_eq!(delivery.id, format!("evt_{number}"));
        let mut other = body.clone().into_bytes();
        let at = random.random_range(0..other.len());
        other[at] ^= 1;
        let wrong = verify_at(provider, headers, &other, now);
        assert_eq!(wrong, Err(Rejected::WrongSignature), "{body}, byte {at}");
    }
}

#[test]
fn stripes_library_for_node() {
    accepted("node", &Stripe::new(SECRET).unwrap());
}

#[test]
fn stripes_library_for_python() {
    accepted("python", &Stripe::new(SECRET).unwrap());
}

#[test]
fn githubs_library() {
    accepted("node", &GitHub::new(SECRET).unwrap());
}

#[test]
fn the_library_of_standard_webhooks() {
    accepted("node", &StandardWebhooks::new(SECRET).unwrap());
}
