//! A network that loses answers.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::SeqCst},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Stands between a pool and its server.
pub(super) struct Proxy {
    /// The server's URL, by way of the proxy.
    pub(super) url: String,
    next_commit: Arc<NextCommit>,
}

#[derive(Default)]
struct NextCommit {
    fate: AtomicU8,
    /// The server gets the delayed commit now.
    deliver: Notify,
}

const LOSE_ANSWER: u8 = 1;
const DELAY: u8 = 2;

impl Proxy {
    pub(super) async fn before(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (format!("{user}@"), server.to_owned()),
            None => (String::new(), authority.to_owned()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let next_commit = Arc::<NextCommit>::default();
        let shared = Arc::clone(&next_commit);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&shared)));
            }
        });
        Self {
            url: format!("{scheme}://{user}{address}/{path}"),
            next_commit,
        }
    }

    /// The next `commit` is done, and its answer lost.
    pub(super) fn lose_the_next_answer(&self) {
        self.next_commit.fate.store(LOSE_ANSWER, SeqCst);
    }

    /// The next `commit` stays on its way until [`deliver`](Self::deliver), and its client hears
    /// nothing more.
    pub(super) fn delay_the_next_commit(&self) {
        self.next_commit.fate.store(DELAY, SeqCst);
    }

    pub(super) fn deliver(&self) {
        self.next_commit.deliver.notify_one();
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, next: Arc<NextCommit>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(1..) = read else { return };
                let asked = &asked[..read.unwrap_or_default()];
                if asked.starts_with(b"Q") && asked.windows(6).any(|word| word == b"COMMIT") {
                    match next.fate.swap(0, SeqCst) {
                        0 => {}
                        fate => return end(fate, asked, client, server, &next).await,
                    }
                }
                server.write_all(asked).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn end(fate: u8, commit: &[u8], client: TcpStream, mut server: TcpStream, next: &NextCommit) {
    if fate == DELAY {
        drop(client);
        next.deliver.notified().await;
        server.write_all(commit).await.unwrap();
        server.read_u8().await.unwrap();
    } else {
        server.write_all(commit).await.unwrap();
        server.read_u8().await.unwrap();
        drop(client);
    }
}
