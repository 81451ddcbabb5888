//! Reads of what workflows say: messages, events, streams.

use jiff::Timestamp;
use serde::Serialize;

use super::StoreFuture;
use crate::{id::WorkflowKey, payload::Payload};

/// Reads inboxes, events and streams. Their writes are effects of records, or [`Change::Send`].
///
/// [`Change::Send`]: super::Change::Send
pub trait MessageStore {
    /// The oldest messages of a topic that were not received, up to `limit`, in the order of sending;
    /// fewer when they hold [`PAGE_BYTES_MAX`](super::PAGE_BYTES_MAX).
    fn inbox(&self, key: WorkflowKey, topic: &str, limit: u32) -> StoreFuture<'_, Vec<Message>>;

    /// The value that a workflow published last under a name.
    fn event(&self, key: WorkflowKey, name: &str) -> StoreFuture<'_, Option<Payload>>;

    /// Everything that a workflow has published, by name.
    fn events(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<PublishedEvent>>;

    /// The values of a stream from an offset (the first is 0), up to `limit`; fewer when they hold
    /// [`PAGE_BYTES_MAX`](super::PAGE_BYTES_MAX).
    fn stream(
        &self,
        key: WorkflowKey,
        stream: &str,
        from: u64,
        limit: u32,
    ) -> StoreFuture<'_, Vec<StreamEntry>>;
}

/// A message in an inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number; [`Effect::Receive`](super::Effect::Receive) names it.
    pub number: i64,
    /// What it says.
    pub payload: Payload,
}

/// A value that a workflow has published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedEvent {
    /// Its name.
    pub name: String,
    /// The value.
    pub value: Payload,
    /// When it was published.
    pub at: Timestamp,
}

/// A value of a stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamEntry {
    /// Its place; the first is 0.
    pub offset: u64,
    /// The value.
    pub value: Payload,
    /// When it was appended.
    pub at: Timestamp,
}
