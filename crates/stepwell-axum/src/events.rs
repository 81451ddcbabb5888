//! [`events`]: a workflow, live, as server-sent events.

mod places;

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{FromRef, Request},
    handler::Handler,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, future::BoxFuture, stream};
use http::{Extensions, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use stepwell_core::{App, Error, Follow, Followed, Payload, Place, Progress, RecordKind, State};

use crate::{
    authorize::{Authorizer, Decision, Target},
    problem::Problem,
    status::{only_path_parameter, seed_name, visible},
    store_timeout::StoreTimeout,
};
use places::{Places, StreamPlace};

/// How long a stream waits after a look that failed.
const AFTER_ERROR: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a browser opens a stream again that broke.
const RETRY: Duration = Duration::from_secs(2);
/// How many streams a process has open unless a route says otherwise.
const STREAMS_MAX: usize = 1_000;
/// Tells nginx, and what takes after it, to pass each event on as it comes.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers `GET /jobs/{id}/events` with what the workflow does, live: `status` at each change of its
/// state, `step` for each operation that it records, `event` for each value that it publishes,
/// `stream` for each entry that it appends.
///
/// What is recorded is numbered: a client that reconnects with `Last-Event-ID`
/// ([HTML](https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header))
/// goes on after the last one that it has seen; one that says it has seen more than there is begins
/// anew. An answer that has nothing to say sends a comment every 15 s. It ends with the workflow, and
/// at shutdown, which it would hold up for ever. A client that has seen the end and connects again, as
/// a browser does, is answered 204, which tells it to stop.
///
/// Only what a workflow publishes or appends is shown with its value. What its steps return, and why
/// they failed, stays inside. A workflow of any name can be asked for by its id, but not one that was
/// started for another [`Principal`](crate::Principal): as soon as there is one in the request or with
/// the workflow, both must be the same. [`EventsRoute::authorize`] makes another rule.
///
/// A process has 1,000 streams open at most ([`EventsRoute::streams_max`]); a further one is a 503.
#[must_use]
pub fn events() -> EventsRoute {
    EventsRoute {
        authorizer: Authorizer::default(),
        streams_max: STREAMS_MAX,
    }
}

/// Made by [`events`].
#[derive(Debug, Clone)]
pub struct EventsRoute {
    authorizer: Authorizer,
    streams_max: usize,
}

impl EventsRoute {
    /// Says who may see which workflow, instead of the [`Principal`](crate::Principal) for whom it was
    /// started; the others are answered 404.
    ///
    /// ```
    /// use stepwell::axum::{Decision, Principal, Target, events};
    ///
    /// // Support sees everything; the others what they have started.
    /// let route = events().authorize(|caller, target| {
    ///     let Some(Principal(name)) = caller.get::<Principal>() else {
    ///         return Decision::Deny;
    ///     };
    ///     match target {
    ///         Target::See { principal, .. } if name == "support" || principal == Some(name.as_str()) => {
    ///             Decision::Allow
    ///         }
    ///         _ => Decision::Deny,
    ///     }
    /// });
    /// # let _route: axum::routing::MethodRouter<stepwell::App> = axum::routing::get(route);
    /// ```
    #[must_use]
    pub fn authorize(
        mut self,
        rule: impl Fn(&Extensions, Target<'_>) -> Decision + Send + Sync + 'static,
    ) -> Self {
        self.authorizer = Authorizer::own(rule);
        self
    }

    /// Opens no further stream while the application has so many, on all its routes: 1,000 unless said
    /// otherwise. Each is a connection, too
    /// ([`Serve::connections_max`](crate::Serve::connections_max)).
    #[must_use]
    pub fn streams_max(mut self, streams: usize) -> Self {
        self.streams_max = streams;
        self
    }
}

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
            let answer = self.answer(app, request, &state).await;
            answer.unwrap_or_else(IntoResponse::into_response)
        })
    }
}

impl EventsRoute {
    async fn answer<S, R>(
        &self,
        app: App<S>,
        request: Request,
        state: &R,
    ) -> Result<Response, Problem>
    where
        S: Send + Sync + 'static,
        R: Send + Sync,
    {
        let (mut parts, _) = request.into_parts();
        let id = only_path_parameter(&mut parts, state).await?;
        let place = app.client().shared::<Places>().take(self.streams_max)?;
        let last = parts.headers.get("last-event-id");
        let last = LastSeen::read(last.and_then(|value| value.to_str().ok()));
        let caught_up = async {
            visible(&self.authorizer, app.client(), &parts.extensions, &id).await?;
            let mut follow = app.client().follow(&id).await?;
            let over = last.has_seen_all(&mut follow).await?;
            Ok::<_, Problem>((!over).then_some(follow))
        };
        let in_time = StoreTimeout::of(&parts.extensions);
        let Some(follow) = in_time.bound(caught_up).await? else {
            return Ok(StatusCode::NO_CONTENT.into_response());
        };
        let stopping = {
            let app = app.clone();
            // An open stream would hold up the shutdown for ever.
            async move { app.stopping().await }
        };
        let first = stream::iter([Ok(Event::default().retry(RETRY))]);
        let events = first.chain(live(follow, place));
        let events = Sse::new(events.take_until(Box::pin(stopping)));
        let mut response = events
            .keep_alive(KeepAlive::new().interval(HEARTBEAT))
            .into_response();
        let no = HeaderValue::from_static("no");
        response.headers_mut().insert(ACCEL_BUFFERING, no);
        Ok(response)
    }
}

/// What a client says it has seen: `7` for so many operations, `7-succeeded` for those and the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct LastSeen {
    operations: u64,
    end: Option<State>,
}

impl LastSeen {
    /// What makes no sense says nothing.
    fn read(header: Option<&str>) -> Self {
        let text = header.unwrap_or_default();
        let (operations, end) = match text.split_once('-') {
            Some((operations, end)) => (operations, Some(end)),
            None => (text, None),
        };
        let Ok(operations) = operations.parse() else {
            return Self::default();
        };
        Self {
            operations,
            end: end.and_then(State::parse),
        }
    }

    /// Passes over what was seen. True if there is nothing else, and will not be.
    async fn has_seen_all(self, follow: &mut Follow) -> Result<bool, Error> {
        if self == Self::default() {
            return Ok(false);
        }
        let Some(mark) = follow.mark().await? else {
            return Ok(false);
        };
        if self.operations > mark.operations {
            // It has seen another one of this id.
            return Ok(false);
        }
        follow.pass(self.operations).await?;
        let is_over = mark.state.is_at_rest() && self.end == Some(mark.state);
        Ok(is_over && self.operations == mark.operations)
    }
}

/// How far a client has seen a workflow.
struct Seen {
    follow: Follow,
    number: u64,
    state: Option<State>,
    /// Whether there is more to read without waiting for it.
    begun: bool,
    over: bool,
    _place: StreamPlace,
}

/// What a workflow does from where `follow` is.
fn live(
    follow: Follow,
    place: StreamPlace,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let seen = Seen {
        number: follow.operations(),
        follow,
        state: None,
        begun: false,
        over: false,
        _place: place,
    };
    let pages = stream::unfold(seen, |mut seen| async move {
        loop {
            if seen.over {
                return None;
            }
            if seen.begun {
                seen.follow.changed().await;
            }
            match seen.follow.progress().await {
                Ok(progress) => {
                    let events = seen.told(&progress);
                    if !events.is_empty() {
                        return Some((stream::iter(events), seen));
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    tracing::debug!(error, workflow = seen.follow.id(), "could not look");
                    tokio::time::sleep(AFTER_ERROR).await;
                    seen.begun = false;
                }
            }
        }
    });
    pages.flatten().map(Ok)
}

impl Seen {
    /// What the client is told of what is new.
    fn told(&mut self, progress: &Progress) -> Vec<Event> {
        self.begun = progress.is_all;
        let Some(state) = progress.state else {
            self.over = true;
            return Vec::new();
        };
        let mut events: Vec<Event> = progress.operations.iter().map(event).collect();
        self.number = progress
            .operations
            .last()
            .map_or(self.number, |it| it.number);
        // The state is told when all is told that was recorded before it.
        if progress.is_all {
            if self.state != Some(state) {
                events.push(self.status(state));
            }
            self.state = Some(state);
            self.over = state.is_at_rest();
        }
        events
    }

    fn status(&self, state: State) -> Event {
        let data = json!({
            "workflow_id": self.follow.id(),
            "status": seed_name(state),
            "state": state,
        });
        let event = Event::default().event("status").data(data.to_string());
        match state.is_at_rest() {
            // A client that comes again with this is told to stop.
            true => event.id(format!("{}-{state}", self.number)),
            false => event,
        }
    }
}

fn event(operation: &Followed) -> Event {
    let record = &operation.record;
    let (name, data) = match (record.kind, &operation.entry, &record.published) {
        (RecordKind::Append, Some((offset, value)), _) => {
            let (stream, offset) = (record.name.as_str(), *offset);
            (
                "stream",
                line(&Entry {
                    stream,
                    offset,
                    value: value.as_ref(),
                }),
            )
        }
        (RecordKind::SetEvent, _, Some(value)) => {
            let name = record.name.as_str();
            ("event", line(&Published { name, value }))
        }
        _ => ("step", describe(operation).to_string()),
    };
    let event = Event::default().id(operation.number.to_string());
    event.event(name).data(data)
}

/// An entry of a stream. Its value is passed on as it was written: a `Value` has no room for all numbers.
#[derive(Serialize)]
struct Entry<'a> {
    stream: &'a str,
    offset: u64,
    value: Option<&'a Payload>,
}

/// A published value, as it was written.
#[derive(Serialize)]
struct Published<'a> {
    name: &'a str,
    value: &'a Payload,
}

/// JSON on one line. Line breaks are between its parts, where somebody has written it by hand: within
/// texts they are escaped.
fn line<T: Serialize>(data: &T) -> String {
    let json = serde_json::to_string(data).unwrap_or_default();
    json.replace(['\r', '\n'], " ")
}

/// A record as clients see it: that it happened, not what came of it.
fn describe(operation: &Followed) -> Value {
    let record = &operation.record;
    let position = match &record.place {
        Place::At(position) | Place::Attempt(position, _) => position.to_string(),
        Place::Input | Place::Unknown(_) | Place::Result => String::new(),
    };
    json!({
        "position": position,
        "kind": record.kind,
        "name": record.name,
        "outcome": record.outcome,
        "attempts": record.attempts,
        "started_at": record.started_at,
        "recorded_at": record.recorded_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_seen_is_a_number_and_perhaps_the_end() {
        let seen = |operations, end| LastSeen { operations, end };
        for (header, expected) in [
            (None, seen(0, None)),
            (Some("7"), seen(7, None)),
            (Some("7-succeeded"), seen(7, Some(State::Succeeded))),
            (Some("0-cancelled"), seen(0, Some(State::Cancelled))),
            (Some("7-never"), seen(7, None)),
            (Some("-1"), seen(0, None)),
            (Some("many"), seen(0, None)),
            (Some("99999999999999999999"), seen(0, None)),
        ] {
            assert_eq!(LastSeen::read(header), expected, "{header:?}");
        }
    }
}
