//! A provider's endpoint as a route.

use std::{error::Error as StdError, fmt, sync::Arc};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::Request,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::LengthLimitError;
use jiff::Timestamp;
use serde_json::json;
use stepwell_axum::{AsProblem, Problem, problem_of};
use stepwell_core::{App, Call, Error, ErrorKind, Handle, StartOutcome, Workflow};

use crate::{
    delivery::{Delivery, Verified},
    event_id::event_id,
    poison::{Poison, PoisonSink},
    provider::Provider,
    rejected::Rejected,
};

type Map<W> = dyn Fn(Delivery) -> Result<Call<W>, String> + Send + Sync;

/// When the provider is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Started,
    Result,
}

/// An endpoint that starts a workflow for each event, once. Made by [`webhook`].
pub struct Webhook<W: Workflow> {
    app: App<W::State>,
    provider: Box<dyn Provider>,
    map: Box<Map<W>>,
    poison: Option<Arc<dyn PoisonSink>>,
    answer: Answer,
}

impl<W: Workflow> fmt::Debug for Webhook<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// An endpoint for a provider's deliveries; `map` says which workflow an event starts.
///
/// The workflow's id is the event's ([`event_id`]), unless the call has one of its own. What `map`
/// refuses is poison: see [`Webhook::poison`].
pub fn webhook<W, E>(
    app: &App<W::State>,
    provider: impl Provider,
    map: impl Fn(Delivery) -> Result<Call<W>, E> + Send + Sync + 'static,
) -> Webhook<W>
where
    W: Workflow,
    E: fmt::Display,
{
    Webhook {
        app: app.clone(),
        provider: Box::new(provider),
        map: Box::new(move |delivery| map(delivery).map_err(|error| error.to_string())),
        poison: None,
        answer: Answer::Started,
    }
}

impl<W> Webhook<W>
where
    W: Workflow,
    W::Error: AsProblem,
{
    /// Where poison is kept; it is then answered with 200. Without it poison is answered with 422 and
    /// stays with the provider, which sends it again for as long as it does.
    #[must_use]
    pub fn poison(mut self, sink: Arc<dyn PoisonSink>) -> Self {
        self.poison = Some(sink);
        self
    }

    /// Answers with the workflow's result, not with its id. Providers wait for some seconds only (10
    /// for GitHub, 3 for Slack) and send again what took longer; that finds the same workflow.
    #[must_use]
    pub fn answer_with_result(mut self) -> Self {
        self.answer = Answer::Result;
        self
    }

    /// The route: `POST path`.
    pub fn at<S: Clone + Send + Sync + 'static>(self, path: &str) -> Router<S> {
        let webhook = Arc::new(self);
        let handler = move |request: Request| async move {
            webhook
                .take(request)
                .await
                .unwrap_or_else(IntoResponse::into_response)
        };
        Router::new().route(path, post(handler))
    }

    async fn take(&self, request: Request) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let body = self.body(body).await?;
        let verified = self.provider.verify(&head.headers, body, Timestamp::now());
        match verified.map_err(|rejected| self.refused(&rejected))? {
            Verified::Probe(text) => Ok(text.into_response()),
            Verified::Delivery(delivery) => self.start(delivery).await,
        }
    }

    async fn body(&self, body: axum::body::Body) -> Result<Bytes, Problem> {
        let bytes_max = self.provider.body_bytes_max();
        to_bytes(body, bytes_max).await.map_err(|error| {
            match error
                .source()
                .is_some_and(|cause| cause.is::<LengthLimitError>())
            {
                true => self.refused(&Rejected::TooLarge { bytes_max }),
                false => Problem::new(StatusCode::BAD_REQUEST, "the body broke off"),
            }
        })
    }

    fn refused(&self, rejected: &Rejected) -> Problem {
        tracing::warn!(source = self.provider.source(), reason = %rejected, "a delivery was refused");
        Problem::new(rejected.status(), rejected.to_string())
    }

    async fn start(&self, delivery: Delivery) -> Result<Response, Problem> {
        let id = event_id(&delivery.source, &[&delivery.id]);
        let poison = |reason| Poison {
            source: delivery.source.clone(),
            coordinates: delivery.id.clone(),
            bytes: delivery.body.clone(),
            reason,
        };
        let call = match (self.map)(delivery.clone()) {
            Ok(call) if call.given_id().is_none() => call.id(id),
            Ok(call) => call,
            Err(reason) => return self.keep(poison(reason)).await,
        };
        let id = call.given_id().unwrap_or_default().to_owned();
        match self.app.start_new(call).await {
            Ok((handle, outcome)) => self.started(&handle, outcome).await,
            // A limit stays broken however often the event comes.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                self.keep(poison(error.to_string())).await
            }
            Err(error) if error.kind() == ErrorKind::Conflict => self.known(id, error).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The id is taken by a workflow with another input: the same event in other words (Stripe
    /// changes `pending_webhooks` between deliveries), or mapped otherwise since a deploy. Only what
    /// is really there is acknowledged.
    async fn known(&self, id: String, conflict: Error) -> Result<Response, Problem> {
        match self.app.client().get(&id).await? {
            Some(_) => {
                tracing::warn!(workflow_id = id, %conflict, "an event came again with other content");
                Ok(acknowledged(&id, true))
            }
            None => Err(conflict.into()),
        }
    }

    async fn started(
        &self,
        handle: &Handle<W>,
        outcome: StartOutcome,
    ) -> Result<Response, Problem> {
        let duplicate = matches!(outcome, StartOutcome::Existing(_));
        if duplicate {
            tracing::info!(workflow_id = handle.id(), "an event came again");
        }
        match self.answer {
            Answer::Started => Ok(acknowledged(handle.id(), duplicate)),
            Answer::Result => match handle.result().await {
                Ok(output) => Ok(Json(output).into_response()),
                Err(error) => Err(problem_of(error, handle.id())),
            },
        }
    }

    async fn keep(&self, poison: Poison) -> Result<Response, Problem> {
        let (source, event, reason) = (&poison.source, &poison.coordinates, &poison.reason);
        tracing::error!(source, event, reason, "no workflow can be made of an event");
        let Some(sink) = &self.poison else {
            let detail = "no workflow can be made of this event; the cause is in the log";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        };
        sink.keep(poison).await?;
        Ok(Json(json!({ "poison": true })).into_response())
    }
}

fn acknowledged(id: &str, duplicate: bool) -> Response {
    let body = json!({ "id": id, "duplicate": duplicate }).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
