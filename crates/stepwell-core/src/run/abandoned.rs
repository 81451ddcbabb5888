//! Seeing that an operation was dropped half way by something that knows nothing of replay: a plain
//! timeout, a plain select.

use std::sync::{Arc, atomic::Ordering};

use super::{Interrupt, Run};
use crate::position::Position;

/// Watches over an operation while it runs. Dropped before the operation has ended, it stops the
/// workflow: which side of a plain select won is recorded nowhere, so a replay could differ.
pub(crate) struct Abandoned {
    operation: Option<(Arc<Run>, Position)>,
}

impl Abandoned {
    pub(crate) fn watch(run: Arc<Run>, position: Position) -> Self {
        Self {
            operation: Some((run, position)),
        }
    }

    pub(crate) fn completed(mut self) {
        self.operation = None;
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        let Some((run, position)) = self.operation.take() else {
            return;
        };
        // Losers of a race are dropped by the engine, a panic drops everything.
        if run.dropping_losers.load(Ordering::SeqCst) || std::thread::panicking() {
            return;
        }
        run.control.interrupt(Interrupt::Stuck(format!(
            "operation {position} was dropped before it had ended, which a replay cannot repeat; \
             use `.timeout(…)` on the operation or `stepwell::select!` instead of a plain timeout \
             or select"
        )));
    }
}

impl Run {
    /// Drops the members of a race that lost.
    pub(crate) fn drop_losers<T>(&self, losers: T) {
        self.dropping_losers.store(true, Ordering::SeqCst);
        drop(losers);
        self.dropping_losers.store(false, Ordering::SeqCst);
    }
}
