//! A TCP proxy that breaks connections: at any byte of either direction, or by swallowing all that
//! comes without a word.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How many bytes are moved at once.
const CHUNK: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected.
    ToServer,
    /// To whoever connected.
    ToClient,
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Both sides are told at once, by a reset.
    Reset,
    /// What comes is taken and thrown away, in both directions, and nobody is told. After this time
    /// both sides are reset, as by a firewall that forgot the connection.
    Silence(Duration),
}

/// What is to happen to a connection.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The direction whose bytes are counted.
    pub direction: Direction,
    /// How many bytes more get through.
    pub after: usize,
    /// What happens then.
    pub how: Break,
}

/// A proxy before one address. Dropped, it takes no more connections and resets those that it has.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<Arc<Line>>>,
    reset: AtomicU64,
    silenced: AtomicU64,
    closed: CancellationToken,
}

/// One connection through the proxy.
#[derive(Debug, Default)]
struct Line {
    fault: Mutex<Option<Fault>>,
    silent: AtomicBool,
    cut: CancellationToken,
}

impl Proxy {
    /// Listens on a port of its own and hands connections on to `server`.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, server, Arc::clone(&shared)));
                }
            }
        });
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there are now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lines().len()
    }

    /// Has a fault strike one of the connections, the `index`-th of those that are there now counted
    /// round. Nothing happens while there is none, and one that has a fault to come keeps it.
    pub fn strike(&self, index: usize, fault: Fault) {
        let lines = self.shared.lines();
        if !lines.is_empty() {
            lines[index % lines.len()].arm(fault);
        }
    }

    /// How many connections were reset, and how many silenced.
    #[must_use]
    pub fn struck(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        (count(&self.shared.reset), count(&self.shared.silenced))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.closed.cancel();
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn arm(&self, fault: Fault) {
        self.fault().get_or_insert(fault);
    }

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that came in one direction: how many of them may pass, and what strikes then.
    fn count(&self, direction: Direction, bytes: usize) -> (usize, Option<Break>) {
        let mut armed = self.fault();
        match armed.as_mut() {
            Some(fault) if fault.direction == direction => {
                if fault.after >= bytes {
                    fault.after -= bytes;
                    return (bytes, None);
                }
                let struck = (fault.after, Some(fault.how));
                *armed = None;
                struck
            }
            _ => (bytes, None),
        }
    }
}

async fn serve(client: TcpStream, server: SocketAddr, shared: Arc<Shared>) {
    // Dropped, the client sees what it would see of a server that is not there.
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let line = Arc::<Line>::default();
    shared.lines().push(Arc::clone(&line));
    carry(client, server, &line, &shared).await;
    shared.lines().retain(|other| !Arc::ptr_eq(other, &line));
}

/// Moves bytes until one side is gone or a fault has struck.
async fn carry(mut client: TcpStream, mut server: TcpStream, line: &Line, shared: &Shared) {
    for side in [&client, &server] {
        // A proxy that waits for more bytes would only be slow.
        drop(side.set_nodelay(true));
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        () = pump(from_client, to_server, Direction::ToServer, (line, shared)) => {}
        () = pump(from_server, to_client, Direction::ToClient, (line, shared)) => {}
        () = line.cut.cancelled() => {}
        () = shared.closed.cancelled() => line.cut.cancel(),
    }
    if line.cut.is_cancelled() {
        for side in [&client, &server] {
            // Without it the other side would see an orderly end.
            drop(side.set_zero_linger());
        }
    }
}

async fn pump(
    mut from: tcp::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    direction: Direction,
    (line, shared): (&Line, &Shared),
) {
    let mut bytes = vec![0; CHUNK];
    let mut silence = None;
    loop {
        let read = match silence {
            None => from.read(&mut bytes).await,
            Some(until) => match tokio::time::timeout_at(until, from.read(&mut bytes)).await {
                // Who hangs up a silent connection hangs up alone: the other side is not told.
                Ok(Ok(0) | Err(_)) => {
                    tokio::time::sleep_until(until).await;
                    return line.cut.cancel();
                }
                Ok(read) => read,
                Err(_) => return line.cut.cancel(),
            },
        };
        let Ok(read @ 1..) = read else {
            // The other direction is silent: this end is not to be seen on its side.
            if line.silent.load(Ordering::SeqCst) {
                return line.cut.cancelled().await;
            }
            return;
        };
        let (passes, strikes) = line.count(direction, read);
        let is_silent = line.silent.load(Ordering::SeqCst);
        if !is_silent && to.write_all(&bytes[..passes]).await.is_err() {
            return;
        }
        match strikes {
            None => {}
            Some(Break::Reset) => {
                shared.reset.fetch_add(1, Ordering::SeqCst);
                return line.cut.cancel();
            }
            Some(Break::Silence(length)) => {
                shared.silenced.fetch_add(1, Ordering::SeqCst);
                line.silent.store(true, Ordering::SeqCst);
                silence = Some(tokio::time::Instant::now() + length);
            }
        }
    }
}
