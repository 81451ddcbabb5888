//! What every provider does.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use stepwell_events::{Delivery, Repeats};

use crate::{endpoint::Endpoint, read::optional, rejected::Rejected, secret::Secret};

/// How far a delivery's time may be off unless said otherwise.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// How large a body may be unless said otherwise, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Turns a request into a delivery, once it has proved where it comes from.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// The source's name, the beginning of its workflows' ids.
    fn source(&self) -> &str;

    /// How large a body may be, in bytes.
    fn body_bytes_max(&self) -> usize;

    /// Verifies the raw body and only then reads it.
    ///
    /// # Errors
    /// Why the request is refused.
    fn verify(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Verified, Rejected>;

    /// The endpoint of this provider: `POST path`. A source for
    /// [`Sources::add`](stepwell_events::Sources::add).
    fn at(self, path: impl Into<String>) -> Endpoint<Self>
    where
        Self: Sized,
    {
        Endpoint::new(self, path.into())
    }
}

/// What is to be done with a request that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// An event: start its workflow.
    Delivery(Delivery),
    /// The provider tries the endpoint out. Answer 200 with this text and start nothing.
    Probe(String),
}

/// What the providers have in common.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) source: String,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) tolerance: Duration,
    pub(crate) body_bytes_max: usize,
    /// The header that says what happened.
    pub(crate) kind_header: Option<String>,
}

impl Settings {
    pub(crate) fn new(source: &str, secrets: Vec<Secret>) -> Self {
        Self {
            source: source.to_owned(),
            secrets,
            tolerance: TOLERANCE,
            body_bytes_max: BODY_BYTES_MAX,
            kind_header: None,
        }
    }

    /// The event with this id.
    pub(crate) fn delivery(&self, id: impl Into<String>, body: Bytes) -> Delivery {
        Delivery {
            // Stripe changes `pending_webhooks` between deliveries.
            repeats: Repeats::InOtherWords,
            ..Delivery::new(self.source.as_str(), id, body)
        }
    }

    /// What happened, where a header says it.
    pub(crate) fn kind(&self, headers: &HeaderMap) -> Result<Option<String>, Rejected> {
        let Some(name) = &self.kind_header else {
            return Ok(None);
        };
        Ok(optional(headers, name)?.map(str::to_owned))
    }

    pub(crate) fn fits(&self, body: &Bytes) -> Result<(), Rejected> {
        let bytes_max = self.body_bytes_max;
        match body.len() > bytes_max {
            true => Err(Rejected::TooLarge { bytes_max }),
            false => Ok(()),
        }
    }
}

/// The settings that every provider has, as methods of the provider.
macro_rules! settings {
    ($provider:ty) => {
        impl $provider {
            /// Names the source, where one application has several accounts of one provider: their
            /// events' ids could be the same.
            #[must_use]
            pub fn named(mut self, name: impl Into<String>) -> Self {
                self.settings.source = name.into();
                self
            }

            /// How large a body may be, in bytes; 1 MiB unless said otherwise. A larger one is a 413.
            #[must_use]
            pub fn body_limit(mut self, bytes: usize) -> Self {
                self.settings.body_bytes_max = bytes;
                self
            }
        }
    };
}
pub(crate) use settings;

/// The settings of providers that sign.
macro_rules! secrets {
    ($provider:ty) => {
        impl $provider {
            /// Adds a secret that is accepted, too: the old one, while secrets are rotated.
            ///
            /// # Errors
            /// `Setup` when it is empty.
            pub fn and_secret(
                mut self,
                secret: impl AsRef<[u8]>,
            ) -> Result<Self, stepwell_core::Error> {
                self.settings.secrets.push($crate::Secret::new(secret)?);
                Ok(self)
            }
        }
    };
}
pub(crate) use secrets;

/// Where a provider of no name says what happened.
macro_rules! kind_header {
    ($provider:ty) => {
        impl $provider {
            /// The header that says what happened, if there is one: `X-Event-Type`.
            #[must_use]
            pub fn kind_header(mut self, name: impl Into<String>) -> Self {
                self.settings.kind_header = Some(name.into());
                self
            }
        }
    };
}
pub(crate) use kind_header;

/// How old (or early) a delivery may be.
macro_rules! tolerance {
    ($provider:ty) => {
        impl $provider {
            /// How far the time of signing may be off; 5 minutes unless said otherwise.
            #[must_use]
            pub fn tolerance(mut self, tolerance: std::time::Duration) -> Self {
                self.settings.tolerance = tolerance;
                self
            }
        }
    };
}
pub(crate) use tolerance;
