//! GitHub.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use stepwell_core::Error;

use crate::{
    Delivery, Encoding, Provider, Rejected, Secret, Verified,
    provider::{Settings, secrets, settings},
    read::{header, malformed},
    signature::verified,
};

const SIGNATURE: &str = "x-hub-signature-256";

/// Webhooks of GitHub: `X-Hub-Signature-256: sha256=` and the hexadecimal HMAC-SHA256 of the body
/// ([validating webhook deliveries](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)).
///
/// The id is `X-GitHub-Delivery`, the same when GitHub delivers again
/// ([best practices](https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks)).
/// GitHub signs neither that header nor a time: who has seen a delivery could send its body again
/// under another id. Only TLS guards against it. `ping` is answered and starts nothing.
#[derive(Debug, Clone)]
pub struct GitHub {
    settings: Settings,
}

settings!(GitHub);
secrets!(GitHub);

impl GitHub {
    /// With the secret of the webhook's settings.
    ///
    /// # Errors
    /// `Setup` when it is empty.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        let settings = Settings::new("github", vec![Secret::new(secret)?]);
        Ok(Self { settings })
    }
}

impl Provider for GitHub {
    fn source(&self) -> &str {
        &self.settings.source
    }

    fn body_bytes_max(&self) -> usize {
        self.settings.body_bytes_max
    }

    fn verify(&self, headers: &HeaderMap, body: Bytes, _: Timestamp) -> Result<Verified, Rejected> {
        self.settings.fits(&body)?;
        let signature = header(headers, SIGNATURE)?
            .strip_prefix("sha256=")
            .ok_or_else(|| malformed(SIGNATURE, "does not begin with `sha256=`"))?;
        verified(
            &self.settings.secrets,
            &[&body],
            Encoding::Hex,
            &[signature],
        )?;
        let id = header(headers, "x-github-delivery")?.to_owned();
        let kind = header(headers, "x-github-event")?.to_owned();
        if kind == "ping" {
            return Ok(Verified::Probe("pong".to_owned()));
        }
        Ok(Verified::Delivery(Delivery {
            kind: Some(kind),
            ..self.settings.delivery(id, body)
        }))
    }
}
