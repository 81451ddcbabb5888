//! A program that runs no workflows waits for those of another one: a web server, a console.

use std::time::Duration;

use stepwell::{App, Client, Ctx, Event, State, Topic, workflow};

use crate::{database::Database, on_both};

on_both!(
    a_client_hears_at_once_what_another_process_ends,
    an_application_that_was_not_launched_hears_at_once_what_another_process_writes,
);

const GO: Topic<u32> = Topic::new("go");
const HEARD: Event<u32> = Event::new("heard");

/// Enough waits that the safety net under them, a look every five seconds, would take far longer.
const WAITS: u32 = 24;
const PATIENCE: Duration = Duration::from_secs(60);

#[workflow]
async fn echoes(ctx: &mut Ctx) -> stepwell::Result<u32> {
    let number = ctx.recv(GO).await;
    ctx.set_event(HEARD, number).await;
    Ok(number + ctx.recv(GO).await)
}

/// The workflows' own database, beside the user's.
fn workflows(db: &Database) -> String {
    match db.url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite:{path}.workflows"),
        None => db.url.clone(),
    }
}

async fn a_client_hears_at_once_what_another_process_ends(db: &Database) {
    let url = workflows(db);
    let runs = App::builder("watching")
        .database(&url)
        .launch()
        .await
        .unwrap();
    let watches = Client::open(&url).await.unwrap();
    let waits = async {
        for number in 0..WAITS {
            let id = format!("echo-{number}");
            let handle = runs.start(echoes().id(&id)).await.unwrap();
            let waiting = tokio::spawn({
                let watches = watches.clone();
                async move { watches.wait(&id).await }
            });
            handle.send(GO, 1).await.unwrap();
            handle.send(GO, 2).await.unwrap();
            assert_eq!(waiting.await.unwrap().unwrap().state, State::Succeeded);
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waits).await;
    waited.expect("the client looked at the database instead of hearing");
    runs.shutdown().await;
}

async fn an_application_that_was_not_launched_hears_at_once_what_another_process_writes(
    db: &Database,
) {
    let url = workflows(db);
    let runs = App::builder("watching")
        .database(&url)
        .launch()
        .await
        .unwrap();
    let starts = App::builder("watching")
        .database(&url)
        .build()
        .await
        .unwrap();
    let waits = async {
        for number in 0..WAITS {
            let handle = starts.start(echoes()).await.unwrap();
            let event = starts.get_event(handle.id(), HEARD);
            let sent = async { handle.send(GO, number).await };
            let (event, sent) = tokio::join!(event, sent);
            sent.unwrap();
            assert_eq!(event.unwrap(), Some(number));
            let (result, sent) = tokio::join!(handle.result(), handle.send(GO, 1));
            sent.unwrap();
            assert_eq!(result.unwrap(), number + 1);
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waits).await;
    waited.expect("the application looked at the database instead of hearing");
    starts.shutdown().await;
    runs.shutdown().await;
}
