//! What of a run touches the world just now.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::Run;

/// What may be running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Step,
    Transaction,
}

/// Counts a step or a transaction that is running, so that a cancellation or a shutdown can wait for
/// it.
#[derive(Debug)]
pub(crate) struct Running {
    run: Arc<Run>,
    work: Work,
}

impl Running {
    /// Counts it. Never returns when nothing new is to begin: the executor stops, and would cut it
    /// short.
    pub(crate) async fn begin(run: &Arc<Run>, work: Work) -> Self {
        let running = Self {
            run: Arc::clone(run),
            work,
        };
        running.count().fetch_add(1, Ordering::SeqCst);
        // Counted first. A shutdown says that it stops and then looks at the count: so it waits for
        // this one, or this one does not begin.
        if run.engine.stopping.is_cancelled() {
            drop(running);
            return std::future::pending().await;
        }
        running
    }

    fn count(&self) -> &AtomicU32 {
        match self.work {
            Work::Step => &self.run.steps,
            Work::Transaction => &self.run.transactions,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.count().fetch_sub(1, Ordering::SeqCst);
        self.run.step_ended.notify_waiters();
    }
}
