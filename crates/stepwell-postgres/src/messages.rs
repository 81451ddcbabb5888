//! Reads of inboxes, events and streams.

use futures_util::FutureExt;
use stepwell_core::{
    Payload, WorkflowKey,
    store::{Message, MessageStore, PublishedEvent, StoreFuture, StreamEntry, WaitingMessage},
};
use tokio_postgres::Row;

use crate::{
    error::{Failure, corrupt},
    params::params,
    rows::{get, instant, page_bytes, payload},
    store::PostgresStore,
};

/// The oldest messages of a topic that were not received.
pub(crate) const INBOX: &str = "
    select message_number, payload
    from (
        select message_number, payload,
            coalesce(sum(octet_length(payload)) over (
                order by message_number + 0 rows between unbounded preceding and 1 preceding
            ), 0) as bytes_before
        from {schema}.messages
        where workflow_key = $1
          and topic = $2
          and received_at is null
        order by message_number + 0
        limit $3
    ) as page
    where bytes_before < $4
    order by message_number";

/// What was not received, on every topic.
pub(crate) const WAITING: &str = "
    select message_number, topic, payload, message_key, sent_at
    from {schema}.messages
    where workflow_key = $1
      and received_at is null
      and (topic, message_number + 0) > ($2::text collate \"C\", $3::bigint)
    order by topic, message_number + 0
    limit $4";

/// The value that was published last under a name.
pub(crate) const EVENT: &str = "
    select value
    from {schema}.events
    where workflow_key = $1
      and name = $2
    order by event_number desc
    limit 1";

/// The value that was published last under each name.
pub(crate) const EVENTS: &str = "
    select distinct on (name) name, value, published_at
    from {schema}.events
    where workflow_key = $1
    order by name, event_number desc";

pub(crate) const STREAM: &str = "
    select entry_offset, value, appended_at
    from (
        select entry_offset, value, appended_at,
            coalesce(sum(octet_length(value)) over (
                order by entry_offset rows between unbounded preceding and 1 preceding
            ), 0) as bytes_before
        from {schema}.stream_entries
        where workflow_key = $1
          and stream = $2
          and entry_offset >= $3
        order by entry_offset
        limit $4
    ) as page
    where bytes_before < $5
    order by entry_offset";

impl MessageStore for PostgresStore {
    fn inbox(&self, key: WorkflowKey, topic: &str, limit: u32) -> StoreFuture<'_, Vec<Message>> {
        let of = (key, topic.to_owned(), limit);
        self.side("read an inbox", of, |db, (key, topic, limit)| {
            async move {
                let rows = db
                    .query(
                        INBOX,
                        params![key.0, topic.as_str(), i64::from(*limit), page_bytes()],
                    )
                    .await?;
                rows.iter().map(message).collect()
            }
            .boxed()
        })
    }

    fn waiting_messages(
        &self,
        key: WorkflowKey,
        after: Option<&WaitingMessage>,
        limit: u32,
    ) -> StoreFuture<'_, Vec<WaitingMessage>> {
        let (topic, number) = after.map_or((String::new(), 0), |it| (it.topic.clone(), it.number));
        let of = (key, topic, number, limit);
        self.side("list an inbox", of, |db, (key, topic, number, limit)| {
            async move {
                let rows = db
                    .query(
                        WAITING,
                        params![key.0, topic.as_str(), *number, i64::from(*limit)],
                    )
                    .await?;
                rows.iter().map(waiting).collect()
            }
            .boxed()
        })
    }

    fn event(&self, key: WorkflowKey, name: &str) -> StoreFuture<'_, Option<Payload>> {
        let of = (key, name.to_owned());
        self.side("read an event", of, |db, (key, name)| {
            async move {
                let row = db.query_opt(EVENT, params![key.0, name.as_str()]).await?;
                row.map(|row| payload(&row, 0)).transpose()
            }
            .boxed()
        })
    }

    fn events(&self, key: WorkflowKey) -> StoreFuture<'_, Vec<PublishedEvent>> {
        self.side("read events", key, |db, key| {
            async move {
                let rows = db.query(EVENTS, params![key.0]).await?;
                rows.iter().map(event).collect()
            }
            .boxed()
        })
    }

    fn stream(
        &self,
        key: WorkflowKey,
        stream: &str,
        from: u64,
        limit: u32,
    ) -> StoreFuture<'_, Vec<StreamEntry>> {
        // No stream is longer than Postgres can count.
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let of = (key, stream.to_owned(), from, limit);
        self.side("read a stream", of, |db, (key, stream, from, limit)| {
            async move {
                let rows = db
                    .query(
                        STREAM,
                        params![
                            key.0,
                            stream.as_str(),
                            *from,
                            i64::from(*limit),
                            page_bytes()
                        ],
                    )
                    .await?;
                rows.iter().map(entry).collect()
            }
            .boxed()
        })
    }
}

fn message(row: &Row) -> Result<Message, Failure> {
    Ok(Message {
        number: get(row, 0)?,
        payload: payload(row, 1)?,
    })
}

fn event(row: &Row) -> Result<PublishedEvent, Failure> {
    Ok(PublishedEvent {
        name: get(row, 0)?,
        value: payload(row, 1)?,
        at: instant(row, 2)?,
    })
}

fn entry(row: &Row) -> Result<StreamEntry, Failure> {
    let offset: i64 = get(row, 0)?;
    Ok(StreamEntry {
        offset: u64::try_from(offset).map_err(|_| corrupt("offset", offset))?,
        value: payload(row, 1)?,
        at: instant(row, 2)?,
    })
}

fn waiting(row: &Row) -> Result<WaitingMessage, Failure> {
    Ok(WaitingMessage {
        number: get(row, 0)?,
        topic: get(row, 1)?,
        payload: payload(row, 2)?,
        key: get(row, 3)?,
        sent_at: instant(row, 4)?,
    })
}
