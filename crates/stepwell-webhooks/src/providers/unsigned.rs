//! Endpoints that something else guards.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use crate::{
    Delivery, Provider, Rejected, Verified,
    provider::{Settings, kind_header, settings},
    read::header,
};

/// Nothing is verified: for endpoints behind another authentication (mutual TLS, a private network,
/// a middleware) only. Whoever reaches the endpoint can start workflows.
#[derive(Debug, Clone)]
pub struct Unsigned {
    settings: Settings,
    id_header: String,
}

settings!(Unsigned);
kind_header!(Unsigned);

impl Unsigned {
    /// A source with this name, whose deliveries have their id in a header.
    pub fn behind_other_authentication(source: &str, id_header: impl Into<String>) -> Self {
        Self {
            settings: Settings::new(source, Vec::new()),
            id_header: id_header.into(),
        }
    }
}

impl Provider for Unsigned {
    fn source(&self) -> &str {
        &self.settings.source
    }

    fn body_bytes_max(&self) -> usize {
        self.settings.body_bytes_max
    }

    fn verify(&self, headers: &HeaderMap, body: Bytes, _: Timestamp) -> Result<Verified, Rejected> {
        self.settings.fits(&body)?;
        Ok(Verified::Delivery(Delivery {
            kind: self.settings.kind(headers)?,
            ..self
                .settings
                .delivery(header(headers, &self.id_header)?, body)
        }))
    }
}
