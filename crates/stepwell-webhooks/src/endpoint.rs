//! A provider's endpoint: a source whose events come as requests.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::Request,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::LengthLimitError;
use serde_json::json;
use stepwell_axum::{AsProblem, Problem, StoreTimeout, problem_of};
use stepwell_core::{
    BoxFuture, Error, Handle, Workflow,
    observe::{Fate, Observation},
};
use stepwell_events::{Connected, Intake, Source, Taken};

use crate::{
    provider::{Provider, Verified},
    rejected::Rejected,
};

/// A provider's endpoint, made by [`Provider::at`]. It answers when the start is durable.
#[derive(Debug)]
pub struct Endpoint<P> {
    provider: P,
    path: String,
}

impl<P: Provider> Endpoint<P> {
    pub(crate) fn new(provider: P, path: String) -> Self {
        Self { provider, path }
    }

    /// Answers with the workflow's result if it is there in time, else 202 with its id.
    ///
    /// Providers wait for some seconds only (10 for GitHub, 3 for Slack) and send again what took
    /// longer; that finds the same workflow.
    #[must_use]
    pub fn answer_with_result(self, within: Duration) -> EndpointWithResult<P> {
        EndpointWithResult {
            endpoint: self,
            within,
        }
    }
}

impl<P: Provider, W: Workflow> Source<W> for Endpoint<P> {
    fn name(&self) -> &str {
        self.provider.source()
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        Ok(connected(self, intake, |taken| {
            let answer = acknowledged(&taken);
            Box::pin(std::future::ready(answer))
        }))
    }
}

/// An endpoint that answers with the workflow's result, made by [`Endpoint::answer_with_result`].
#[derive(Debug)]
pub struct EndpointWithResult<P> {
    endpoint: Endpoint<P>,
    within: Duration,
}

impl<P: Provider, W: Workflow> Source<W> for EndpointWithResult<P>
where
    W::Error: AsProblem,
{
    fn name(&self) -> &str {
        self.endpoint.provider.source()
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        let within = self.within;
        let answer = move |taken| -> BoxFuture<'static, Response> {
            Box::pin(async move {
                match &taken {
                    Taken::Started(handle) | Taken::Duplicate(handle) => {
                        let result = tokio::time::timeout(within, result(handle)).await;
                        result.unwrap_or_else(|_| {
                            (StatusCode::ACCEPTED, acknowledged(&taken)).into_response()
                        })
                    }
                    Taken::Poison { .. } => acknowledged(&taken),
                }
            })
        };
        Ok(connected(self.endpoint, intake, answer))
    }
}

/// Makes the answer of what became of a delivery.
type Answer<W> = dyn Fn(Taken<W>) -> BoxFuture<'static, Response> + Send + Sync;

/// `POST path`.
fn connected<P: Provider, W: Workflow>(
    endpoint: Endpoint<P>,
    intake: Intake<W>,
    answer: impl Fn(Taken<W>) -> BoxFuture<'static, Response> + Send + Sync + 'static,
) -> Connected {
    let route = Arc::new(Route {
        provider: endpoint.provider,
        intake,
        answer: Box::new(answer),
    });
    let handler = move |request: Request| async move {
        let answered = route.take(request).await;
        answered.unwrap_or_else(IntoResponse::into_response)
    };
    Connected::Routes(Router::new().route(&endpoint.path, post(handler)))
}

struct Route<P, W: Workflow> {
    provider: P,
    intake: Intake<W>,
    answer: Box<Answer<W>>,
}

impl<P: Provider, W: Workflow> Route<P, W> {
    async fn take(&self, request: Request) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let body = self.body(body).await?;
        // The store's clock is the only one that counts.
        let now = self.intake.app().client().now();
        let verified = self.provider.verify(&head.headers, body, now);
        match verified.map_err(|rejected| self.refused(&rejected))? {
            Verified::Probe(text) => Ok(text.into_response()),
            Verified::Delivery(delivery) => {
                // Below the provider's own patience: it is told to send again, and that finds the workflow.
                let in_time = StoreTimeout::of(&head.extensions);
                let taken = in_time.bound(self.intake.accept(&delivery)).await?;
                Ok((self.answer)(taken).await)
            }
        }
    }

    async fn body(&self, body: Body) -> Result<Bytes, Problem> {
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
        let source = self.provider.source();
        tracing::warn!(
            source,
            reason = rejected.to_string(),
            "a delivery was refused"
        );
        self.intake.app().client().observe(&Observation::Event {
            source,
            kind: None,
            fate: Fate::Rejected,
            age: None,
        });
        Problem::new(rejected.status(), rejected.to_string())
    }
}

async fn result<W: Workflow>(handle: &Handle<W>) -> Response
where
    W::Error: AsProblem,
{
    match handle.result().await {
        Ok(output) => Json(output).into_response(),
        Err(error) => problem_of(error, handle.id()).into_response(),
    }
}

fn acknowledged<W: Workflow>(taken: &Taken<W>) -> Response {
    Json(match taken {
        Taken::Started(handle) => json!({ "id": handle.id(), "duplicate": false }),
        Taken::Duplicate(handle) => json!({ "id": handle.id(), "duplicate": true }),
        Taken::Poison { id } => json!({ "id": id, "poison": true }),
    })
    .into_response()
}
