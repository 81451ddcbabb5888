//! Every provider against every way to be wrong.

use stepwell::webhooks::{
    GitHub, Hmac, IdFrom, Provider, Rejected, Slack, StandardWebhooks, Stripe, Unsigned, Verified,
};

use crate::sign::{self, BODY, Headers, NOW_S, SECRET, delivered, verify};

const OLD: &str = "b2xkIG9uZQ=="; // base64 of `old one`

struct Case {
    provider: Box<dyn Provider>,
    sign: fn(&str, i64, &[u8]) -> Headers,
    /// The scheme before the signature, and one that the provider does not know.
    scheme: [&'static str; 2],
    timed: bool,
    id_in_body: bool,
}

fn hmac_provider() -> Hmac {
    let id = IdFrom::Body("/id".to_owned());
    Hmac::new("acme", SECRET, "x-signature", id)
        .unwrap()
        .timestamped("x-time", "\n")
}

fn cases() -> Vec<Case> {
    let case = |provider, sign, scheme, timed, id_in_body| Case {
        provider,
        sign,
        scheme,
        timed,
        id_in_body,
    };
    let stripe = Stripe::new(SECRET).unwrap().and_secret(OLD).unwrap();
    let github = GitHub::new(SECRET).unwrap().and_secret(OLD).unwrap();
    let slack = Slack::new(SECRET).unwrap().and_secret(OLD).unwrap();
    let standard = StandardWebhooks::new(SECRET)
        .unwrap()
        .and_secret(OLD)
        .unwrap();
    let hmac = hmac_provider().and_secret(OLD).unwrap();
    vec![
        case(
            Box::new(stripe.body_limit(999)),
            sign::stripe,
            ["v1=", "v0="],
            true,
            true,
        ),
        case(
            Box::new(github.body_limit(999)),
            |secret, _, body| sign::github(secret, body),
            ["sha256=", "sha1="],
            false,
            false,
        ),
        case(
            Box::new(slack.body_limit(999)),
            sign::slack,
            ["v0=", "v1="],
            true,
            true,
        ),
        case(
            Box::new(standard.body_limit(999)),
            sign::standard,
            ["v1,", "v1a,"],
            true,
            false,
        ),
        case(
            Box::new(hmac.body_limit(999)),
            sign::hmac,
            ["", "%"],
            true,
            true,
        ),
    ]
}

fn signed(case: &Case) -> Headers {
    (case.sign)(SECRET, NOW_S, BODY.as_bytes())
}

/// The first header holds the signature, at its end.
fn with_signature(case: &Case, change: impl Fn(&str) -> String) -> Headers {
    let mut headers = signed(case);
    headers[0].1 = change(&headers[0].1);
    headers
}

#[track_caller]
fn refused(case: &Case, headers: &Headers, body: &[u8], status: u16) -> Rejected {
    let rejected = verify(case.provider.as_ref(), headers, body);
    let rejected = rejected.expect_err("it was accepted");
    assert_eq!(
        rejected.status().as_u16(),
        status,
        "{:?}: {rejected}",
        case.provider
    );
    assert!(!rejected.to_string().contains(SECRET), "{rejected}");
    rejected
}

#[test]
fn a_signed_delivery_is_an_event_with_either_secret() {
    for case in cases() {
        for secret in [SECRET, OLD] {
            let headers = (case.sign)(secret, NOW_S, BODY.as_bytes());
            let delivery = delivered(verify(case.provider.as_ref(), &headers, BODY.as_bytes()));
            assert_eq!(
                (delivery.id.as_str(), &delivery.body[..]),
                ("evt_1", BODY.as_bytes())
            );
            assert_eq!(
                delivery.at.map(|at| at.as_second()),
                case.timed.then_some(NOW_S)
            );
        }
    }
}

#[test]
fn a_wrong_signature_is_refused_before_anything_is_parsed() {
    let other_secret = "b3RoZXI=";
    for case in cases() {
        for body in [BODY.as_bytes(), b"", b"not json", b"\xff\xfe"] {
            let headers = (case.sign)(other_secret, NOW_S, body);
            assert_eq!(
                refused(&case, &headers, body, 401),
                Rejected::WrongSignature
            );
        }
        refused(&case, &signed(&case), b"{}", 401);
    }
}

/// Spells a signature in another way.
type Spelling<'a> = Box<dyn Fn(&str) -> String + 'a>;

#[test]
fn a_signature_has_one_spelling() {
    for case in cases() {
        let at = case.scheme[0];
        let changed: [Spelling<'_>; 3] = [
            Box::new(|value| value[..value.len() - 2].to_owned()),
            Box::new(|value| format!("{value}0")),
            Box::new(|value| {
                let split = value.rfind(at).unwrap_or(0) + at.len();
                let split = if at.is_empty() { 0 } else { split };
                format!("{}{}", &value[..split], value[split..].to_uppercase())
            }),
        ];
        for change in changed {
            refused(&case, &with_signature(&case, change), BODY.as_bytes(), 401);
        }
    }
}

#[test]
fn another_scheme_is_no_signature() {
    for case in cases()
        .into_iter()
        .filter(|case| !case.scheme[0].is_empty())
    {
        let [known, unknown] = case.scheme;
        let headers = with_signature(&case, |value| value.replace(known, unknown));
        refused(&case, &headers, BODY.as_bytes(), 400);
    }
}

#[test]
fn each_header_is_there_once() {
    for case in cases() {
        for index in 0..signed(&case).len() {
            let mut missing = signed(&case);
            let header = missing.remove(index);
            let rejected = refused(&case, &missing, BODY.as_bytes(), 400);
            assert_eq!(rejected, Rejected::MissingHeader(header.0.to_owned()));
            let mut twice = signed(&case);
            twice.push(header.clone());
            refused(&case, &twice, BODY.as_bytes(), 400);
            let mut empty = signed(&case);
            empty[index].1 = String::new();
            refused(&case, &empty, BODY.as_bytes(), 400);
        }
    }
}

#[test]
fn a_stale_delivery_is_refused_and_an_early_one_unless_it_is_stripes() {
    for case in cases().into_iter().filter(|case| case.timed) {
        let sent = |at_s| {
            let headers = (case.sign)(SECRET, at_s, BODY.as_bytes());
            verify(case.provider.as_ref(), &headers, BODY.as_bytes())
        };
        delivered(sent(NOW_S - 300));
        delivered(sent(NOW_S + 300));
        assert!(matches!(sent(NOW_S - 301), Err(Rejected::Stale { .. })));
        match case.provider.source() {
            "stripe" => drop(delivered(sent(NOW_S + 301))),
            _ => assert!(matches!(sent(NOW_S + 301), Err(Rejected::Stale { .. }))),
        }
    }
}

#[test]
fn what_is_signed_must_hold_the_id() {
    for case in cases().into_iter().filter(|case| case.id_in_body) {
        for body in [&b""[..], b"not json", b"\xff\xfe"] {
            let headers = (case.sign)(SECRET, NOW_S, body);
            assert_eq!(refused(&case, &headers, body, 400), Rejected::NotJson);
        }
        for body in [
            &b"{}"[..],
            b"[]",
            br#"{"id":7,"event_id":7}"#,
            br#"{"id":"","event_id":""}"#,
        ] {
            let headers = (case.sign)(SECRET, NOW_S, body);
            assert!(matches!(
                refused(&case, &headers, body, 400),
                Rejected::NoId(_)
            ));
        }
    }
}

#[test]
fn a_body_over_the_limit_is_refused() {
    for case in cases() {
        let body = vec![b' '; 1000];
        let headers = (case.sign)(SECRET, NOW_S, &body);
        let rejected = refused(&case, &headers, &body, 413);
        assert_eq!(rejected, Rejected::TooLarge { bytes_max: 999 });
    }
}

#[test]
fn one_of_several_signatures_is_enough() {
    let cases = cases();
    let stripe = with_signature(&cases[0], |value| {
        let (time, right) = value.split_once(",v1=").unwrap();
        format!("{time},v1=00,v0=aa,v1={right}")
    });
    delivered(verify(cases[0].provider.as_ref(), &stripe, BODY.as_bytes()));
    let standard = with_signature(&cases[3], |value| format!("v1,AAAA v1a,BBBB {value}"));
    delivered(verify(
        cases[3].provider.as_ref(),
        &standard,
        BODY.as_bytes(),
    ));
}

#[test]
fn a_malformed_stripe_header_says_what_is_wrong() {
    let case = &cases()[0];
    for (value, reason) in [
        ("v1=aa", "holds no time"),
        ("t=1", "holds no signature"),
        ("t=1,t=2,v1=aa", "holds two times"),
        ("t=-1,v1=aa", "no time in seconds"),
        ("t=99999999999999999999,v1=aa", "no time in seconds"),
        ("t=1,nonsense", "not a list"),
    ] {
        let headers = vec![("stripe-signature", value.to_owned())];
        let rejected = refused(case, &headers, BODY.as_bytes(), 400);
        assert!(rejected.to_string().contains(reason), "{rejected}");
    }
}

#[test]
fn a_provider_is_printed_without_its_secrets() {
    for case in cases() {
        let printed = format!("{:?}", case.provider);
        assert!(printed.contains("Secret(…)"), "{printed}");
        assert!(
            !printed.contains(SECRET) && !printed.contains("115, 101"),
            "{printed}"
        );
    }
}

#[test]
fn a_probe_is_no_event() {
    let mut ping = sign::github(SECRET, b"{}");
    ping[2].1 = "ping".to_owned();
    let github = GitHub::new(SECRET).unwrap();
    assert_eq!(
        verify(&github, &ping, b"{}"),
        Ok(Verified::Probe("pong".to_owned()))
    );
    let body = br#"{"type":"url_verification","challenge":"3eZb"}"#;
    let slack = Slack::new(SECRET).unwrap();
    let verified = verify(&slack, &sign::slack(SECRET, NOW_S, body), body);
    assert_eq!(verified, Ok(Verified::Probe("3eZb".to_owned())));
    assert_eq!(
        verify(&slack, &sign::slack(OLD, NOW_S, body), body),
        Err(Rejected::WrongSignature)
    );
}

#[test]
fn an_unsigned_source_has_an_id_in_a_header() {
    let source = Unsigned::behind_other_authentication("internal", "x-id");
    let delivery = delivered(verify(&source, &vec![("x-id", "7".to_owned())], b""));
    assert_eq!(
        (delivery.source.as_str(), delivery.id.as_str()),
        ("internal", "7")
    );
    assert!(verify(&source, &vec![], b"").is_err());
}
