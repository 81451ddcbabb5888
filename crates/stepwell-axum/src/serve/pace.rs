//! A stream that a client can neither starve nor stall for ever.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// How long a client may take for each part of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the first byte of a header to its last.
    pub(super) header: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub(super) idle: Duration,
    /// For a body, beside what its size allows.
    pub(super) body: Duration,
    /// Without a byte of an answer being taken.
    pub(super) write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

/// Whether a request of the connection is being answered: then what comes is no header.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

impl Busy {
    /// Counts one more answer until it is dropped.
    pub(super) fn guard(&self) -> BusyGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        BusyGuard(self.clone())
    }

    fn is_busy(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// An answer that is not over.
#[derive(Debug)]
pub(super) struct BusyGuard(Busy);

impl BusyGuard {
    /// The connection is no longer one of requests and answers.
    pub(super) fn for_ever(self) {
        // The count never falls again; the memory goes with the connection.
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer is over when its body is.
    pub(super) fn over(self, body: Body) -> Body {
        Body::new(Answer { body, _busy: self })
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
struct Answer {
    body: Body,
    _busy: BusyGuard,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose client must keep up.
pub(super) struct Paced<T> {
    stream: T,
    limits: Limits,
    busy: Busy,
    /// When the header that has begun must be there.
    header: Option<Pin<Box<Sleep>>>,
    /// When the client must have taken something.
    write: Option<Pin<Box<Sleep>>>,
}

impl<T> Paced<T> {
    pub(super) fn new(stream: T, limits: Limits, busy: Busy) -> Self {
        Self {
            stream,
            limits,
            busy,
            header: None,
            write: None,
        }
    }

    /// The time for a header, which begins with its first byte and ends when it is answered.
    fn check_header(&mut self, cx: &mut Context<'_>, came: usize) -> io::Result<()> {
        if self.busy.is_busy() {
            self.header = None;
            return Ok(());
        }
        if came > 0 && self.header.is_none() {
            self.header = Some(Box::pin(tokio::time::sleep(self.limits.header)));
        }
        match self.header.as_mut().map(|header| header.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Err(too_slow("the header of a request did not come in time")),
            _ => Ok(()),
        }
    }

    /// The time in which a client must take something.
    fn check_write<V>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<V>>,
    ) -> Poll<io::Result<V>> {
        if written.is_ready() {
            self.write = None;
            return written;
        }
        let limit = self.limits.write;
        let write = self
            .write
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(write.as_mut().poll(cx));
        Poll::Ready(Err(too_slow("the client took nothing of its answer")))
    }
}

fn too_slow(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let came = buffer.filled().len() - before;
        self.check_header(cx, came)?;
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.check_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.check_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.check_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check_write(cx, shut)
    }
}
