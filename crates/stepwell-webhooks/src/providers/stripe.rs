//! Stripe.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use stepwell_core::Error;

use crate::{
    Delivery, Encoding, Provider, Rejected, Secret, Verified,
    provider::{Settings, secrets, settings, tolerance},
    read::{Window, fresh, header, id_at, json, malformed, seconds, text_at},
    signature::verified,
};

const SIGNATURE: &str = "stripe-signature";

/// Webhooks of Stripe: `Stripe-Signature: t=…,v1=…`, the hexadecimal HMAC-SHA256 of the time, a
/// full stop and the body. Several `v1` are there while Stripe rotates a secret; other schemes are
/// ignored, as Stripe asks ([verify manually](https://docs.stripe.com/webhooks#verify-manually)).
///
/// The id is the event's (`evt_…`). A time that lies ahead is accepted, as Stripe's own libraries
/// do: Stripe asks for deliveries that are not too *old*.
#[derive(Debug, Clone)]
pub struct Stripe {
    settings: Settings,
}

settings!(Stripe);
secrets!(Stripe);
tolerance!(Stripe);

impl Stripe {
    /// With the endpoint's secret, `whsec_…` and all.
    ///
    /// # Errors
    /// `Setup` when it is empty.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        let settings = Settings::new("stripe", vec![Secret::new(secret)?]);
        Ok(Self { settings })
    }
}

/// The time and the signatures of the scheme `v1`.
fn parts(value: &str) -> Result<(&str, Vec<&str>), Rejected> {
    let (mut at, mut signatures) = (None, Vec::new());
    for pair in value.split(',') {
        match pair.trim().split_once('=') {
            Some(("t", _)) if at.is_some() => {
                return Err(malformed(SIGNATURE, "holds two times `t`"));
            }
            Some(("t", text)) => at = Some(text),
            Some(("v1", text)) => signatures.push(text),
            Some(_) => {}
            None => return Err(malformed(SIGNATURE, "is not a list of `name=value`")),
        }
    }
    let at = at.ok_or_else(|| malformed(SIGNATURE, "holds no time `t`"))?;
    match signatures.is_empty() {
        true => Err(malformed(SIGNATURE, "holds no signature `v1`")),
        false => Ok((at, signatures)),
    }
}

impl Provider for Stripe {
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
        let (signed_at, signatures) = parts(header(headers, SIGNATURE)?)?;
        let at = seconds(SIGNATURE, signed_at)?;
        let signed = [signed_at.as_bytes(), b".", &body];
        verified(&settings.secrets, &signed, Encoding::Hex, &signatures)?;
        fresh(at, now, settings.tolerance, Window::Past)?;
        let event = json(&body)?;
        Ok(Verified::Delivery(Delivery {
            kind: text_at(&event, "/type"),
            at: Some(at),
            ..settings.delivery(id_at(&event, "/id")?, body)
        }))
    }
}
