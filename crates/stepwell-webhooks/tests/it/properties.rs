//! What is signed is accepted; a flipped bit anywhere is not.

use proptest::prelude::*;
use stepwell::webhooks::{Hmac, IdFrom, Provider, StandardWebhooks};

use crate::sign::{self, Headers, NOW_S, SECRET, delivered, verify};

fn acme() -> Hmac {
    let id = IdFrom::Header("x-time".to_owned());
    Hmac::new("acme", SECRET, "x-signature", id)
        .unwrap()
        .timestamped("x-time", "\n")
}

fn flipped(text: &str, at: usize, bit: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at % bytes.len();
    bytes[at] ^= 1 << (bit % 7);
    String::from_utf8(bytes).unwrap()
}

fn check(provider: &dyn Provider, headers: &Headers, body: &[u8], at: usize, bit: u8) {
    delivered(verify(provider, headers, body));
    let mut other = body.to_vec();
    let place = at % body.len();
    other[place] ^= 1 << (bit % 8);
    assert!(verify(provider, headers, &other).is_err());
    for index in 0..headers.len() {
        let mut other = headers.clone();
        other[index].1 = flipped(&other[index].1, at, bit);
        // A control character is no header: HTTP refuses it before us.
        if other[index]
            .1
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte))
        {
            assert!(verify(provider, &other, body).is_err(), "{other:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..200),
        at in any::<usize>(),
        bit in any::<u8>(),
    ) {
        check(&acme(), &sign::hmac(SECRET, NOW_S, &body), &body, at, bit);
        let standard = StandardWebhooks::new(SECRET).unwrap();
        check(&standard, &sign::standard(SECRET, NOW_S, &body), &body, at, bit);
    }
}
