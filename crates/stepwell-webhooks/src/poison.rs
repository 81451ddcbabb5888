//! Events that can never be started.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use stepwell_core::Error;

/// A verified event that no workflow can be made of: its mapping failed, or its workflow breaks a
/// limit. Sending it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// The source: `stripe`.
    pub source: String,
    /// Where the source has it: the provider's id of the event.
    pub coordinates: String,
    /// The body as it came.
    pub bytes: Bytes,
    /// Why no workflow can be made of it.
    pub reason: String,
}

/// Keeps poison for a human to look at.
pub trait PoisonSink: fmt::Debug + Send + Sync + 'static {
    /// Keeps it durably. The provider is told 200 only after this returned. It comes again when the
    /// process dies between the two, so the same source and coordinates are to be kept once.
    ///
    /// # Errors
    /// When it could not be kept; the provider is told to send it again.
    fn keep(&self, poison: Poison) -> BoxFuture<'_, Result<(), Error>>;
}
