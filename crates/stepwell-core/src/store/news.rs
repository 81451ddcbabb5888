//! What other processes have written.

use crate::id::WorkflowKey;

/// What other processes have written, as far as somebody may wait for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Workflows that have a new message, event, stream entry, or have ended.
    pub workflows: Changed,
    /// Whether something may be claimed now, or a place in a queue is free.
    pub work: bool,
    /// Whether a workflow of this executor may have been cancelled.
    pub interrupts: bool,
}

/// Which workflows have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These, each perhaps more than once.
    These(Vec<WorkflowKey>),
    /// Nobody knows which: all who wait must look.
    Any,
}

impl Default for Changed {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl News {
    /// Anything may have been written.
    #[must_use]
    pub fn of_anything() -> Self {
        Self {
            workflows: Changed::Any,
            work: true,
            interrupts: true,
        }
    }

    /// Something can be claimed.
    #[must_use]
    pub fn of_work() -> Self {
        Self {
            work: true,
            ..Self::default()
        }
    }

    /// Whether there is nothing to hear.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what else was written.
    pub fn add(&mut self, other: Self) {
        self.work |= other.work;
        self.interrupts |= other.interrupts;
        match (&mut self.workflows, other.workflows) {
            (Changed::These(known), Changed::These(more)) => known.extend(more),
            (known, Changed::Any) => *known = Changed::Any,
            (Changed::Any, Changed::These(_)) => {}
        }
    }
}
