//! What a provider delivered.

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// One delivery of an event, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The source: `stripe`, or what the provider was named.
    pub source: String,
    /// The provider's id of the event. A delivery that is sent again has the same.
    pub id: String,
    /// What happened, in the provider's words, if it says so: `invoice.paid`, `push`.
    pub kind: Option<String>,
    /// When it was signed, if the provider says so.
    pub at: Option<Timestamp>,
    /// The body as it was signed.
    pub body: Bytes,
}

impl Delivery {
    /// The body as a value.
    ///
    /// # Errors
    /// When it is no JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
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
