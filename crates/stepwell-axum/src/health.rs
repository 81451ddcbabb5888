//! `/livez` and `/readyz`, for whoever watches the process.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::json;
use stepwell_core::App;
use tokio::{sync::Mutex, time::Instant};

/// How long the database may take. Those who ask wait for a second, as a rule.
const ANSWER_MAX: Duration = Duration::from_millis(800);
/// How old an answer of the database may be: it is asked this often, however many ask here.
const ANSWER_OLD_MAX: Duration = Duration::from_secs(1);

/// `/livez`: the process answers. `/readyz`: it also takes work, and its database answers.
pub(crate) fn health<S: Send + Sync + 'static>(app: App<S>) -> Router {
    let database = Arc::new(Database::default());
    Router::new()
        .route("/livez", get(async || Json(json!({ "status": "live" }))))
        .route("/readyz", get(ready::<S>))
        .with_state((app, database))
}

async fn ready<S: Send + Sync + 'static>(
    State((app, database)): State<(App<S>, Arc<Database>)>,
) -> Response {
    let status = if !app.is_ready() {
        "not ready"
    } else if !database.answers(app.client().get(ASKED_FOR)).await {
        "no database"
    } else {
        return Json(json!({ "status": "ready" })).into_response();
    };
    let answer = Json(json!({ "status": status }));
    (StatusCode::SERVICE_UNAVAILABLE, answer).into_response()
}

/// What the database is asked for; that there is no such workflow is an answer.
const ASKED_FOR: &str = "stepwell.readyz";

/// What is known of the database.
#[derive(Debug, Default)]
struct Database {
    last: Mutex<Option<(Instant, bool)>>,
}

impl Database {
    /// Whether it answers: now, or a moment ago. Those who ask together wait for one answer.
    async fn answers<T, E>(&self, ask: impl Future<Output = Result<T, E>>) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, answers)) = *last
            && at.elapsed() < ANSWER_OLD_MAX
        {
            return answers;
        }
        let answer = tokio::time::timeout(ANSWER_MAX, ask).await;
        let answers = matches!(answer, Ok(Ok(_)));
        *last = Some((Instant::now(), answers));
        answers
    }
}

#[cfg(test)]
mod tests {
    // Links the store.
    use stepwell as _;

    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn statuses(app: &App) -> [u16; 2] {
        let mut statuses = [0; 2];
        for (status, path) in statuses.iter_mut().zip(["/livez", "/readyz"]) {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = health(app.clone()).oneshot(request).await.unwrap();
            *status = response.status().as_u16();
        }
        statuses
    }

    #[tokio::test]
    async fn an_application_is_ready_from_its_launch_until_it_is_told_to_stop() {
        let app = App::builder("health").database("sqlite::memory:");
        let app = app.build().await.unwrap();
        assert_eq!(statuses(&app).await, [200, 503]);
        app.launch().await.unwrap();
        assert_eq!(statuses(&app).await, [200, 200]);
        app.stop_taking_work();
        assert_eq!(statuses(&app).await, [200, 503]);
        app.shutdown().await;
        assert_eq!(statuses(&app).await, [200, 503]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_does_not_answer_is_asked_once_a_second_and_not_waited_for() {
        let (database, asked) = (Database::default(), AtomicUsize::new(0));
        let silent = async || {
            asked.fetch_add(1, SeqCst);
            std::future::pending::<Result<(), ()>>().await
        };
        let began = Instant::now();
        for _ in 0..10 {
            assert!(!database.answers(silent()).await);
        }
        assert_eq!((began.elapsed(), asked.load(SeqCst)), (ANSWER_MAX, 1));
        tokio::time::advance(ANSWER_OLD_MAX).await;
        assert!(!database.answers(async { Err::<(), _>("away") }).await);
        tokio::time::advance(ANSWER_OLD_MAX).await;
        assert!(database.answers(async { Ok::<_, ()>(()) }).await);
    }
}
