//! The body of a request that must come in time.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

/// How many bytes give a body another second.
const BYTES_A_SECOND: u64 = 16 * 1024;

/// The error of a body that did not come in time.
#[derive(Debug)]
pub(crate) struct BodyTimedOut;

impl fmt::Display for BodyTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body did not come in time")
    }
}

impl std::error::Error for BodyTimedOut {}

/// A body, and the time that it has. The time begins when somebody reads.
pub(super) struct TimedBody {
    body: Incoming,
    timeout: Duration,
    bytes: u64,
    reading: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl TimedBody {
    pub(super) fn new(body: Incoming, timeout: Duration) -> Self {
        Self {
            body,
            timeout,
            bytes: 0,
            reading: None,
        }
    }
}

/// How long a body may take of which so much has come: a client that sends a byte now and then does
/// not go on for ever, and a large body that keeps coming is not cut.
fn allowed(timeout: Duration, bytes: u64) -> Duration {
    timeout.saturating_add(Duration::from_secs(bytes / BYTES_A_SECOND))
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let (began, sleep) = this.reading.get_or_insert_with(|| {
            let sleep = Box::pin(tokio::time::sleep(this.timeout));
            (Instant::now(), sleep)
        });
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
                if began.elapsed() > allowed(this.timeout, this.bytes) {
                    return Poll::Ready(Some(Err(Box::new(BodyTimedOut))));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|it| it.map_err(Into::into))),
            Poll::Pending => {
                let until = *began + allowed(this.timeout, this.bytes);
                if sleep.deadline() != until {
                    sleep.as_mut().reset(until);
                }
                match sleep.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(Box::new(BodyTimedOut)))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_second_more_for_each_16_kib() {
        let timeout = Duration::from_secs(30);
        assert_eq!(allowed(timeout, 0), timeout);
        assert_eq!(allowed(timeout, 16 * 1024 - 1), timeout);
        assert_eq!(allowed(timeout, 2 * 1024 * 1024).as_secs(), 30 + 128);
        assert_eq!(allowed(Duration::MAX, u64::MAX), Duration::MAX);
    }
}
