//! How a run is stopped from outside: by dropping its future, never by an error that it could catch.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Why a run stops before its body returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// It is cancelled in the database.
    Cancelled,
    /// It cannot go on with this code; the sentence says why.
    Stuck(String),
    /// A step of it panicked for good; the sentence says which.
    Panicked(String),
    /// It runs elsewhere, or nobody knows: this process must not touch it any more.
    Lost,
    /// The workflow is not this run's any more, though the lease holds: it was cancelled and resumed, or
    /// parked and woken, and this process has not heard of the first yet. A later run may wait for the
    /// end of this one.
    Superseded,
    /// Its executor shuts down: what has ended is still recorded, the rest goes on elsewhere.
    HandedBack,
    /// It waits for long: whoever takes it when what it waits for comes goes on from its history.
    Parked,
    /// Its answer was lost on the way: it starts over from its history, in this process.
    Reload,
}

/// Holds the first interrupt of a run; later ones do not count.
#[derive(Debug, Default)]
pub(crate) struct Control {
    interrupt: Mutex<Option<Interrupt>>,
    /// Whether it is to leave memory if it only waits.
    asked_to_park: AtomicBool,
    changed: Notify,
}

impl Control {
    /// Interrupts the run, unless it is interrupted already.
    pub(crate) fn interrupt(&self, interrupt: Interrupt) {
        self.lock().get_or_insert(interrupt);
        self.changed.notify_one();
    }

    /// The interrupt, if there is one.
    pub(crate) fn interrupted(&self) -> Option<Interrupt> {
        self.lock().clone()
    }

    /// Asks the run to leave memory if it only waits.
    pub(crate) fn ask_to_park(&self) {
        self.asked_to_park.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// Returns when the run is interrupted; calls `park` whenever it is asked to leave memory.
    /// Awaited by the run's driver alone.
    pub(crate) async fn interruption(&self, park: impl Fn()) -> Interrupt {
        loop {
            if let Some(interrupt) = self.interrupted() {
                return interrupt;
            }
            if self.asked_to_park.swap(false, Ordering::SeqCst) {
                park();
            }
            self.changed.notified().await;
        }
    }

    /// Interrupts the run and never returns: the driver drops the future that waits here.
    pub(crate) async fn stop<T>(&self, interrupt: Interrupt) -> T {
        self.interrupt(interrupt);
        std::future::pending().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Interrupt>> {
        self.interrupt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interrupt_counts() {
        let control = Control::default();
        assert_eq!(control.interrupted(), None);
        for interrupt in [Interrupt::Cancelled, Interrupt::Lost, Interrupt::HandedBack] {
            control.interrupt(interrupt);
            assert_eq!(control.interrupted(), Some(Interrupt::Cancelled));
        }
    }
}
