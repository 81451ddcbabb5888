//! Errors of a store: the cases that the engine treats differently.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::shown::Shown;

/// What the engine does about an error. Nothing but [`Refused`](Self::Refused) ends a run: trouble that
/// can pass is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The executor has lost its lease: drop its workflows, take a new incarnation.
    Fenced,
    /// The database is away: whatever is asked of it fails for now.
    Unavailable,
    /// Others were in the way, or a statement took too long: what was asked may, in smaller parts, go
    /// through, or later.
    Busy,
    /// The disk is full: refuse what is new, keep what runs waiting.
    Full,
    /// The database cannot be written: refuse what is new, keep what runs waiting.
    ReadOnly,
    /// What was read makes no sense. A restored row, or a newer process, may understand it.
    Corrupt,
    /// The schema was made by a newer version, a right is missing, or the address names no usable
    /// database. Somebody may put that right while the application runs.
    Unusable,
    /// Anything else that the database says; it may pass.
    Backend,
    /// The database refuses the content of a change for good: too large, of the wrong kind, against a
    /// constraint. The only kind that is a verdict on a change, and lets a workflow be stuck; whatever
    /// else it is, a run waits for it to pass.
    Refused,
}

/// An error of a store. The message says the operation; the cause is in `source()`. Cloned where
/// several callers hear of the same trouble.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// Says what was tried, and to what.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Something that was read makes no sense.
    #[must_use]
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, message)
    }

    /// What the engine does about it.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.message))
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
