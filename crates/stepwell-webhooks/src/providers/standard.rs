//! Standard Webhooks.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use stepwell_core::Error;

use crate::{
    Delivery, Encoding, Provider, Rejected, Secret, Verified,
    provider::{Settings, settings, tolerance},
    read::{Window, fresh, header, malformed, seconds, text_at},
    signature::verified,
};

const SIGNATURE: &str = "webhook-signature";
const TIME: &str = "webhook-timestamp";

/// Webhooks after the [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
/// specification: `webhook-signature: v1,…`, the base64 HMAC-SHA256 of `{id}.{time}.{body}`, several
/// with spaces between them. The asymmetric `v1a` is not verified.
///
/// The id is `webhook-id`; it and the time are signed.
#[derive(Debug, Clone)]
pub struct StandardWebhooks {
    settings: Settings,
}

settings!(StandardWebhooks);
tolerance!(StandardWebhooks);

fn decoded(secret: &str) -> Result<Secret, Error> {
    Secret::base64(secret.strip_prefix("whsec_").unwrap_or(secret))
}

impl StandardWebhooks {
    /// With a secret in base64, with or without its `whsec_`.
    ///
    /// # Errors
    /// `Setup` when it is empty or no base64.
    pub fn new(secret: &str) -> Result<Self, Error> {
        let settings = Settings::new("webhook", vec![decoded(secret)?]);
        Ok(Self { settings })
    }

    /// Adds a secret that is accepted, too: the old one, while secrets are rotated.
    ///
    /// # Errors
    /// `Setup` when it is empty or no base64.
    pub fn and_secret(mut self, secret: &str) -> Result<Self, Error> {
        self.settings.secrets.push(decoded(secret)?);
        Ok(self)
    }
}

impl Provider for StandardWebhooks {
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
        let settings = &self.settings;
        settings.fits(&body)?;
        let id = header(headers, "webhook-id")?;
        let signed_at = header(headers, TIME)?;
        let at = seconds(TIME, signed_at)?;
        let listed = header(headers, SIGNATURE)?.split(' ');
        let signatures: Vec<&str> = listed.filter_map(|one| one.strip_prefix("v1,")).collect();
        if signatures.is_empty() {
            return Err(malformed(SIGNATURE, "holds no signature `v1,…`"));
        }
        let signed = [id.as_bytes(), b".", signed_at.as_bytes(), b".", &body];
        verified(&settings.secrets, &signed, Encoding::Base64, &signatures)?;
        fresh(at, now, settings.tolerance, Window::Both)?;
        // The specification recommends JSON with a `type` and does not ask for it.
        let event = serde_json::from_slice(&body).ok();
        Ok(Verified::Delivery(Delivery {
            kind: event.and_then(|event| text_at(&event, "/type")),
            at: Some(at),
            ..settings.delivery(id, body)
        }))
    }
}
