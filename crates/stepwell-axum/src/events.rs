//! [`events`]: a workflow, live, as server-sent events.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use axum::{
    extract::{FromRef, Request},
    handler::Handler,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, future::BoxFuture, stream};
use serde_json::{Value, json};
use stepwell_core::{App, Client, Error, Outcome, Place, Record, RecordKind, State};

use crate::{
    problem::Problem,
    status::{look_up, only_path_parameter, seed_name},
};

/// How long the stream waits at most before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers `GET /jobs/{id}/events` with what the workflow does, live: `status` at each change of its
/// state, `step` for each operation that it records, `event` for each value that it publishes,
/// `stream` for each entry that it appends.
///
/// What is recorded is numbered: a client that reconnects with `Last-Event-ID`
/// ([HTML](https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header))
/// goes on after the last one that it has seen. An answer that has nothing to say sends a comment
/// every 15 s. It ends with the workflow, and at shutdown, which it would hold up for ever.
///
/// Only what a workflow publishes or appends is shown with its value. What its steps return, and why
/// they failed, stays inside. Any workflow of the application can be asked for by its id: put your own
/// authorisation around the route.
#[must_use]
pub fn events() -> EventsRoute {
    EventsRoute(())
}

/// Made by [`events`].
#[derive(Debug, Clone)]
pub struct EventsRoute(());

impl<S, R> Handler<(S,), R> for EventsRoute
where
    S: Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
    App<S>: FromRef<R>,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, state: R) -> Self::Future {
        let app = App::<S>::from_ref(&state);
        Box::pin(async move {
            let answer = answer(app, request, &state).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        })
    }
}

async fn answer<S, R>(app: App<S>, request: Request, state: &R) -> Result<Response, Problem>
where
    S: Send + Sync + 'static,
    R: Send + Sync,
{
    let (mut parts, _) = request.into_parts();
    let id = only_path_parameter(&mut parts, state).await?;
    look_up(app.client(), &id).await?;
    let last = parts
        .headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let seen = last.and_then(|last| last.parse().ok()).unwrap_or(0);
    let stopping = {
        let app = app.clone();
        // An open stream would hold up the shutdown for ever.
        async move { app.stopping().await }
    };
    let events = live(app.client().clone(), id, seen).take_until(Box::pin(stopping));
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// How far a client has seen a workflow.
struct Seen {
    client: Client,
    id: String,
    operations: usize,
    state: Option<State>,
    over: bool,
}

/// What a workflow does, from the operation after `seen` on.
pub(crate) fn live(
    client: Client,
    id: String,
    seen: usize,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let seen = Seen {
        client,
        id,
        operations: seen,
        state: None,
        over: false,
    };
    let pages = stream::unfold(seen, |mut seen| async move {
        loop {
            if seen.over {
                return None;
            }
            match seen.look().await {
                Ok(events) if !events.is_empty() => return Some((stream::iter(events), seen)),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, workflow = seen.id, "could not look"),
            }
            // A failed wait is followed by a look, which says what is wrong.
            if seen.client.changed(&seen.id, LOOK_AGAIN).await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    });
    pages.flatten().map(Ok)
}

impl Seen {
    async fn look(&mut self) -> Result<Vec<Event>, Error> {
        let Some(workflow) = self.client.get(&self.id).await? else {
            self.over = true;
            return Ok(Vec::new());
        };
        // The state first: what is recorded before an end is in the history that is read after it.
        let mut records = self.client.history(&self.id).await?.operations;
        records.sort_by(|a, b| (a.recorded_at, &a.place).cmp(&(b.recorded_at, &b.place)));
        let mut events = Vec::new();
        let mut appended: HashMap<&str, u64> = HashMap::new();
        for (number, record) in records.iter().enumerate() {
            let offset = appended.entry(&record.name).or_default();
            let entry = *offset;
            *offset += u64::from(record.kind == RecordKind::Append);
            if number >= self.operations {
                events.push(self.event(number + 1, record, entry).await?);
            }
        }
        self.operations = self.operations.max(records.len());
        if self.state != Some(workflow.state) {
            self.state = Some(workflow.state);
            let data = json!({
                "workflow_id": self.id,
                "status": seed_name(workflow.state),
                "state": workflow.state,
            });
            events.push(Event::default().event("status").data(data.to_string()));
        }
        self.over = workflow.state.is_at_rest();
        Ok(events)
    }

    async fn event(&self, number: usize, record: &Record, entry: u64) -> Result<Event, Error> {
        let (name, data) = match (record.kind, &record.outcome) {
            (RecordKind::Append, _) => {
                let entries = self.client.stream(&self.id, &record.name, entry).await?;
                let value = entries.first().map(|entry| &entry.value);
                let data = json!({ "stream": record.name, "offset": entry, "value": value });
                ("stream", data)
            }
            (RecordKind::SetEvent, Outcome::Ok(value)) => {
                ("event", json!({ "name": record.name, "value": value }))
            }
            _ => ("step", describe(record)),
        };
        let event = Event::default().id(number.to_string()).event(name);
        Ok(event.data(data.to_string()))
    }
}

/// A record as clients see it: that it happened, not what came of it.
fn describe(record: &Record) -> Value {
    let outcome = match &record.outcome {
        Outcome::Ok(_) => "ok",
        Outcome::Err(_) => "error",
    };
    let position = match &record.place {
        Place::At(position) | Place::Attempt(position, _) => position.to_string(),
        Place::Input | Place::Unknown(_) | Place::Result => String::new(),
    };
    json!({
        "position": position,
        "kind": record.kind,
        "name": record.name,
        "outcome": outcome,
        "attempts": record.attempts,
        "started_at": record.started_at,
        "recorded_at": record.recorded_at,
    })
}
