//! The endpoints: what a customer, the payment provider and the crash button send.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use stepwell::{ErrorKind, Workflow as _};

use crate::{
    checkout::{ORDER_ID, PAYMENT, PAYMENT_ID, PaymentStatus},
    crash::{CrashMode, Word, die, tell},
    orders::WIDGET_ID,
    server::Store,
    shop::SHELF,
    view::{self, ORDERS_MAX, Order, Product},
};

type Checkout = crate::checkout::checkout;

/// Starts a checkout, once for each key, and answers where to pay.
pub(crate) async fn checkout(
    State(store): State<Store>,
    Path(idempotency_key): Path<String>,
) -> Result<String, Refusal> {
    let handle = store
        .app
        .start(crate::checkout::checkout().id(idempotency_key))
        .await?;
    let payment_id = answer_of(&store, handle.id(), handle.get_event(PAYMENT_ID)).await?;
    payment_id
        .flatten()
        .ok_or(Refusal::not_found("Checkout failed to start"))
}

/// Tells a checkout how its payment went, and answers the order's number. However often it is
/// called, the first call counts.
pub(crate) async fn payment_webhook(
    State(store): State<Store>,
    Path((payment_id, status)): Path<(String, PaymentStatus)>,
) -> Result<String, Refusal> {
    const FAILED: Refusal = Refusal::not_found("Payment failed to process");
    let workflow = store.app.client().get(&payment_id).await?;
    // Other workflows have ids too, and nobody pays them.
    workflow
        .filter(|workflow| workflow.name == Checkout::NAME)
        .ok_or(FAILED)?;
    match store.app.send(&payment_id, PAYMENT, status).await {
        // It has had its payment and has ended: what came of it is the answer.
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        sent => sent?,
    }
    let order_id = store.app.get_event(&payment_id, ORDER_ID);
    answer_of(&store, &payment_id, order_id)
        .await?
        .ok_or(FAILED)
}

/// What a checkout publishes; nothing if it ends without.
async fn answer_of<T: stepwell::Durable>(
    store: &Store,
    id: &str,
    event: stepwell::Wait<T>,
) -> Result<Option<T>, Refusal> {
    let value = tokio::select! {
        value = event => value?,
        // The checkout goes on in the next process; so does whoever asks again with the same key.
        () = store.app.stopping() => return Err(Refusal::AWAY),
    };
    let ended = match &value {
        Some(_) => true,
        None => store.app.handle::<Checkout>(id).status().await?.has_ended(),
    };
    if ended { Ok(value) } else { Err(Refusal::AWAY) }
}

/// One order.
pub(crate) async fn order(
    State(store): State<Store>,
    Path(order_id): Path<String>,
) -> Result<Json<Order>, Refusal> {
    const UNKNOWN: Refusal = Refusal::not_found("No such order");
    let order_id = order_id.parse().map_err(|_| UNKNOWN)?;
    let mut read = store.shop().db.begin_read().await?;
    view::order(&mut read, order_id)
        .await?
        .map(Json)
        .ok_or(UNKNOWN)
}

/// The orders, oldest first; of very many the newest.
pub(crate) async fn orders(State(store): State<Store>) -> Result<Json<Vec<Order>>, Refusal> {
    let mut read = store.shop().db.begin_read().await?;
    let mut orders = view::orders(&mut read, ORDERS_MAX).await?;
    orders.reverse();
    Ok(Json(orders))
}

/// The product.
pub(crate) async fn product(State(store): State<Store>) -> Result<Json<Product>, Refusal> {
    let mut read = store.shop().db.begin_read().await?;
    Ok(Json(view::product(&mut read).await?))
}

/// Fills the shelf. What comes is a delivery, so that the stock still adds up.
pub(crate) async fn restock(State(store): State<Store>) -> Result<Json<()>, Refusal> {
    let mut tx = store.shop().db.begin().await?;
    // Locks the widget: what is sold between the count and the delivery would not add up.
    sqlx::query("update products set inventory = inventory where product_id = $1")
        .bind(WIDGET_ID)
        .execute(&mut tx)
        .await?;
    sqlx::query(
        "insert into deliveries (widgets)
         select $1 - inventory
         from products
         where product_id = $2
           and inventory <> $1",
    )
    .bind(SHELF)
    .bind(WIDGET_ID)
    .execute(&mut tx)
    .await?;
    sqlx::query("update products set inventory = $1 where product_id = $2")
        .bind(SHELF)
        .bind(WIDGET_ID)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(Json(()))
}

/// How long a process that was told to die lives on to say that it heard. A browser that gets no
/// answer on a connection that it has used before sends the request again by itself, and would kill
/// the next process too.
const ANSWER_FIRST: Duration = Duration::from_millis(50);

/// What the crash button asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CrashRequest {
    #[serde(default)]
    mode: Button,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Button {
    #[default]
    Now,
    Transaction,
    Chaos,
    Calm,
}

/// The crash button.
pub(crate) async fn crash_application(
    State(store): State<Store>,
    body: Bytes,
) -> Result<Json<()>, Refusal> {
    let request = if body.is_empty() {
        CrashRequest::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Refusal::bad_request(&error))?
    };
    let switch = &store.shop().crash;
    match request.mode {
        Button::Now => drop(tokio::spawn(async {
            tokio::time::sleep(ANSWER_FIRST).await;
            die(CrashMode::Now)
        })),
        Button::Transaction => switch.arm(),
        Button::Chaos => {
            switch.set_chaos(true);
            tell(&Word::Chaos(true));
        }
        Button::Calm => {
            switch.set_chaos(false);
            tell(&Word::Chaos(false));
        }
    }
    Ok(Json(()))
}

/// The source of the checkout, as it runs.
pub(crate) async fn source() -> &'static str {
    include_str!("checkout.rs")
}

/// An answer that is not what was asked for: a status and a sentence.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    text: std::borrow::Cow<'static, str>,
}

impl Refusal {
    /// Asking again, with the same key, is right.
    const AWAY: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        text: std::borrow::Cow::Borrowed("The store is busy; ask again with the same key"),
    };

    const fn not_found(text: &'static str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            text: std::borrow::Cow::Borrowed(text),
        }
    }

    fn bad_request(error: &serde_json::Error) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            text: format!(r#"Send {{"mode":"now"}}, transaction, chaos or calm: {error}"#).into(),
        }
    }
}

impl From<stepwell::Error> for Refusal {
    fn from(error: stepwell::Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unavailable => return Self::AWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text = error.to_string().into();
        Self { status, text }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(error = error.to_string(), "the shop's database failed");
        Self::AWAY
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let value = header::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
