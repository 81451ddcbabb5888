//! Slack.

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

const SIGNATURE: &str = "x-slack-signature";
const TIME: &str = "x-slack-request-timestamp";

/// The Events API of Slack: `X-Slack-Signature: v0=` and the hexadecimal HMAC-SHA256 of
/// `v0:{time}:{body}`, at most five minutes off in either direction
/// ([verifying requests](https://docs.slack.dev/authentication/verifying-requests-from-slack)).
///
/// The id is `event_id`. `url_verification` is answered with its challenge
/// ([reference](https://docs.slack.dev/reference/events/url_verification)) and starts nothing.
#[derive(Debug, Clone)]
pub struct Slack {
    settings: Settings,
}

settings!(Slack);
secrets!(Slack);
tolerance!(Slack);

impl Slack {
    /// With the application's signing secret.
    ///
    /// # Errors
    /// `Setup` when it is empty.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        let settings = Settings::new("slack", vec![Secret::new(secret)?]);
        Ok(Self { settings })
    }
}

impl Provider for Slack {
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
        let signature = header(headers, SIGNATURE)?
            .strip_prefix("v0=")
            .ok_or_else(|| malformed(SIGNATURE, "does not begin with `v0=`"))?;
        let signed_at = header(headers, TIME)?;
        let at = seconds(TIME, signed_at)?;
        let signed = [b"v0:", signed_at.as_bytes(), b":", &body];
        verified(&settings.secrets, &signed, Encoding::Hex, &[signature])?;
        fresh(at, now, settings.tolerance, Window::Both)?;
        let event = json(&body)?;
        let kind = text_at(&event, "/type");
        if kind.as_deref() == Some("url_verification") {
            let challenge = text_at(&event, "/challenge");
            let no_id = || Rejected::NoId("`/challenge` of the body".to_owned());
            return challenge.map(Verified::Probe).ok_or_else(no_id);
        }
        Ok(Verified::Delivery(Delivery {
            kind: text_at(&event, "/event/type").or(kind),
            at: Some(at),
            ..settings.delivery(id_at(&event, "/event_id")?, body)
        }))
    }
}
