//! The routes.

mod operators;
mod views;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use stepwell::{
    App,
    axum::{dead_letters, layer, run, start, status, transaction},
    events::Sources,
    otel::Prometheus,
};

use crate::{
    accounts::{append_event, rebuild_accounts},
    payments::process_payment,
    processor::Processor,
    readings,
};
use operators::{Token, operators};

/// All routes.
pub fn router(
    app: &App<Processor>,
    sources: &Sources<Processor>,
    prometheus: &Prometheus,
    operator_token: Option<String>,
) -> Router {
    let token = Token::new(operator_token);
    let operated = dead_letters(app).layer(middleware::from_fn_with_state(token, operators));
    Router::new()
        .route(
            "/payments",
            post(run(process_payment).joins().requires_key()),
        )
        .route("/readings", post(readings::read))
        .route(
            "/accounts/{account_id}/events",
            post(run(append_event).joins().requires_key()),
        )
        .route(
            "/rebuilds",
            post(start(rebuild_accounts).status_at("/rebuilds")),
        )
        .route("/rebuilds/{id}", get(status(rebuild_accounts)))
        .route(
            "/accounts/{account_id}",
            get(transaction(views::account).read_only()),
        )
        .route(
            "/inventory/{product_id}",
            get(transaction(views::product).read_only()),
        )
        .route(
            "/orders/{order_id}",
            get(transaction(views::order).read_only()),
        )
        .route(
            "/payments/{payment_id}",
            get(transaction(views::payment).read_only()),
        )
        .route("/event-log", get(transaction(views::event_log).read_only()))
        .route("/outside", get(transaction(views::outside).read_only()))
        .with_state(app.clone())
        .merge(sources.routes())
        .nest("/dead-letters", operated)
        .layer(layer(app))
        .merge(prometheus.routes(app))
}
