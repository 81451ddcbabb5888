//! How fast a waiting workflow wakes, and a queue's first one begins.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Error, Library};

/// Long enough for a workflow that was started to wait, and for a reader to be on its way.
const SETTLE: Duration = Duration::from_millis(30);

/// A moment inside a workflow, for those who measure from outside.
#[derive(Debug)]
pub(crate) struct Mark(Mutex<Option<Instant>>);

/// The first message has arrived.
pub(crate) static RECEIVED: Mark = Mark::new();
/// The event is about to be published.
pub(crate) static PUBLISHED: Mark = Mark::new();
/// The workflow is about to end.
pub(crate) static ENDED: Mark = Mark::new();
/// The step of the workflow from the queue has begun.
pub(crate) static STEPPED: Mark = Mark::new();

impl Mark {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn take(&self) -> Result<Instant, Error> {
        let mark = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        mark.ok_or_else(|| "a workflow did not get as far as it should have".into())
    }
}

/// Latencies in µs of workflows that wait, one by one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wakes {
    pub(crate) send_receive: Vec<f64>,
    pub(crate) set_read: Vec<f64>,
    pub(crate) finish_result: Vec<f64>,
}

/// Latencies in µs of workflows from an idle queue, one by one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) first_step: Vec<f64>,
    pub(crate) result: Vec<f64>,
}

/// Wakes so many workflows by messages, and their readers by an event and by a result.
pub(crate) async fn wakes<L: Library>(library: &L, times: usize) -> Result<Wakes, Error> {
    let mut wakes = Wakes::default();
    for _ in 0..times {
        let (id, handle) = library.start_waiter().await?;
        let (reading, event_of) = (library.clone(), id.clone());
        let reader = tokio::spawn(async move {
            reading.read_event(event_of).await?;
            Ok::<_, Error>(Instant::now())
        });
        let waiting = library.clone();
        let waiter = tokio::spawn(async move {
            waiting.result(handle).await?;
            Ok::<_, Error>(Instant::now())
        });
        tokio::time::sleep(SETTLE).await;
        let sent = Instant::now();
        library.send(&id).await?;
        let read = reader.await??;
        wakes.send_receive.push(us(RECEIVED.take()? - sent));
        wakes.set_read.push(us(read - PUBLISHED.take()?));
        tokio::time::sleep(SETTLE).await;
        library.send(&id).await?;
        let done = waiter.await??;
        wakes.finish_result.push(us(done - ENDED.take()?));
    }
    Ok(wakes)
}

/// Puts workflows into an idle queue, one by one. A library that polls is met at another moment of
/// its `poll` each time.
pub(crate) async fn queued<L: Library>(
    library: &L,
    times: u32,
    poll: Duration,
) -> Result<Queued, Error> {
    let mut queued = Queued::default();
    for time in 0..times {
        tokio::time::sleep(poll * time / times).await;
        let enqueued = Instant::now();
        library.run_queued().await?;
        queued.result.push(us(enqueued.elapsed()));
        queued.first_step.push(us(STEPPED.take()? - enqueued));
    }
    Ok(queued)
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
