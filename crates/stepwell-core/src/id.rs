//! Identities: of workflows, and of the executors that run them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{InvalidInput, NAME_BYTES_MAX, check_name};

/// The id that a user sees: 1 to 255 bytes, without control characters.
///
/// It is chosen by the caller (then it makes the start idempotent) or made by Stepwell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkflowId(String);

impl WorkflowId {
    /// Checks `id` and keeps it.
    ///
    /// # Errors
    /// If `id` is empty, longer than 255 bytes or holds a control character.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidInput> {
        let id = id.into();
        check_name("workflow id", &id, NAME_BYTES_MAX)?;
        Ok(Self(id))
    }

    /// Makes a new id: a UUIDv7, so that ids sort by the time of their making.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WorkflowId {
    type Error = InvalidInput;

    fn try_from(id: String) -> Result<Self, InvalidInput> {
        Self::new(id)
    }
}

impl From<WorkflowId> for String {
    fn from(id: WorkflowId) -> Self {
        id.0
    }
}

/// The key that rows are addressed by; the store makes it when the workflow starts.
///
/// Small and growing, so that the rows of one workflow lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkflowKey(pub i64);

impl fmt::Display for WorkflowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One incarnation of a process that runs workflows: every start has a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecutorId(String);

impl ExecutorId {
    /// Makes the identity of a new incarnation.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// Takes an identity that was read from a store.
    #[must_use]
    pub fn from_stored(id: String) -> Self {
        Self(id)
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
