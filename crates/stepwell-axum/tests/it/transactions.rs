//! Handlers that are one transaction.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

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
    App, BoxFuture, Committed, Failure, Isolation, Operation, Payload, SqliteTx, Tx, TxError,
    TxOptions, Witness,
    axum::{HttpError, Problem, layer, testing::TestApp, transact, transact_with, transaction},
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
    books_with(|app, routes| routes.layer(layer(app))).await
}

type Routes = Router<App<Books>>;

async fn books_with(around: fn(&App<Books>, Routes) -> Routes) -> TestApp<Books> {
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
        let routes = Router::new()
            .route("/books", post(transaction(add)).get(transaction(count)))
            .route("/books/{id}", get(transaction(find).read_only()))
            .route("/drafts", post(transaction(add).read_only()));
        around(&app, routes).with_state(app)
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
async fn a_request_of_another_site_writes_nothing_without_the_layer_either() {
    let books = books_with(|_, routes| routes).await;
    let request = Request::post("/books")
        .header("content-type", "application/json")
        .header("sec-fetch-site", "cross-site");
    let answer = books.oneshot(request.body(Body::from(r#""Emma""#)).unwrap());
    assert_eq!(answer.await.status(), 403);
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

/// A transaction whose commit others are in the way of, as often as its source says.
struct Contended;

impl Tx for Contended {
    type Source = AtomicU32;
    type Home = bool;

    fn begin(
        source: &AtomicU32,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, bool), TxError>> {
        assert_eq!(options.isolation, Some(Isolation::Serializable));
        let is_free = source.fetch_sub(1, SeqCst) == 0;
        Box::pin(async move { Ok((Self, is_free)) })
    }

    fn witnessed<'a>(
        _: &'a AtomicU32,
        _: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        Box::pin(async { unreachable!("there is no workflow") })
    }

    fn commit(_: bool, _: Witness) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async { unreachable!("there is no workflow") })
    }

    fn commit_plain(is_free: bool) -> BoxFuture<'static, Result<(), TxError>> {
        let conflict = || TxError::conflict("another transaction was in the way");
        Box::pin(async move { is_free.then_some(()).ok_or_else(conflict) })
    }

    fn rollback(_: bool) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn conflict(_: &bool) -> bool {
        false
    }
}

#[tokio::test]
async fn a_commit_that_others_are_in_the_way_of_is_run_again() {
    let options = TxOptions {
        isolation: Some(Isolation::Serializable),
        ..TxOptions::default()
    };
    for (conflicts, runs_expected) in [(0, Some(1)), (3, Some(4)), (1_000, None)] {
        let mut runs = 0;
        let source = AtomicU32::new(conflicts);
        let ran = transact_with(&source, options, |_: Contended| {
            runs += 1;
            std::future::ready(Ok(()))
        });
        let ran = ran.await;
        match runs_expected {
            Some(expected) => assert_eq!((ran.is_ok(), runs), (true, expected)),
            None => assert_eq!(ran.unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503() {
    let books = books().await;
    books.app().state().pool.close().await;
    let (status, text) = send(&books, "GET", "/books", "").await;
    assert_eq!(status, 503);
    assert!(!text.contains("pool"), "{text}");
}

/// The call that a database does not answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Silence {
    Begin,
    Statement,
    Commit,
}

/// A transaction on such a database.
struct Silent(Silence);

impl Tx for Silent {
    type Source = Silence;
    type Home = Silence;

    fn begin(at: &Silence, _: TxOptions) -> BoxFuture<'_, Result<(Self, Silence), TxError>> {
        Box::pin(async move {
            match at {
                Silence::Begin => std::future::pending().await,
                at => Ok((Self(*at), *at)),
            }
        })
    }

    fn witnessed<'a>(
        _: &'a Silence,
        _: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>> {
        Box::pin(async { unreachable!("there is no workflow") })
    }

    fn commit(_: Silence, _: Witness) -> BoxFuture<'static, Result<Committed, TxError>> {
        Box::pin(async { unreachable!("there is no workflow") })
    }

    fn commit_plain(at: Silence) -> BoxFuture<'static, Result<(), TxError>> {
        Box::pin(async move {
            if at == Silence::Commit {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Ok(())
        })
    }

    fn rollback(_: Silence) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    fn conflict(_: &Silence) -> bool {
        false
    }
}

async fn ask(Silent(at): Silent) -> Result<&'static str, Problem> {
    match at {
        Silence::Statement => std::future::pending().await,
        _ => Ok("done"),
    }
}

/// A commit that is given up could have happened; all else is undone.
#[tokio::test(start_paused = true)]
async fn a_database_that_falls_silent_is_a_503_before_the_commit_and_waited_for_after_it() {
    for (at, path, expected) in [
        (Silence::Begin, "/", 503),
        (Silence::Statement, "/", 503),
        (Silence::Statement, "/patient", 503),
        (Silence::Commit, "/", 200),
    ] {
        let asked = TestApp::new(Unanswered { at }, |app: App<Unanswered>| {
            let patient = transaction(ask).store_timeout(Duration::from_secs(10));
            Router::new()
                .route("/", post(transaction(ask)))
                .route("/patient", post(patient))
                .layer(layer(&app))
                .with_state(app)
        });
        let asked = asked.await;
        let answer = asked.oneshot(Request::post(path).body(Body::empty()).unwrap());
        let answer = super::hostile::in_time(answer).await;
        assert_eq!(answer.status(), expected, "{at:?} {path}");
    }
    let begun = transact(&Silence::Begin, async |_: Silent| Ok(()));
    let problem = super::hostile::in_time(begun).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[derive(stepwell::State)]
struct Unanswered {
    #[provide]
    at: Silence,
}

#[tokio::test]
async fn a_handler_that_only_reads_keeps_nothing_that_it_writes() {
    let books = books().await;
    let (status, text) = send(&books, "POST", "/drafts", r#""Emma""#).await;
    assert_eq!(status, 500);
    assert!(!text.contains("read-only"), "{text}");
    assert_eq!(counted(&books).await, "0");
}
