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

/// How many workflows are named at most. In a process where nothing takes the news for long, they
/// must not grow without a bound.
const NAMED_MAX: usize = 10_000;

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
            (Changed::These(known), Changed::These(more))
                if known.len() + more.len() <= NAMED_MAX =>
            {
                known.extend(more);
            }
            (known, _) => *known = Changed::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: std::ops::Range<i64>) -> News {
        News {
            workflows: Changed::These(keys.map(WorkflowKey).collect()),
            ..News::default()
        }
    }

    #[test]
    fn news_that_are_not_taken_take_no_more_room_than_the_bound() {
        let mut news = of(0..1);
        news.add(of(1..10_000));
        assert_eq!(news, of(0..10_000));
        news.add(News::of_work());
        assert!(matches!(&news.workflows, Changed::These(keys) if keys.len() == 10_000));
        news.add(of(0..1));
        assert_eq!(news.workflows, Changed::Any);
        news.add(of(0..1));
        assert_eq!(news.workflows, Changed::Any);
    }
}
