//! What of a run touches the world just now.

use std::sync::{Arc, atomic::Ordering};

use super::Run;

/// Counts a step or a transaction that is running, so that a cancellation or a shutdown can wait for
/// it.
#[derive(Debug)]
pub(crate) struct Running(Arc<Run>);

impl Running {
    /// Counts it. Never returns when nothing new is to begin: the executor stops, and would cut it
    /// short.
    pub(crate) async fn begin(run: &Arc<Run>) -> Self {
        run.steps.fetch_add(1, Ordering::SeqCst);
        let running = Self(Arc::clone(run));
        // Counted first. A shutdown says that it stops and then looks at the count: so it waits for
        // this one, or this one does not begin.
        if run.engine.stopping.is_cancelled() {
            drop(running);
            return std::future::pending().await;
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.steps.fetch_sub(1, Ordering::SeqCst);
        self.0.step_ended.notify_waiters();
    }
}
