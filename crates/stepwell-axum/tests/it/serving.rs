//! Serving for real: over TCP, until it is told to stop.

use std::net::SocketAddr;

use stepwell::{App, axum::serve_until};
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

async fn serve() -> Server {
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
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !enough(&text) {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    (stream, text)
}

#[tokio::test]
async fn health_tells_live_from_ready_and_the_shop_is_served() {
    let server = serve().await;
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
    let server = serve().await;
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
