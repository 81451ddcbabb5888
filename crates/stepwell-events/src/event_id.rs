//! The id of an event's workflow.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use stepwell_core::{
    __private::made::{self, Maker},
    CallId, WorkflowId,
    limits::Text,
};

use crate::delivery::Delivery;

/// How long an event's id may be that is kept and logged as it is, in bytes.
const ID_BYTES_MAX: usize = 1_024;
/// How much of a longer one is kept, in bytes.
const BEGIN_BYTES: usize = 128;
/// What stands between that and the digest.
const CUT: &str = "…sha256:";

/// The id that a workflow gets from an event. A call takes it as its id ([`Call::id`]).
///
/// [`Call::id`]: stepwell_core::Call::id
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(WorkflowId);

/// The id that a workflow gets from an event: `stripe~event-evt_123` for one part that fits, else
/// `orders~event-sha256:…`, the SHA-256 of source and parts as canonical JSON
/// ([RFC 8785](https://www.rfc-editor.org/rfc/rfc8785)).
///
/// Different events never have one id, and no other workflow has an event's: a text that a caller
/// chooses as an id must not hold a `~`, and one in a source or a part is written `%7E`.
///
/// ```
/// use stepwell_events::event_id;
///
/// assert_eq!(event_id("stripe", &["evt_123"]).as_str(), "stripe~event-evt_123");
/// assert!(event_id("orders", &["a", "b"]).as_str().starts_with("orders~event-sha256:"));
/// ```
#[must_use]
pub fn event_id(source: &str, parts: &[&str]) -> EventId {
    EventId(made::named(source, Maker::Event, parts))
}

impl EventId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id of the workflow that keeps the event when no other can be made of it, with this content.
    pub(crate) fn of_poison(&self, content: &[u8]) -> WorkflowId {
        made::poison(&self.0, content)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for EventId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<EventId> for WorkflowId {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl From<EventId> for CallId {
    fn from(id: EventId) -> Self {
        Self::made(id.0)
    }
}

/// Bounds what is kept, logged and counted of a delivery beside its content: its id, and its kind, which
/// is left out if it could be no part of an origin (metrics have it as a label).
pub(crate) fn bounded(delivery: &Delivery) -> Cow<'_, Delivery> {
    let mut bounded = Cow::Borrowed(delivery);
    if let Some(id) = cut(&delivery.id) {
        bounded.to_mut().id = id;
    }
    let kind = delivery.kind.as_deref();
    if kind.is_some_and(|kind| Text::Origin.check(kind).is_err()) {
        bounded.to_mut().kind = None;
    }
    bounded
}

/// An id that is too long, or looks as if it had been, is its beginning and a digest: the same each time,
/// and another one for each id. None for one that may stay as it is.
fn cut(id: &str) -> Option<String> {
    if id.len() <= ID_BYTES_MAX && !id.contains(CUT) {
        return None;
    }
    let begin = &id[..id.floor_char_boundary(BEGIN_BYTES)];
    let digest = hex::encode(Sha256::digest(id.as_bytes()));
    Some(format!("{begin}{CUT}{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_any_length_is_kept_in_bounds_and_stays_another_one() {
        let of = |id: &str| bounded(&Delivery::new("orders", id, "")).id.clone();
        let long = "é".repeat(9_000);
        let cut = of(&long);
        assert!(cut.len() < 256 && cut.starts_with("éé"), "{cut}");
        assert_eq!(cut, of(&long));
        let others = [long.clone() + "!", cut.clone(), of(&cut)].map(|id| of(&id));
        assert!(others.iter().all(|other| *other != cut), "{others:?}");
        let longest = "x".repeat(ID_BYTES_MAX);
        assert_eq!(of(&longest), longest);
    }

    #[test]
    fn a_kind_that_is_no_short_text_is_left_out() {
        let of = |kind: &str| {
            let delivery = Delivery {
                kind: Some(kind.to_owned()),
                ..Delivery::new("orders", "1", "")
            };
            bounded(&delivery).kind.clone()
        };
        assert_eq!(of("invoice.paid").as_deref(), Some("invoice.paid"));
        assert_eq!(
            [of(&"x".repeat(1 << 20)), of("a\nb"), of("")],
            [None, None, None]
        );
    }
}
