//! Seeing that an operation was dropped half way by something that knows nothing of replay: a plain
//! timeout, a plain select.

use std::sync::{Arc, MutexGuard, PoisonError, atomic::Ordering};

use super::{Interrupt, Run};
use crate::{id::WorkflowId, position::Position};

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

/// The children that the losers of a race awaited, which nobody wants any more.
#[derive(Debug)]
pub(crate) struct Lost<'r> {
    run: &'r Run,
    children: Vec<WorkflowId>,
}

impl Lost<'_> {
    pub(crate) fn children(mut self) -> Vec<WorkflowId> {
        std::mem::take(&mut self.children)
    }
}

impl Drop for Lost<'_> {
    /// The race is dropped itself before it was won, as a loser of another one: those are its losses.
    fn drop(&mut self) {
        if self.run.dropping_losers.load(Ordering::SeqCst) {
            self.run.lost_children().append(&mut self.children);
        }
    }
}

impl Run {
    /// Drops the members of a race that lost, and says which children they awaited.
    pub(crate) fn drop_losers<T>(&self, losers: T) -> Lost<'_> {
        self.dropping_losers.store(true, Ordering::SeqCst);
        drop(losers);
        self.dropping_losers.store(false, Ordering::SeqCst);
        Lost {
            run: self,
            children: std::mem::take(&mut *self.lost_children()),
        }
    }

    /// Hears that a child is not awaited any more, if that is because another member of a race won.
    pub(crate) fn leave_child(&self, child: &str) {
        if !self.dropping_losers.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(child) = WorkflowId::new(child) {
            self.lost_children().push(child);
        }
    }

    fn lost_children(&self) -> MutexGuard<'_, Vec<WorkflowId>> {
        self.lost_children
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
