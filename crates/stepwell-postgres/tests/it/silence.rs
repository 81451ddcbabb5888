//! Something between us and the server takes our bytes and never answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use stepwell_core::store::{Filter, StoreErrorKind, WorkflowStore};
use stepwell_postgres::PostgresStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
};

use crate::server::{unique, url};

/// Passes bytes on until it falls silent; connections that are made afterwards get through again.
async fn proxy(server: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silence = Arc::new(AtomicBool::new(false));
    let falls = Arc::clone(&silence);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(server).await.unwrap();
            // Only those that are there when it falls silent.
            let silent = if falls.load(SeqCst) {
                Arc::default()
            } else {
                Arc::clone(&falls)
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            tokio::spawn(pump(from_client, to_server, Arc::clone(&silent)));
            tokio::spawn(pump(from_server, to_client, silent));
        }
    });
    (address, silence)
}

async fn pump(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, silent: Arc<AtomicBool>) {
    let mut bytes = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if !silent.load(SeqCst) && to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_answers_fails_and_the_next_one_gets_through() {
    let config: tokio_postgres::Config = url().parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let (address, silence) = proxy(([127, 0, 0, 1], port).into()).await;
    let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let schema = unique("silence");
    let through =
        format!("postgres://{user}@{address}/{database}?schema={schema}&statement_timeout=500");
    let store = PostgresStore::open(&through).await.unwrap();
    store.list(Filter::default()).await.unwrap();

    silence.store(true, SeqCst);
    let error = store.list(Filter::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("no answer came"), "{error}");
    store.list(Filter::default()).await.unwrap();
}
