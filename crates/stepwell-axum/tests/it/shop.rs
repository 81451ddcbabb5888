//! A small shop over HTTP that the tests share.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    middleware::{Next, from_fn},
    response::Response,
    routing::{get, post, put},
};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell::{
    App, Ctx, Event, Stream, Topic,
    axum::{
        AsProblem, HttpError, IdempotencyKey, Principal, Problem, events, layer, run, start,
        status, testing::TestApp,
    },
    step, workflow,
};

#[derive(stepwell::State, Default)]
pub(crate) struct Shop {
    #[provide]
    pub(crate) charges: AtomicU32,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Payment {
    pub(crate) amount: u64,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

pub(crate) const GO: Topic<bool> = Topic::new("go");
pub(crate) const READY: Event<u64> = Event::new("ready");
const LINES: Stream<String> = Stream::new("lines");

#[step]
async fn charge(#[state] charges: &AtomicU32, amount: u64) -> stepwell::Result<u64> {
    charges.fetch_add(1, SeqCst);
    if amount > 1_000 {
        let error = HttpError::new(StatusCode::PAYMENT_REQUIRED).code("DECLINED");
        return Err(error.message("the card was declined").into());
    }
    Ok(amount)
}

#[workflow]
pub(crate) async fn pay(ctx: &mut Ctx<Shop>, payment: Payment) -> stepwell::Result<Payment> {
    let amount = ctx.run(charge(payment.amount)).await?;
    Ok(Payment {
        amount,
        note: payment.note,
    })
}

#[workflow]
pub(crate) async fn slow(ctx: &mut Ctx<Shop>, name: String) -> stepwell::Result<String> {
    ctx.append(LINES, "began".to_owned()).await;
    ctx.set_event(READY, 7).await;
    if !ctx.recv(GO).await {
        stepwell::bail!("postgres://user:secret@host said no");
    }
    Ok(name)
}

#[workflow]
pub(crate) async fn panics(_ctx: &mut Ctx<Shop>) -> stepwell::Result<()> {
    panic!("the secret is 42");
}

/// An error of a type of its own.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no more than {0}")]
    TooMuch(u64),
    #[error("the secret is 42")]
    Obscure,
}

impl AsProblem for Refused {
    fn as_problem(&self) -> Problem {
        match self {
            Self::TooMuch(_) => Problem::new(StatusCode::CONFLICT, self.to_string()).code("LIMIT"),
            Self::Obscure => Problem::internal(),
        }
    }
}

#[workflow]
pub(crate) async fn refuses(_ctx: &mut Ctx<Shop>, amount: u64) -> Result<u64, Refused> {
    match amount {
        0 => Err(Refused::Obscure),
        amount if amount > 10 => Err(Refused::TooMuch(10)),
        amount => Ok(amount),
    }
}

#[step]
async fn leaks() -> stepwell::Result<u64> {
    Err(stepwell::Failure::msg("postgres://user:secret@host said no").context("a secret step"))
}

#[workflow]
pub(crate) async fn fails(ctx: &mut Ctx<Shop>) -> stepwell::Result<u64> {
    ctx.run(leaks()).await
}

#[workflow]
pub(crate) async fn transfer(
    _ctx: &mut Ctx<Shop>,
    from: String,
    to: String,
    amount: u64,
) -> stepwell::Result<String> {
    Ok(format!("{amount} from {from} to {to}"))
}

/// A result with numbers that no float and no `Value` holds.
#[workflow]
pub(crate) async fn exact(_ctx: &mut Ctx<Shop>) -> stepwell::Result<(u128, f32)> {
    Ok((u128::MAX, 0.1))
}

async fn keyed(key: IdempotencyKey) -> String {
    key.as_str().to_owned()
}

async fn optional(key: Option<IdempotencyKey>) -> String {
    key.map_or_else(|| "none".to_owned(), String::from)
}

async fn broken() -> &'static str {
    panic!("a bug in a handler");
}

async fn teapot() -> Problem {
    Problem::new(StatusCode::IM_A_TEAPOT, "short and stout").code("TEAPOT")
}

/// What a host's own authentication does.
pub(crate) async fn authenticate(mut request: Request<Body>, next: Next) -> Response {
    if let Some(user) = request.headers().get("x-user") {
        let user = user.to_str().unwrap().to_owned();
        request.extensions_mut().insert(Principal(user));
    }
    next.run(request).await
}

pub(crate) fn router(app: App<Shop>) -> Router {
    Router::new()
        .route("/pay", post(run(pay).verbatim_keys()))
        .route("/pay-with-key", post(run(pay).requires_key()))
        .route("/pay/{amount}", post(run(pay)))
        .route("/small", post(run(pay).body_limit(100)))
        .route("/large", post(run(pay).body_limit(4 * 1024 * 1024)))
        .route(
            "/slow/{name}",
            post(
                run(slow)
                    .sync_timeout(Duration::from_secs(5))
                    .verbatim_keys()
                    .status_at("/jobs"),
            ),
        )
        .route("/joined/{name}", post(run(slow).joins()))
        .route("/jobs", post(start(slow).verbatim_keys()))
        .route("/jobs/{id}", get(status(slow)))
        .route("/jobs/{id}/events", get(events()))
        .route("/panics", post(run(panics).verbatim_keys()))
        .route("/refuses/{amount}", post(run(refuses).verbatim_keys()))
        .route("/fails", post(run(fails).verbatim_keys()))
        .route("/fails/{id}", get(status(fails)))
        .route("/exact", post(run(exact)))
        .route("/exact/{id}", get(status(exact)))
        .route("/transfer/{from}", put(run(transfer).verbatim_keys()))
        .nest(
            "/v1",
            Router::new().route("/jobs", post(start(slow).verbatim_keys())),
        )
        .route("/of/{name}", post(run(pay)).layer(from_fn(authenticate)))
        .route("/keyed", post(keyed))
        .route("/optional", post(optional))
        .route("/broken", get(broken))
        .route("/teapot", get(teapot))
        .layer(layer(&app))
        .with_state(app)
}

pub(crate) async fn shop() -> TestApp<Shop> {
    TestApp::new(Shop::default(), router).await
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn send<S: Send + Sync + 'static>(
    shop: &TestApp<S>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = shop
        .oneshot(request.body(Body::from(body.to_owned())).unwrap())
        .await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub(crate) async fn post_json(shop: &TestApp<Shop>, path: &str, body: &str) -> Answer {
    send(shop, "POST", path, &[], body).await
}

pub(crate) fn charges(shop: &TestApp<Shop>) -> u32 {
    shop.app().state().charges.load(SeqCst)
}

/// Waits until the workflow exists.
pub(crate) async fn exists(shop: &TestApp<Shop>, id: &str) {
    while shop.app().client().get(id).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}
