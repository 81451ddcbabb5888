//! Handlers that are one transaction.

use axum::{
    Json, Router,
    body::Body,
    extract::Path,
    routing::{get, post},
};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sqlx::{Row, SqlitePool, sqlite::SqlitePoolOptions};
use stepwell::{
    App, Failure, SqliteTx,
    axum::{HttpError, Problem, layer, testing::TestApp, transact, transaction},
};

#[derive(stepwell::State)]
struct Books {
    #[provide]
    pool: SqlitePool,
}

async fn find(mut tx: SqliteTx, Path(id): Path<i64>) -> stepwell::Result<Json<Value>> {
    let found = sqlx::query("select title from books where id = ?").bind(id);
    let missing = HttpError::new(StatusCode::NOT_FOUND).message("Book not found");
    let row = found.fetch_optional(&mut tx).await?.ok_or(missing)?;
    Ok(Json(json!({ "id": id, "title": row.get::<String, _>(0) })))
}

async fn add(mut tx: SqliteTx, Json(title): Json<String>) -> Result<String, Failure> {
    sqlx::query("insert into books (title) values (?)")
        .bind(&title)
        .execute(&mut tx)
        .await?;
    match title.as_str() {
        "forbidden" => Err(HttpError::new(StatusCode::FORBIDDEN).into()),
        "wrong" => Err(sqlx::query("insert into secrets values (1)")
            .execute(&mut tx)
            .await
            .unwrap_err()
            .into()),
        "panic" => panic!("a bug"),
        _ => Ok(title),
    }
}

async fn count(mut tx: SqliteTx) -> Result<String, Problem> {
    let row = sqlx::query("select count(*) from books")
        .fetch_one(&mut tx)
        .await
        .unwrap();
    Ok(row.get::<i64, _>(0).to_string())
}

async fn books() -> TestApp<Books> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    sqlx::query("create table books (id integer primary key, title text not null)")
        .execute(&pool)
        .await
        .unwrap();
    TestApp::new(Books { pool }, |app: App<Books>| {
        Router::new()
            .route("/books", post(transaction(add)).get(transaction(count)))
            .route("/books/{id}", get(transaction(find).read_only()))
            .route("/drafts", post(transaction(add).read_only()))
            .layer(layer(&app))
            .with_state(app)
    })
    .await
}

async fn send(books: &TestApp<Books>, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let response = books
        .oneshot(request.body(Body::from(body.to_owned())).unwrap())
        .await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn counted(books: &TestApp<Books>) -> String {
    send(books, "GET", "/books", "").await.1
}

#[tokio::test]
async fn a_handler_is_one_transaction() {
    let books = books().await;
    let added = send(&books, "POST", "/books", r#""Ulysses""#).await;
    assert_eq!(added, (200, "Ulysses".to_owned()));
    let (status, found) = send(&books, "GET", "/books/1", "").await;
    assert_eq!(
        (status, found.as_str()),
        (200, r#"{"id":1,"title":"Ulysses"}"#)
    );
    let (status, missing) = send(&books, "GET", "/books/2", "").await;
    assert_eq!(status, 404);
    assert!(missing.contains("Book not found"), "{missing}");
}

#[tokio::test]
async fn an_error_and_a_panic_undo_the_transaction_and_tell_nothing() {
    let books = books().await;
    for (title, expected) in [("forbidden", 403), ("wrong", 500), ("panic", 500)] {
        let (status, text) = send(&books, "POST", "/books", &json!(title).to_string()).await;
        assert_eq!(status, expected, "{title}");
        assert!(!text.contains("secrets") && !text.contains("bug"), "{text}");
    }
    assert_eq!(counted(&books).await, "0");
}

#[tokio::test]
async fn what_cannot_be_read_begins_no_transaction() {
    let books = books().await;
    assert_eq!(send(&books, "POST", "/books", "\"").await.0, 400);
    assert_eq!(send(&books, "GET", "/books/x", "").await.0, 400);
}

#[tokio::test]
async fn a_part_of_a_handler_is_a_transaction_too() {
    let books = books().await;
    let added = transact(books.app().state(), async |mut tx: SqliteTx| {
        let add = sqlx::query("insert into books (title) values ('Emma')");
        Ok(add.execute(&mut tx).await?.rows_affected())
    });
    assert_eq!(added.await.unwrap(), 1);
    assert_eq!(counted(&books).await, "1");
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503() {
    let books = books().await;
    books.app().state().pool.close().await;
    let (status, text) = send(&books, "GET", "/books", "").await;
    assert_eq!(status, 503);
    assert!(!text.contains("pool"), "{text}");
}

#[tokio::test]
async fn a_handler_that_only_reads_keeps_nothing_that_it_writes() {
    let books = books().await;
    let (status, text) = send(&books, "POST", "/drafts", r#""Emma""#).await;
    assert_eq!(status, 500);
    assert!(!text.contains("read-only"), "{text}");
    assert_eq!(counted(&books).await, "0");
}
