//! The only place where signatures are made and compared.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{rejected::Rejected, secret::Secret};

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lowercase hexadecimal. Uppercase is a wrong signature.
    Hex,
    /// Base64 with padding, of the standard alphabet.
    Base64,
}

impl Encoding {
    fn written(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }
}

/// The signature (HMAC-SHA256) of the parts, one after the other.
pub(crate) fn signed(secret: &Secret, parts: &[&[u8]], encoding: Encoding) -> String {
    // HMAC takes a key of any length (RFC 2104), so this cannot fail.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    encoding.written(&mac.finalize().into_bytes())
}

/// Accepts if one of the presented signatures is the one of one of the secrets.
///
/// What is compared is the text that we would have written: no second spelling of a signature is
/// accepted, and nothing that a stranger sent is decoded. Every pair is compared, in constant time,
/// so that an answer does not tell which secret or signature came close.
pub(crate) fn verified(
    secrets: &[Secret],
    parts: &[&[u8]],
    encoding: Encoding,
    presented: &[&str],
) -> Result<(), Rejected> {
    let mut accepted = subtle::Choice::from(0);
    for secret in secrets {
        let expected = signed(secret, parts, encoding);
        for presented in presented {
            accepted |= expected.as_bytes().ct_eq(presented.as_bytes());
        }
    }
    match bool::from(accepted) {
        true => Ok(()),
        false => Err(Rejected::WrongSignature),
    }
}
