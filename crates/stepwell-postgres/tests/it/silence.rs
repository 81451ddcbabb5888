//! Something between us and the server takes our bytes and never answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use stepwell_core::{
    ExecutorId, Timestamp,
    store::{
        Batch, ExecutorStore, Filter, Renewal, Renewed, Store, StoreErrorKind, TakeOver,
        WorkflowStore,
    },
};
use stepwell_postgres::PostgresStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
};

use crate::server::{new_executor, unique, url};

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

/// A store behind a proxy that can fall silent.
async fn behind_a_proxy(settings: &str) -> (PostgresStore, Arc<AtomicBool>) {
    let config: tokio_postgres::Config = url().parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let (address, silence) = proxy(([127, 0, 0, 1], port).into()).await;
    let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let schema = unique("silence");
    let through = format!("postgres://{user}@{address}/{database}?schema={schema}&{settings}");
    (PostgresStore::open(&through).await.unwrap(), silence)
}

fn look(executor: &ExecutorId) -> TakeOver {
    TakeOver {
        executor: executor.clone(),
        workflows_max: 10,
        at: Timestamp::MAX,
        answered_for: Duration::MAX,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_answers_fails_and_the_next_one_gets_through() {
    let (store, silence) = behind_a_proxy("statement_timeout=500").await;
    store.list(Filter::default()).await.unwrap();

    silence.store(true, SeqCst);
    let error = store.list(Filter::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("no answer came"), "{error}");
    store.list(Filter::default()).await.unwrap();
}

/// As long as a statement may take here, every lease would have ended: what a lease stands on asks
/// again on another connection, and those who wait on silent ones hear that others got an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_does_not_wait_for_a_silent_connection() {
    let (store, silence) = behind_a_proxy("statement_timeout=600000").await;
    let store = Arc::new(store);
    let executor = new_executor();
    let me = executor.id.clone();
    store.register(executor).await.unwrap();
    store.list(Filter::default()).await.unwrap();
    let batch = Batch {
        executor: Some(me.clone()),
        changes: Vec::new(),
    };
    store.commit(batch.clone()).await.unwrap();

    silence.store(true, SeqCst);
    let (reads, writes) = (Arc::clone(&store), Arc::clone(&store));
    let reads = tokio::spawn(async move { reads.list(Filter::default()).await });
    let writes = tokio::spawn(async move { writes.commit(batch).await });
    let in_time = tokio::time::timeout(Duration::from_secs(60), async {
        assert_eq!(
            store.renew(Renewal::of(me.clone())).await.unwrap(),
            Renewed::Live
        );
        store.take_over(look(&me)).await.unwrap();
        for given_up in [
            reads.await.unwrap().map(drop).unwrap_err(),
            writes.await.unwrap().map(drop).unwrap_err(),
        ] {
            assert_eq!(given_up.kind(), StoreErrorKind::Unavailable);
            assert!(given_up.to_string().contains("others got"), "{given_up}");
        }
        store.list(Filter::default()).await.unwrap();
    });
    in_time
        .await
        .expect("somebody waits for a silent connection");
}
