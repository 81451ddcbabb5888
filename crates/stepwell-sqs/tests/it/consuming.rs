//! Messages that are deleted when their workflows have started.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell::{
    ErrorKind, State,
    events::{Delivery, Sources},
    sqs::Sqs,
};
use tempfile::tempdir;
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::endpoint::{Queue, app, client_of, consuming, number, stop, wait_for};

#[tokio::test]
async fn each_message_is_one_workflow_and_poison_is_kept() {
    let queue = Queue::new("each-message", 30).await;
    let mut sent = Vec::new();
    for number in 0..25 {
        sent.push(format!(
            "sqs~event-{}",
            queue.send(&number.to_string()).await
        ));
    }
    queue.send("poison").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let consumers = consuming(&app, queue.sqs(), number);
    let mut done = wait_for(&app, State::Succeeded, 25).await;
    done.sort();
    sent.sort();
    assert_eq!(done, sent);
    let poison = wait_for(&app, State::Failed, 1).await;
    assert!(
        poison[0].starts_with("sqs~event-") && poison[0].contains("~poison-"),
        "{poison:?}"
    );
    queue.wait_until_empty().await;
    stop(app, consumers).await;
}

#[tokio::test]
async fn a_message_says_when_it_was_sent_and_what_it_is() {
    let queue = Queue::new("says", 30).await;
    let id = queue.send("7").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let sqs = queue.sqs().named("orders").kind_attribute("type");
    let consumers = consuming(&app, sqs, move |delivery: &Delivery| {
        *note.lock().unwrap() = Some(delivery.clone());
        number(delivery)
    });
    assert_eq!(
        wait_for(&app, State::Succeeded, 1).await,
        [format!("orders~event-{id}")]
    );
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(
        (seen.kind.as_deref(), seen.attribute("type")),
        (Some("placed"), Some("placed"))
    );
    assert!(seen.at.is_some());
    stop(app, consumers).await;
}

/// A message is hidden for one second only, and nobody deletes it while the database is away.
#[tokio::test]
async fn a_message_that_comes_again_finds_its_workflow() {
    let queue = Queue::new("again", 0).await;
    let id = queue.send("7").await;
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    // Each receives the same message until one has deleted it.
    let consumers = consuming(&app, queue.sqs().receivers(8), number);
    assert_eq!(
        wait_for(&app, State::Succeeded, 1).await,
        [format!("sqs~event-{id}")]
    );
    queue.wait_until_empty().await;
    assert_eq!(wait_for(&app, State::Succeeded, 1).await.len(), 1);
    stop(app, consumers).await;
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_waited_for() {
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let nobody = client_of("http://127.0.0.1:9");
    let consumers = consuming(&app, Sqs::new(nobody, "http://127.0.0.1:9/queue"), number);
    // It stops at once all the same.
    stop(app, consumers).await;
}

/// It hears no answer, as behind a firewall that has forgotten its connection.
#[tokio::test]
async fn a_receiver_goes_on_when_a_request_is_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU32::new(0));
    let silent = tokio::spawn(listen_and_say_nothing(listener, Arc::clone(&requests)));
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let sqs = Sqs::new(client_of(&endpoint), format!("{endpoint}/queue")).receivers(1);
    // Half a minute each, of a clock that does not wait.
    tokio::time::pause();
    let consumers = consuming(&app, sqs, number);
    while requests.load(SeqCst) < 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    silent.abort();
    stop(app, consumers).await;
}

async fn listen_and_say_nothing(listener: TcpListener, requests: Arc<AtomicU32>) {
    let mut open = Vec::new();
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 16 * 1024];
        let read = connection.read(&mut head).await.unwrap();
        if String::from_utf8_lossy(&head[..read]).contains("ReceiveMessage") {
            requests.fetch_add(1, SeqCst);
        }
        open.push(connection);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let folder = tempdir().unwrap();
    let app = app(&folder.path().join("shop.db")).await;
    let sqs = || Sqs::new(client_of("http://127.0.0.1:9"), "http://127.0.0.1:9/q");
    for (sqs, says) in [
        (sqs().receivers(0), "0 receivers"),
        (sqs().in_work(0), "0 messages in work"),
        (sqs().in_work(120_001), "from 1 to 120000"),
    ] {
        let refused = Sources::new(&app).add(sqs, number).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Setup);
        assert!(refused.to_string().contains(says), "{refused}");
    }
    app.shutdown().await;
}
