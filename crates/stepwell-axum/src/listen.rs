//! [`listen`]: the socket that somebody hands over, or one of our own.

use std::io;

use listenfd::ListenFd;
use tokio::net::{TcpListener, ToSocketAddrs};

/// The listening socket that `stepwell dev --port` or systemd hands over (`LISTEN_FDS`); without
/// one, a new socket at `address`.
///
/// A socket that was handed over outlives the process: clients that connect while it is restarted
/// wait instead of being refused.
///
/// Call it once, at the start of the program: the variables are taken out of the environment, so
/// that programs which are started from here do not take the socket, too.
///
/// # Errors
/// If the address cannot be had, or what was handed over is no listening TCP socket.
///
/// # Example
/// ```no_run
/// # async fn example(app: stepwell_core::App, router: axum::Router) -> std::io::Result<()> {
/// let listener = stepwell_axum::listen("127.0.0.1:8000").await?;
/// stepwell_axum::serve(listener, router, app).await
/// # }
/// ```
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    match ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        }
        None => TcpListener::bind(address).await,
    }
}
