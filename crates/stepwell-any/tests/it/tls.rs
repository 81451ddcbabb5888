//! A pool does what the URL says about encryption: the same URL is the engine's.

use sqlx::postgres::PgPool;
use stepwell::AnyPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers the request for encryption with yes, and returns the first byte that the client sends then.
async fn first_byte_after_yes(listener: TcpListener) -> u8 {
    let (mut socket, _) = listener.accept().await.unwrap();
    // PostgreSQL's SSLRequest: its length, 8, and the code 80877103.
    let mut request = [0; 8];
    socket.read_exact(&mut request).await.unwrap();
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "no SSLRequest");
    socket.write_all(b"S").await.unwrap();
    socket.read_u8().await.unwrap()
}

/// The record type of a TLS handshake.
const HANDSHAKE: u8 = 22;

#[tokio::test]
async fn pools_encrypt_when_the_url_asks_for_it() {
    for mode in ["require", "verify-full"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://shop@127.0.0.1:{port}/shop?sslmode={mode}");
        let said = tokio::select! {
            said = first_byte_after_yes(listener) => said,
            pool = AnyPool::connect(&url) => panic!("{mode}: {:?}", pool.map(drop)),
        };
        assert_eq!(said, HANDSHAKE, "{mode}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://shop@127.0.0.1:{port}/shop?sslmode={mode}");
        let said = tokio::select! {
            said = first_byte_after_yes(listener) => said,
            pool = PgPool::connect(&url) => panic!("{mode}: {:?}", pool.map(drop)),
        };
        assert_eq!(said, HANDSHAKE, "{mode}");
    }
}
