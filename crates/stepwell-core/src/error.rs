//! Errors of the engine, seen only outside workflows, and how a workflow that was awaited ended.

use std::{error::Error as StdError, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    limits::InvalidInput,
    shown::Shown,
    store::{StoreError, StoreErrorKind},
};

/// What went wrong, as far as a caller would act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value breaks a limit; nothing was written.
    Invalid,
    /// There is no such workflow.
    NotFound,
    /// The id belongs to another workflow, or the workflow is not in a state for this.
    Conflict,
    /// As many workflows wait in the queue as may; nothing was written. Try again later.
    Full,
    /// The wait was longer than its timeout.
    Timeout,
    /// The database is away, full or read-only, or the application is shutting down.
    Unavailable,
    /// The application is set up wrongly: a name twice, an unusable database, a bad schedule.
    Setup,
    /// What was stored cannot be read as the type that was asked for.
    Mismatch,
    /// A defect of Stepwell or of its store.
    Internal,
}

/// An error of the engine: of `start`, `send`, `get_event` and their like.
///
/// The message says the operation and the id; the cause is in `source()`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[serde(skip)]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Says what was tried, and to what.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What a caller would act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// There is no workflow with this id.
    #[must_use]
    pub fn no_such_workflow(id: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no workflow `{id}`"))
    }

    /// A store refused or failed; `what` names the operation.
    #[must_use]
    pub fn of_store(what: &str, error: StoreError) -> Self {
        let kind = match error.kind() {
            StoreErrorKind::Unavailable
            | StoreErrorKind::Busy
            | StoreErrorKind::Fenced
            | StoreErrorKind::Full
            | StoreErrorKind::ReadOnly
            // It was usable when it was opened.
            | StoreErrorKind::Unusable => ErrorKind::Unavailable,
            StoreErrorKind::Refused => ErrorKind::Invalid,
            StoreErrorKind::Corrupt | StoreErrorKind::Backend => ErrorKind::Internal,
        };
        Self::new(kind, format!("could not {what}: {error}")).with_source(error)
    }

    /// A store could not be opened; `what` names the operation.
    pub(crate) fn of_opening(what: &str, error: StoreError) -> Self {
        let is_setup = error.kind() == StoreErrorKind::Unusable;
        let error = Self::of_store(what, error);
        match is_setup {
            true => Self {
                kind: ErrorKind::Setup,
                ..error
            },
            false => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.message))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, Shown(&self.message))?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  caused by: {}", Shown(&error.to_string()))?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<InvalidInput> for Error {
    fn from(error: InvalidInput) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
    }
}

/// How a workflow that was awaited ended, if not with its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WorkflowError<E> {
    /// It returned this error.
    Failed(E),
    /// It was cancelled.
    Cancelled,
    /// Its deadline passed.
    DeadlineExceeded,
    /// It panicked, with this message.
    Panicked(String),
    /// It cannot go on with this code; the sentence says why. Another version may.
    Stuck(String),
    /// It was recovered too often without progress.
    Dead(String),
    /// Trouble of the engine, not of the workflow. Never seen inside a workflow.
    Engine(Error),
}

impl<E> WorkflowError<E> {
    /// Changes the type of the business error.
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> WorkflowError<F> {
        match self {
            Self::Failed(error) => WorkflowError::Failed(change(error)),
            Self::Cancelled => WorkflowError::Cancelled,
            Self::DeadlineExceeded => WorkflowError::DeadlineExceeded,
            Self::Panicked(message) => WorkflowError::Panicked(message),
            Self::Stuck(reason) => WorkflowError::Stuck(reason),
            Self::Dead(reason) => WorkflowError::Dead(reason),
            Self::Engine(error) => WorkflowError::Engine(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for WorkflowError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Cancelled => f.write_str("the workflow was cancelled"),
            Self::DeadlineExceeded => f.write_str("the workflow's deadline passed"),
            Self::Panicked(message) => write!(f, "the workflow panicked: {message}"),
            Self::Stuck(reason) | Self::Dead(reason) => f.write_str(reason),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> StdError for WorkflowError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Engine(error) => error.source(),
            _ => None,
        }
    }
}

impl<E> From<Error> for WorkflowError<E> {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.message) == (other.kind, &other.message)
    }
}

impl Eq for Error {}

/// The stored form of a failed end: what a workflow returned, or how it panicked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault<E> {
    Failed(E),
    Panicked(String),
}

impl<E> From<Fault<E>> for WorkflowError<E> {
    fn from(fault: Fault<E>) -> Self {
        match fault {
            Fault::Failed(error) => Self::Failed(error),
            Fault::Panicked(message) => Self::Panicked(message),
        }
    }
}
