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

    /// What waits in an inbox, on every topic: by topic, and in the order of sending, from behind a
    /// message, up to `limit`.
    fn waiting_messages(
        &self,
        key: WorkflowKey,
        after: Option<&WaitingMessage>,
        limit: u32,
    ) -> StoreFuture<'_, Vec<WaitingMessage>>;

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

/// A message that waits in an inbox, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaitingMessage {
    /// Its number, by which it is dropped or replaced.
    pub number: i64,
    /// Its topic; empty for none.
    pub topic: String,
    /// What it says.
    pub payload: Payload,
    /// The key that it was sent with, or that it was given.
    pub key: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
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
