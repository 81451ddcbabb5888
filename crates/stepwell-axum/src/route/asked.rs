//! From a request to the workflow that answers it.

use std::time::Duration;

use axum::{body::Bytes, extract::Request, response::Response};
use http::{HeaderName, HeaderValue, request::Parts as Head};
use stepwell_core::{
    App, Call, CallId, Error, ErrorKind, Handle, StartOutcome, Workflow,
    limits::{REQUEST_ATTRIBUTE, Text},
};

use super::{
    KeyIs, Mode, WorkflowRoute,
    answer::{answer_within, key_of_another, still_running},
    fingerprint::fingerprint,
};
use crate::{
    argument::{Parts, arguments},
    authorize::Decision,
    body::{parse, read_json, survey},
    context::HttpContext,
    idempotency::{KeyForm, missing},
    problem::{AsProblem, Problem},
    request::WorkflowRequest,
    status::look_up,
    store_timeout::StoreTimeout,
};

/// The longest `Prefer: wait`.
const PREFER_WAIT_MAX: Duration = Duration::from_secs(60);
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a request says about the start, beside the call.
struct Asked {
    /// The id that the request's key gives the workflow, and what kind of key it is.
    id: Option<(CallId, KeyForm)>,
    /// The digest of path, query and body.
    digest: String,
    /// Where the request came to.
    path: String,
    /// How long the client waits for the result.
    wait: Duration,
}

impl<W> WorkflowRoute<W>
where
    W: Workflow,
    W::Error: AsProblem,
{
    pub(super) async fn answer<R: Send + Sync>(
        &self,
        app: &App<W::State>,
        request: Request,
        state: &R,
    ) -> Result<Response, Problem> {
        let (mut head, body) = request.into_parts();
        // What can be refused without the body is refused before a byte of it is kept.
        let request = WorkflowRequest::read(&mut head, state).await?;
        if self.key == KeyIs::Required && request.key.is_none() {
            return Err(missing());
        }
        self.authorizer.may_start(&head.extensions, W::NAME)?;
        let bytes_max = self.bytes_max(app.payload_bytes_max());
        let body = read_json(&head.headers, body, bytes_max).await?;
        let (call, asked) = self.read(request, body).await?;
        let start = async { app.start_new(call).await.map_err(|it| refused(it, &asked)) };
        let (handle, outcome) = StoreTimeout::of(&head.extensions).bound(start).await?;
        match outcome {
            StartOutcome::New => {
                let location = self.location(&asked.path, handle.id());
                Ok(answer_within(asked.wait, app, &handle, &location).await)
            }
            StartOutcome::Existing(state) => {
                self.check_same(app, &head, &asked, &handle).await?;
                let location = self.location(&asked.path, handle.id());
                let is_scoped = matches!(asked.id, Some((_, KeyForm::Scoped)));
                let refuses = is_scoped && !self.joins && self.mode == Mode::Run;
                if refuses && !state.is_at_rest() {
                    return Err(still_running(handle.id()).location(location));
                }
                let mut response = answer_within(asked.wait, app, &handle, &location).await;
                let replayed = HeaderValue::from_static("true");
                response.headers_mut().insert(REPLAYED, replayed);
                Ok(response)
            }
        }
    }

    /// The call that a request makes.
    async fn read(
        &self,
        request: WorkflowRequest,
        body: Bytes,
    ) -> Result<(Call<W>, Asked), Problem> {
        let form = request.key.as_ref().map(|key| key.form(self.verbatim));
        let id = request.workflow_id(form);
        let WorkflowRequest {
            parameters: path,
            query,
            ..
        } = request;
        let arity = self.arity;
        let (arguments, digest) = parse(body.len(), move || {
            let digest = fingerprint(&path, &query, survey(&body)?.digest);
            let parts = Parts { path, query, body };
            Ok((arguments(arity, parts)?, digest))
        })
        .await?;
        let HttpContext {
            request_id,
            traceparent,
        } = request.context;
        let mut call = Call::new(arguments)
            .origin(Text::Origin.fit(&request.endpoint))
            .attribute("request_id", request_id);
        if let Some(traceparent) = traceparent {
            call = call.attribute("traceparent", traceparent);
        }
        if let Some(principal) = &request.principal {
            call = call.principal(principal.kept());
        }
        if let Some(id) = &id {
            call = call.id(id.clone()).request_digest(&digest);
        }
        let asked = Asked {
            id: id.zip(form),
            digest,
            path: request.path,
            wait: self.patience(request.prefer_wait_s),
        };
        Ok((call, asked))
    }

    /// How long the client waits for the result.
    fn patience(&self, prefer_wait_s: Option<u64>) -> Duration {
        match self.mode {
            Mode::Run => self.sync_timeout,
            Mode::Start => Duration::from_secs(prefer_wait_s.unwrap_or(0)).min(PREFER_WAIT_MAX),
        }
    }

    /// Refuses a key that belongs to a workflow which the client may not see, or to a request that said
    /// something else. The arguments alone do not tell: a type may leave out what it does not know.
    async fn check_same(
        &self,
        app: &App<W::State>,
        head: &Head,
        asked: &Asked,
        handle: &Handle<W>,
    ) -> Result<(), Problem> {
        let client = app.client();
        let look = async {
            let found = look_up(client, handle.id()).await?;
            let seen = self.authorizer.may_see(client, &head.extensions, &found);
            Ok::<_, Problem>((seen.await?, found))
        };
        let (seen, found) = StoreTimeout::of(&head.extensions).bound(look).await?;
        // One that was started in another way has no digest; its arguments are the same.
        let first = found.attribute(REQUEST_ATTRIBUTE);
        let is_same = first.is_none_or(|first| first == asked.digest);
        match seen == Decision::Allow && is_same {
            true => Ok(()),
            false => Err(key_of_another(handle.id())),
        }
    }
}

fn refused(error: Error, asked: &Asked) -> Problem {
    match (error.kind(), &asked.id) {
        (ErrorKind::Conflict, Some((id, _))) => key_of_another(id.as_str()),
        _ => error.into(),
    }
}
