//! [`dead_letters`]: what did not do its work, for operators and their programs.

mod bulk;
mod letters;
mod operators;

use axum::{
    Router,
    routing::{get, post},
};
use stepwell_core::App;

use operators::Operators;

/// Routes for dead letters, to be nested wherever you like, behind your own authentication: it says by
/// [`Access`](crate::Access) who may look and who may act.
///
/// | route | does |
/// |---|---|
/// | `GET /groups` | dead letters that nobody has acknowledged, grouped by what they have in common |
/// | `GET /letters?name=…&state=…&fingerprint=…&queue=…&acknowledged=true&before=…&limit=…` | a page of them, newest first, 100 unless `limit` says otherwise, at most 1,000; `next` is the `before` of the next page. `acknowledged=true` shows those that were acknowledged, too |
/// | `GET /letters/{id}` | one, with its input, its error and its operations |
/// | `POST /letters/{id}/redrive` | tries it again and says as which workflow, `again`: `{"from": "failed_step"}` (default) or `"start"`; or `{"input": […]}`, from its beginning with other arguments. A second time it starts nothing |
/// | `POST /letters/{id}/acknowledge` | `{"note": "…"}`: nobody need look at it any more |
/// | `DELETE /letters/{id}` | deletes it, with all that is kept of it |
/// | `POST /redrives` | 202 and the `Location` of a workflow that tries many again: `{"name", "state", "fingerprint", "queue", "from", "rate": {"starts": 100, "period_ms": 1000}, "letters_max", "failures_max"}`; see [`Redrive`](stepwell_core::redrive::Redrive). At least one of the first four is needed. With an `id` the same request may be sent again |
/// | `GET /redrives`, `GET /redrives/{id}` | those workflows; one, with its `progress` |
/// | `POST /redrives/{id}/stop`, `POST /redrives/{id}/resume` | stops it, and lets it go on where it stopped |
///
/// Answers are JSON, errors problem+json. A database that does not answer in time is a 503 (see
/// [`StoreTimeout`](crate::StoreTimeout)), and what was asked of it may still happen.
/// The content of letters is shown as it is, secrets included. A
/// member of a body that is not known is refused: one that is misspelt must not make a redrive a
/// larger one. Requests that change something are JSON, or `DELETE`, so that no form of another site
/// can send them in a browser's name.
pub fn dead_letters<S, R>(app: &App<S>) -> Router<R>
where
    S: Send + Sync + 'static,
    R: Clone + Send + Sync + 'static,
{
    let operators = Operators {
        client: app.client().clone(),
        body_bytes_max: app.payload_bytes_max(),
    };
    Router::new()
        .route("/groups", get(letters::groups))
        .route("/letters", get(letters::list))
        .route("/letters/{id}", get(letters::show).delete(letters::delete))
        .route("/letters/{id}/redrive", post(letters::redrive))
        .route("/letters/{id}/acknowledge", post(letters::acknowledge))
        .route("/redrives", get(bulk::list).post(bulk::start))
        .route("/redrives/{id}", get(bulk::show))
        .route("/redrives/{id}/stop", post(bulk::stop))
        .route("/redrives/{id}/resume", post(bulk::resume))
        .with_state(operators)
}
