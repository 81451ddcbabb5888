//! Serving for real: over TCP, until it is told to stop.

use std::net::SocketAddr;

use stepwell::{
    App,
    axum::{serve, serve_until},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::shop::{Shop, router};

struct Server {
    app: App<Shop>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn server() -> Server {
    let app = App::builder("shop")
        .database("sqlite::memory:")
        .state(Shop::default());
    let app = app.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let until = async { drop(stopped.await) };
    let served = tokio::spawn(serve_until(
        listener,
        router(app.clone()),
        app.clone(),
        until,
    ));
    Server {
        app,
        address,
        stop,
        served,
    }
}

/// Sends a request and reads the answer until `enough`, or the connection's end.
async fn request(
    address: SocketAddr,
    request: &str,
    enough: fn(&str) -> bool,
) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let text = read(&mut stream, enough).await;
    (stream, text)
}

/// Reads until `enough`, or the connection's end.
async fn read(stream: &mut TcpStream, enough: fn(&str) -> bool) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !enough(&text) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    text
}

#[tokio::test]
async fn health_tells_live_from_ready_and_the_shop_is_served() {
    let server = server().await;
    let (_, live) = request(server.address, "GET /livez", |text| text.contains("live\"")).await;
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    let (_, ready) = request(server.address, "GET /readyz", |text| {
        text.contains("ready\"")
    })
    .await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let (_, teapot) = request(server.address, "GET /teapot", |text| text.contains("stout")).await;
    assert!(teapot.starts_with("HTTP/1.1 418"), "{teapot}");
    server.stop.send(()).unwrap();
    server.served.await.unwrap().unwrap();
    assert!(!server.app.is_ready());
}

#[tokio::test]
async fn an_open_event_stream_does_not_hold_up_the_end() {
    let server = server().await;
    let handle = server
        .app
        .start(crate::shop::slow("ann".into()).id("j"))
        .await
        .unwrap();
    let (stream, begun) = request(server.address, "GET /jobs/j/events", |text| {
        text.contains("event: stream")
    })
    .await;
    assert!(begun.contains("text/event-stream"), "{begun}");
    server.stop.send(()).unwrap();
    server.served.await.unwrap().unwrap();
    drop(stream);
    assert_eq!(
        handle.status().await.unwrap(),
        stepwell::State::Enqueued,
        "handed back"
    );
}

#[tokio::test]
async fn a_request_that_waits_at_shutdown_is_told_where_to_look() {
    let server = server().await;
    let address = server.address;
    let key = "dbos-idempotency-key: s1";
    let waiting = tokio::spawn(async move {
        let request = format!("POST /slow/ann HTTP/1.1\r\nhost: x\r\n{key}\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read(&mut stream, |text| text.contains("started")).await
    });
    runs(&server.app, "s1").await;
    server.stop.send(()).unwrap();
    let answer = waiting.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(answer.contains("location: /jobs/s1"), "{answer}");
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_is_cut_cancels_nothing() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "POST /slow/ann HTTP/1.1\r\nhost: x\r\ndbos-idempotency-key: s1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    runs(&server.app, "s1").await;
    drop(stream);
    server.app.send("s1", crate::shop::GO, true).await.unwrap();
    let handle = server.app.handle::<crate::shop::slow>("s1");
    assert_eq!(handle.result().await.unwrap(), "ann");
    server.stop.send(()).unwrap();
    server.served.await.unwrap().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_sigterm_stops_in_order() {
    let app = App::builder("shop")
        .database("sqlite::memory:")
        .state(Shop::default());
    let app = app.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(listener, router(app.clone()), app.clone()));
    // Once it answers, it also hears signals.
    let (_, live) = request(address, "GET /livez", |text| text.contains("live\"")).await;
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    let handle = app.start(crate::shop::slow("ann".into())).await.unwrap();
    let me = std::process::id().to_string();
    let mut kill = std::process::Command::new("kill");
    let killed = kill.args(["-TERM", &me]);
    assert!(killed.status().unwrap().success());
    served.await.unwrap().unwrap();
    let state = handle.status().await.unwrap();
    assert_eq!(state, stepwell::State::Enqueued, "handed back");
}

/// Waits until a workflow has recorded something.
async fn runs(app: &App<Shop>, id: &str) {
    while app.client().get(id).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let ready = app.get_event(id, crate::shop::READY);
    assert_eq!(ready.await.unwrap(), Some(7));
}
