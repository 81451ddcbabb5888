//! Reads of inboxes, events and streams.

use rusqlite::{OptionalExtension, params};
use stepwell_core::{
    Payload, WorkflowKey,
    store::{Message, MessageStore, PublishedEvent, StoreFuture, StreamEntry, WaitingMessage},
};

use crate::{
    rows::{instant, page},
    store::SqliteStore,
};

/// The oldest messages of a topic that were not received.
pub(crate) const INBOX: &str = "
    select message_number, payload
    from messages
    where workflow_key = ?1
      and topic = ?2
      and received_at is null
    order by message_number
    limit ?3";

/// What was not received, on every topic.
pub(crate) const WAITING: &str = "
    select message_number, topic, payload, message_key, sent_at
    from messages
    where workflow_key = ?1
      and received_at is null
      and (topic, message_number) > (?2, ?3)
    order by topic, message_number
    limit ?4";

/// The value that was published last under a name.
pub(crate) const EVENT: &str = "
    select value
    from events
    where workflow_key = ?1
      and name = ?2
    order by event_number desc
    limit 1";

/// The value that was published last under each name. With `max`, the other columns are those of
/// the row that has it.
pub(crate) const EVENTS: &str = "
    select name, value, published_at, max(event_number)
    from events
    where workflow_key = ?1
    group by name
    order by name";

pub(crate) const STREAM: &str = "
    select entry_offset, value, appended_at
    from stream_entries
    where workflow_key = ?1
      and stream = ?2
      and entry_offset >= ?3
    order by entry_offset
    limit ?4";

impl MessageStore for SqliteStore {
    fn inbox(&self, key: WorkflowKey, topic: &str, limit: u32) -> StoreFuture<'_, Vec<Message>> {
        let topic = topic.to_owned();
        self.read("read an inbox", move |db| {
            let mut statement = db.prepare_cached(INBOX)?;
            let messages = statement.query_map(params![key.0, topic, limit], |row| {
                Ok(Message {
                    number: row.get(0)?,
                    payload: Payload::from_stored(row.get(1)?),
                })
            })?;
            Ok(page(messages, |message| &message.payload)?)
        })
    }

    fn waiting_messages(
        &self,
        key: WorkflowKey,
        after: Option<&WaitingMessage>,
        limit: u32,
    ) -> StoreFuture<'_, Vec<WaitingMessage>> {
        let (topic, number) = after.map_or((String::new(), 0), |it| (it.topic.clone(), it.number));
        self.read("list an inbox", move |db| {
            let mut statement = db.prepare_cached(WAITING)?;
            let messages = statement.query_map(params![key.0, topic, number, limit], |row| {
                Ok(WaitingMessage {
                    number: row.get(0)?,
                    topic: row.get(1)?,
                    payload: Payload::from_stored(row.get(2)?),
                    key: row.get(3)?,
                    sent_at: instant(row.get(4)?)?,
                })
            })?;
            Ok(messages.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn event(&self, key: WorkflowKey, name: &str) -> StoreFuture<'_, Option<Payload>> {
        let name = name.to_owned();
        self.read("read an event", move |db| {
            let mut statement = db.prepare_cached(EVENT)?;
            let value = statement
                .query_row(params![key.0, name], |row| row.get(0))
                .optional()?;
            Ok(value.map(Payload::from_stored))
        })
    }

    fn events(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<PublishedEvent>> {
        self.read("read events", move |db| {
            let mut statement = db.prepare_cached(EVENTS)?;
            let events = statement.query_map(params![key.0], |row| {
                Ok(PublishedEvent {
                    name: row.get(0)?,
                    value: Payload::from_stored(row.get(1)?),
                    at: instant(row.get(2)?)?,
                })
            })?;
            Ok(events.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn stream(
        &self,
        key: WorkflowKey,
        stream: &str,
        from: u64,
        limit: u32,
    ) -> StoreFuture<'_, Vec<StreamEntry>> {
        let stream = stream.to_owned();
        // No stream is longer than SQLite can count.
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        self.read("read a stream", move |db| {
            let mut statement = db.prepare_cached(STREAM)?;
            let entries = statement.query_map(params![key.0, stream, from, limit], |row| {
                Ok(StreamEntry {
                    offset: u64::try_from(row.get::<_, i64>(0)?)
                        .map_err(|_| crate::error::corrupt("offset", "a negative number"))?,
                    value: Payload::from_stored(row.get(1)?),
                    at: instant(row.get(2)?)?,
                })
            })?;
            Ok(page(entries, |entry| &entry.value)?)
        })
    }
}
