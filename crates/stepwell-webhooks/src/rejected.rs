//! Why a delivery is refused.

use http::StatusCode;
use jiff::Timestamp;

/// Why a delivery is refused. No message holds a secret, a signature or a part of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// A header that the provider always sends is not there.
    #[error("the header `{0}` is missing")]
    MissingHeader(String),
    /// A header is there twice, is no text, or does not have the provider's form.
    #[error("the header `{header}` {reason}")]
    MalformedHeader {
        /// Its name.
        header: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No presented signature belongs to a secret of this endpoint.
    #[error("the signature is wrong; check the endpoint's secret")]
    WrongSignature,
    /// Signed, but at a time that is too far from now: sent again by somebody, or a clock is off.
    #[error("the delivery was signed at {signed_at}, more than {tolerance_s} s from now")]
    Stale {
        /// When it was signed.
        signed_at: Timestamp,
        /// How far it may be off, in seconds.
        tolerance_s: u64,
    },
    /// The body is larger than the endpoint takes.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Signed, but without the id that would tell it from others.
    #[error("the delivery has no id at {0}")]
    NoId(String),
    /// Signed, but the body is not JSON (or not UTF-8) and the id is to be read from it.
    #[error("the body is not JSON, and the delivery's id is in it")]
    NotJson,
}

impl Rejected {
    /// 401 for a signature that is wrong or stale, 413 for what is too large, 400 for headers and ids
    /// that are missing or malformed.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingHeader(_)
            | Self::MalformedHeader { .. }
            | Self::NoId(_)
            | Self::NotJson => StatusCode::BAD_REQUEST,
            Self::WrongSignature | Self::Stale { .. } => StatusCode::UNAUTHORIZED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}
