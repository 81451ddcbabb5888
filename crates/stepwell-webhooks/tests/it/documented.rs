//! Deliveries whose signatures the providers have published.

use stepwell::webhooks::{GitHub, Rejected, StandardWebhooks};

use crate::sign::{Headers, delivered, verify, verify_at};

/// [GitHub's](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation).
#[test]
fn githubs_documented_signature_is_right() {
    let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers: Headers = vec![
        ("x-hub-signature-256", format!("sha256={signature}")),
        ("x-github-delivery", "1".to_owned()),
        ("x-github-event", "push".to_owned()),
    ];
    let github = GitHub::new("It's a Secret to Everybody").unwrap();
    delivered(verify(&github, &headers, b"Hello, World!"));
    let wrong = verify(&github, &headers, b"Hello, World?");
    assert_eq!(wrong, Err(Rejected::WrongSignature));
}

/// The one in the tests of the Standard Webhooks libraries.
#[test]
fn standard_webhooks_published_signature_is_right() {
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let headers: Headers = vec![
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
        ("webhook-timestamp", "1614265330".to_owned()),
        ("webhook-signature", signature.to_owned()),
    ];
    let provider = StandardWebhooks::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let body = br#"{"test": 2432232314}"#;
    delivered(verify_at(&provider, &headers, body, 1_614_265_330));
}
