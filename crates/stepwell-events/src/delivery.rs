//! What a source delivers.

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// One delivery of an event, as its source hands it over. The same event may come more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The source: `stripe`, `kafka`, or what the source was named.
    pub source: String,
    /// The source's id of the event. A delivery that comes again has the same.
    pub id: String,
    /// What happened, in the source's words, if it says so: `invoice.paid`, `push`.
    pub kind: Option<String>,
    /// What its order is kept by, if the source has such a thing: the key of a Kafka message, the
    /// group of an SQS message.
    pub key: Option<String>,
    /// When it happened or was sent, if the source says so.
    pub at: Option<Timestamp>,
    /// What the source says beside the body: headers and attributes that are text.
    pub attributes: Vec<(String, String)>,
    /// The body as it came.
    pub body: Bytes,
    /// How it looks when it comes again; alike unless the source says otherwise.
    pub repeats: Repeats,
    /// Why no workflow can be made of it, if its source knows already: it is kept as poison, and no
    /// mapping is asked, also when it is tried again.
    pub unusable: Option<String>,
}

/// How an event looks when it comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// As before. With an id that is known and another content it is another event (a topic was deleted
    /// and made again), and it is kept as poison.
    Alike,
    /// Perhaps in other words (Stripe changes `pending_webhooks` between deliveries), or at another place
    /// (a producer has sent it twice). The id alone says that it is the same.
    InOtherWords,
}

impl Delivery {
    /// An event of which nothing else is known.
    #[must_use]
    pub fn new(source: impl Into<String>, id: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            source: source.into(),
            id: id.into(),
            kind: None,
            key: None,
            at: None,
            attributes: Vec::new(),
            body: body.into(),
            repeats: Repeats::Alike,
            unusable: None,
        }
    }

    /// The body as a value.
    ///
    /// # Errors
    /// When it is no JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The first attribute with this name, in this spelling.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}
