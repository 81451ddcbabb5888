//! Providers of no name, that sign with HMAC-SHA256.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use stepwell_core::Error;

use crate::{
    Delivery, Encoding, Provider, Rejected, Secret, Verified,
    provider::{Settings, kind_header, secrets, settings, tolerance},
    read::{Window, fresh, header, id_at, json, malformed, seconds},
    signature::verified,
};

/// Where the id of a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdFrom {
    /// In this header. Few providers sign it: see [`GitHub`](crate::GitHub).
    Header(String),
    /// In the body, at this JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
    Body(String),
}

/// A provider that signs the body, or its time and the body, with HMAC-SHA256
/// ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)).
#[derive(Debug, Clone)]
pub struct Hmac {
    settings: Settings,
    header: String,
    prefix: String,
    encoding: Encoding,
    id: IdFrom,
    time: Option<(String, String)>,
}

settings!(Hmac);
secrets!(Hmac);
kind_header!(Hmac);
tolerance!(Hmac);

impl Hmac {
    /// A source with this name that puts the hexadecimal signature of the body into a header.
    ///
    /// # Errors
    /// `Setup` when the secret is empty.
    pub fn new(
        source: &str,
        secret: impl AsRef<[u8]>,
        header: impl Into<String>,
        id: IdFrom,
    ) -> Result<Self, Error> {
        Ok(Self {
            settings: Settings::new(source, vec![Secret::new(secret)?]),
            header: header.into(),
            prefix: String::new(),
            encoding: Encoding::Hex,
            id,
            time: None,
        })
    }

    /// What stands before the signature: `sha256=`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How the signature is written; hexadecimal unless said otherwise.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// What is signed is the time (seconds since 1970, in this header), the separator and the body.
    /// Without it, a delivery can be sent again at any time.
    #[must_use]
    pub fn timestamped(mut self, header: impl Into<String>, separator: impl Into<String>) -> Self {
        self.time = Some((header.into(), separator.into()));
        self
    }

    fn authentic(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Rejected> {
        let settings = &self.settings;
        let signature = header(headers, &self.header)?
            .strip_prefix(self.prefix.as_str())
            .ok_or_else(|| malformed(&self.header, "does not begin with the prefix"))?;
        let Some((time, separator)) = &self.time else {
            verified(&settings.secrets, &[body], self.encoding, &[signature])?;
            return Ok(None);
        };
        let signed_at = header(headers, time)?;
        let at = seconds(time, signed_at)?;
        let signed = [signed_at.as_bytes(), separator.as_bytes(), body];
        verified(&settings.secrets, &signed, self.encoding, &[signature])?;
        fresh(at, now, settings.tolerance, Window::Both)?;
        Ok(Some(at))
    }
}

impl Provider for Hmac {
    fn source(&self) -> &str {
        &self.settings.source
    }

    fn body_bytes_max(&self) -> usize {
        self.settings.body_bytes_max
    }

    fn verify(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Verified, Rejected> {
        self.settings.fits(&body)?;
        let at = self.authentic(headers, &body, now)?;
        let id = match &self.id {
            IdFrom::Header(name) => header(headers, name)?.to_owned(),
            IdFrom::Body(pointer) => id_at(&json(&body)?, pointer)?,
        };
        Ok(Verified::Delivery(Delivery {
            kind: self.settings.kind(headers)?,
            at,
            ..self.settings.delivery(id, body)
        }))
    }
}
