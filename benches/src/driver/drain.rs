//! How fast a queue with a limit is worked off.
//!
//! What waits in it stands before a gate: the limit's workflows are taken and wait for it to open.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use super::{Error, Library, number};

/// How many workflows of the queue run at once.
pub(crate) const LIMIT: u32 = 100;
/// Workflows that are put into the queue together.
const STARTS: usize = 500;

static GATE: Semaphore = Semaphore::const_new(0);
static PASSED: AtomicUsize = AtomicUsize::new(0);

/// The step of each workflow: it waits for the gate.
pub(crate) async fn pass() {
    let permit = GATE.acquire().await;
    drop(permit);
    PASSED.fetch_add(1, Ordering::SeqCst);
}

/// Puts so many more workflows into the queue, opens the gate, and says how many a second come out
/// until `slice` have. Those that were taken before the gate opened are not counted.
pub(crate) async fn drain<L: Library>(
    library: &L,
    more: usize,
    slice: usize,
) -> Result<f64, Error> {
    let mut left = more;
    while left > 0 {
        let some = left.min(STARTS);
        try_join_all((0..some).map(|_| library.enqueue_gated())).await?;
        left -= some;
    }
    let limit = usize::try_from(LIMIT)?;
    let before = PASSED.load(Ordering::SeqCst);
    GATE.add_permits(limit);
    passed(before + limit).await;
    let (begun, from) = (Instant::now(), PASSED.load(Ordering::SeqCst));
    passed(before + limit + slice).await;
    let (took, to) = (begun.elapsed(), PASSED.load(Ordering::SeqCst));
    close().await;
    Ok(number(to - from) / took.as_secs_f64())
}

async fn close() {
    let mut held = usize::try_from(LIMIT).unwrap_or(100);
    while held > 0 {
        held -= GATE.forget_permits(held);
        tokio::task::yield_now().await;
    }
}

async fn passed(count: usize) {
    while PASSED.load(Ordering::SeqCst) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
