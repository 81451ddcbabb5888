//! Clients that take their time, over TCP.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::Request, routing::get};
use hyper_util::rt::TokioIo;
use stepwell::{App, axum::Serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::{dose, in_time};
use crate::shop::{GO, Shop, router, slow};

/// What the tests wait for.
const SHORT: Duration = Duration::from_millis(300);
/// What they never wait for.
const LONG: Duration = Duration::from_secs(600);

struct Server {
    app: App<Shop>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

/// Answers with a stream of bytes that echoes.
async fn echo(mut request: Request) -> http::Response<Body> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgraded.await.unwrap());
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&byte).await.unwrap();
        }
    });
    let answer = http::Response::builder().status(101);
    let answer = answer
        .header("upgrade", "echo")
        .header("connection", "upgrade");
    answer.body(Body::empty()).unwrap()
}

async fn much() -> Vec<u8> {
    vec![b'x'; 64 * 1024 * 1024]
}

/// A server that waits long for everything but what the test sets.
async fn server(settings: impl FnOnce(Serve<Shop>) -> Serve<Shop>) -> Server {
    let app = App::builder("shop")
        .database("sqlite::memory:")
        .state(Shop::default());
    let app = app.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let routes = Router::new()
        .route("/echo", get(echo))
        .route("/much", get(much))
        .merge(router(app.clone()));
    let serve = Serve::new(listener, routes, app.clone())
        .header_timeout(LONG)
        .body_timeout(LONG)
        .idle_timeout(LONG)
        .write_timeout(LONG);
    let until = async { drop(stopped.await) };
    let served = tokio::spawn(settings(serve).run_until(until));
    Server {
        app,
        address,
        stop,
        served,
    }
}

impl Server {
    async fn client(&self, sends: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sends.as_bytes()).await.unwrap();
        stream
    }

    async fn is_alive(&self) {
        let mut stream = self.client("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = in_time(until(&mut stream, "live\"")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        in_time(self.served).await.unwrap().unwrap();
    }
}

/// Reads until the text has come, or the end.
async fn until(stream: &mut TcpStream, enough: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(enough) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    text
}

/// Reads to the end: the server has let go of the connection.
async fn end_of(mut stream: TcpStream) -> String {
    in_time(until(&mut stream, "\0")).await
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let server = server(|serve| serve.header_timeout(SHORT)).await;
    let mut all = Vec::new();
    for _ in 0..20 * dose() {
        all.push(server.client("GET /livez HTTP/1.1\r\nhost: ").await);
    }
    for stream in all {
        assert_eq!(end_of(stream).await, "");
    }
    server.is_alive().await;
    server.end().await;
}

#[tokio::test]
async fn a_header_that_drips_has_no_longer() {
    let server = server(|serve| serve.header_timeout(SHORT)).await;
    let (mut read, mut write) = server
        .client("GET /livez HTTP/1.1\r\nhost: ")
        .await
        .into_split();
    let drip = async {
        let mut pace = tokio::time::interval(SHORT / 10);
        while write.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    };
    let ended = async {
        let mut nothing = Vec::new();
        drop(read.read_to_end(&mut nothing).await);
        nothing
    };
    in_time(async {
        tokio::select! {
            () = drip => {}
            answer = ended => assert!(!answer.starts_with(b"HTTP/1.1 200")),
        }
    })
    .await;
    server.is_alive().await;
    server.end().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = server(|serve| serve.idle_timeout(SHORT).header_timeout(SHORT)).await;
    assert_eq!(end_of(server.client("").await).await, "");
    let used = server
        .client("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(end_of(used).await.contains("live\""));
    server.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let server = server(|serve| serve.body_timeout(SHORT)).await;
    let half = "POST /pay HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{\"amount\":";
    let mut all = Vec::new();
    for _ in 0..20 * dose() {
        all.push(server.client(half).await);
    }
    for stream in all {
        let answer = end_of(stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    server.is_alive().await;
    server.end().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_let_go() {
    let server = server(|serve| serve.write_timeout(SHORT).connections_max(1)).await;
    let greedy = server.client("GET /much HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // There is one place, and the other one holds it.
    server.is_alive().await;
    drop(greedy);
    server.end().await;
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    let server = server(|serve| serve.connections_max(2)).await;
    let silent = [server.client("GET ").await, server.client("GET ").await];
    let mut third = server
        .client("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    // The two are served, or this would be answered by now: the application has seen their places go.
    let early = tokio::time::timeout(SHORT, until(&mut third, "live\""));
    assert!(early.await.is_err(), "a third one is served");
    drop(silent);
    let answer = in_time(until(&mut third, "live\"")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.end().await;
}

#[tokio::test]
async fn what_is_slow_by_nature_is_not_cut() {
    let settings = |serve: Serve<Shop>| {
        let serve = serve.header_timeout(SHORT).idle_timeout(SHORT);
        serve.body_timeout(SHORT).write_timeout(SHORT)
    };
    let server = server(settings).await;
    server.app.launch().await.unwrap();
    let started = server.app.start(slow("ann".to_owned()).id("j")).await;
    let mut events = server
        .client("GET /jobs/j/events HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    in_time(until(&mut events, "event: status")).await;
    let ask = "GET /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    let mut echo = server.client(ask).await;
    in_time(until(&mut echo, "\r\n\r\n")).await;
    echo.write_all(b"a").await.unwrap();
    in_time(until(&mut echo, "a")).await;
    // Two connections that say nothing are closed one after the other: every limit has passed.
    for _ in 0..2 {
        end_of(server.client("").await).await;
    }
    echo.write_all(b"b").await.unwrap();
    assert_eq!(in_time(until(&mut echo, "b")).await, "b");
    server.app.send("j", GO, true).await.unwrap();
    let told = in_time(until(&mut events, "succeeded")).await;
    assert!(told.contains("succeeded"), "{told}");
    drop(started);
    server.end().await;
}
