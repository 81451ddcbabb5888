//! Events that no workflow can be made of.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stepwell_core::{
    __private::{Registration, inventory},
    BoxFuture, Ctx, Schedule, Workflow, WorkflowId,
};

use crate::{
    delivery::{Delivery, Repeats},
    event_id::event_id,
    intake::Intakes,
};

/// How long the reason is that is kept, in bytes: a mapping's error may repeat its whole input.
const REASON_BYTES_MAX: usize = 1_024;
/// Room that poison has whatever the application's payloads may have: what is kept beside the body is
/// far below it, escaped as JSON may have to.
pub(crate) const POISON_BYTES: usize = 64 * 1_024;
/// The longest name of a body's form, and what JSON puts around it, in bytes.
const AROUND_THE_BODY: usize = 128;

/// A poison event: as it came, and why no workflow can be made of it. The input of the workflow
/// `stepwell.poison`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poison {
    /// The source: `stripe`.
    pub source: String,
    /// Where the source has it: its id of the event.
    pub id: String,
    /// What happened, in the source's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What its order is kept by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it happened or was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What the source says beside the body; nothing if that is more than half a payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// The body as it came.
    pub body: Body,
    /// Why no workflow can be made of it.
    pub reason: String,
    /// What its source knew to be wrong with it: no mapping makes a workflow of it later either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// Bytes that JSON can hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// They are UTF-8.
    Text(String),
    /// They are not.
    Base64(String),
    /// The first ones, of more than fit a payload.
    Beginning {
        /// In base64.
        base64: String,
        /// How many there were.
        of_bytes: usize,
    },
}

impl Body {
    /// As many of the bytes as go into so much JSON.
    fn of(bytes: &[u8], room: usize) -> Self {
        // JSON writes a control character in six bytes, base64 three bytes in four.
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= room / 6 => Self::Text(text.to_owned()),
            _ if bytes.len() <= room / 4 * 3 => Self::Base64(STANDARD.encode(bytes)),
            _ => Self::Beginning {
                base64: STANDARD.encode(&bytes[..room / 4 * 3]),
                of_bytes: bytes.len(),
            },
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// When only some are there, or it was edited to what is no base64.
    pub fn bytes(&self) -> Result<Vec<u8>, Poisoned> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD
                .decode(text)
                .map_err(|error| Poisoned::new(format!("the kept body is no base64: {error}"))),
            Self::Beginning { of_bytes, .. } => Err(Poisoned::new(format!(
                "the body had {of_bytes} bytes, more than could be kept; have the source send it again"
            ))),
        }
    }
}

impl Poison {
    /// Whatever is too large is cut, so that it fits a payload: a source must not wait for ever for an
    /// event that can be neither started nor kept. The delivery's id is [bounded](crate::event_id::bounded).
    pub(crate) fn new(delivery: &Delivery, reason: String, payload_bytes_max: usize) -> Self {
        let mut kept = Self {
            source: delivery.source.clone(),
            id: delivery.id.clone(),
            kind: delivery.kind.clone(),
            key: delivery.key.clone(),
            at: delivery.at,
            attributes: delivery.attributes.clone(),
            body: Body::Text(String::new()),
            reason: cut(reason),
            unusable: delivery.unusable.clone().map(cut),
        };
        if kept.json_bytes() > payload_bytes_max / 2 {
            kept.attributes.clear();
            kept.key = None;
            kept.kind = None;
        }
        let beside = kept.json_bytes().saturating_add(AROUND_THE_BODY);
        kept.body = Body::of(&delivery.body, payload_bytes_max.saturating_sub(beside));
        kept
    }

    fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }

    /// Whether both are of one event, for whatever reason each was kept.
    pub(crate) fn is_of_the_event_of(&self, other: &Self) -> bool {
        (&self.source, &self.id, &self.body) == (&other.source, &other.id, &other.body)
    }

    /// The event, to be tried again.
    ///
    /// # Errors
    /// As [`Body::bytes`].
    pub fn delivery(&self) -> Result<Delivery, Poisoned> {
        Ok(Delivery {
            source: self.source.clone(),
            id: self.id.clone(),
            kind: self.kind.clone(),
            key: self.key.clone(),
            at: self.at,
            attributes: self.attributes.clone(),
            body: self.body.bytes()?.into(),
            // Whether its workflow is there by now is told either way.
            repeats: Repeats::Alike,
            unusable: self.unusable.clone(),
        })
    }
}

/// The beginning of a reason.
pub(crate) fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

/// The id of the workflow that keeps a poison event: another one than the event's own, which is free
/// for the workflow that it starts once it is mended, and another one for each content.
pub(crate) fn poison_id(delivery: &Delivery) -> WorkflowId {
    let event = event_id(&delivery.source, &[&delivery.id]);
    event.of_poison(&delivery.body)
}

/// Why a poison event is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poisoned {
    reason: String,
}

impl Poisoned {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: cut(reason.into()),
        }
    }
}

impl fmt::Display for Poisoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Poisoned {}

/// The workflow `stepwell.poison`: it asks the source's mapping once more, and fails with what that
/// says, so that its event is among the dead letters.
///
/// Run again from there, after the mapping was mended, it starts the workflow that the event should
/// have started. Its output is that one's id.
#[expect(non_camel_case_types, reason = "workflows are named like functions")]
#[derive(Debug, Clone, Copy)]
pub struct poison;

inventory::submit! { Registration::of::<poison>() }

impl Workflow for poison {
    const NAME: &'static str = "stepwell.poison";
    const SCHEDULE: Option<Schedule> = None;
    type State = ();
    type Args = (Poison,);
    type Output = String;
    type Error = Poisoned;

    fn run<'a>(
        ctx: &'a mut Ctx,
        (kept,): (Poison,),
    ) -> BoxFuture<'a, Result<Self::Output, Self::Error>> {
        Box::pin(async move {
            let intakes = ctx.client().shared::<Intakes>();
            let again = move || {
                let (intakes, kept) = (Arc::clone(&intakes), kept.clone());
                async move { intakes.again(kept).await }
            };
            ctx.typed_step("start", again).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_any_bytes_is_kept_in_its_room() {
        let room = 600;
        for bytes in [&b""[..], b"text", b"\xff\x00", &[0; 100], &[7; 450]] {
            let body = Body::of(bytes, room);
            assert_eq!(body.bytes().as_deref(), Ok(bytes), "{body:?}");
            let json = serde_json::to_string(&body).expect("it can be written");
            assert!(json.len() <= room + AROUND_THE_BODY, "{json}");
        }
        let cut = Body::of(&[7; 451], room);
        let Body::Beginning {
            base64,
            of_bytes: 451,
        } = &cut
        else {
            panic!("{cut:?}");
        };
        assert_eq!(base64.len(), 600);
        assert!(cut.bytes().is_err());
    }

    #[test]
    fn each_content_of_an_event_has_an_id_that_fits() {
        let id = |id: &str, body: &'static str| poison_id(&Delivery::new("orders", id, body));
        let kept = "orders~event-7~poison-44136fa355b3678a1146ad16f7e8649e";
        assert_eq!(id("7", "{}").as_str(), kept);
        assert_ne!(id("7", "{}"), id("7", "[]"));
        let long = "x".repeat(245);
        assert!(id(&long, "").as_str().len() <= 255);
        assert_ne!(id(&long, ""), id(&long[1..], ""));
    }
}
