//! Clients whose server has a database that does not answer.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use axum::{Extension, Router, body::Body, routing::post};
use http::Request;
use sqlx::{Connection, SqliteConnection};
use stepwell::{
    App,
    axum::{Access, dead_letters, layer, run},
};
use tower::ServiceExt;

use super::in_time;
use crate::shop::{Shop, fails, pay};

#[tokio::test]
async fn a_start_that_the_database_does_not_answer_is_a_503_and_may_still_happen() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("shop.db").display());
    let app = App::builder("shop").database(&url).state(Shop::default());
    let app = app.launch().await.unwrap();
    let router: Router = Router::new()
        .route("/pay", post(run(pay)))
        .layer(layer(&app).store_timeout(Duration::from_millis(100)))
        .with_state(app.clone());
    // As a backup or a migration does.
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let begin = sqlx::query("begin immediate").execute(&mut other);
    begin.await.unwrap();

    let request = Request::post("/pay").header("content-type", "application/json");
    let request = request.body(Body::from(r#"{"amount": 5}"#)).unwrap();
    let answer = in_time(router.oneshot(request)).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");

    let end = sqlx::query("rollback").execute(&mut other);
    end.await.unwrap();
    in_time(async {
        while app.state().charges.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    app.shutdown().await;
}

#[tokio::test]
async fn operators_hear_that_the_database_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("shop.db").display());
    let app = App::builder("shop").database(&url).state(Shop::default());
    let app = app.launch().await.unwrap();
    app.run(fails().id("f")).await.unwrap_err();
    let router: Router = dead_letters(&app)
        .layer(Extension(Access::Full))
        .layer(layer(&app).store_timeout(Duration::from_millis(100)));
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let begin = sqlx::query("begin immediate").execute(&mut other);
    begin.await.unwrap();

    for (method, path, body) in [
        ("POST", "/letters/f/acknowledge", r#"{"note": "seen"}"#),
        ("POST", "/letters/f/redrive", ""),
        ("POST", "/redrives", r#"{"name": "fails"}"#),
        ("DELETE", "/letters/f", ""),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from(body)).unwrap();
        let answer = in_time(router.clone().oneshot(request)).await.unwrap();
        assert_eq!(answer.status(), 503, "{method} {path}");
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    let end = sqlx::query("rollback").execute(&mut other);
    end.await.unwrap();
    app.shutdown().await;
}
