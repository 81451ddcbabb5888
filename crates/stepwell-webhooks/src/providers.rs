//! The providers, one a file.

pub(crate) mod github;
pub(crate) mod hmac;
pub(crate) mod slack;
pub(crate) mod standard;
pub(crate) mod stripe;
pub(crate) mod unsigned;
