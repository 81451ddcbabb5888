//! Identities: of workflows, and of the executors that run them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{InvalidInput, Text};

mod given;
pub mod made;

pub use given::CallId;
pub(crate) use given::check_given;

/// The character that only ids hold that Stepwell has made.
pub(crate) const MARK: char = '~';

/// The id that a user sees: 1 to 255 bytes, without control characters.
///
/// It is chosen by the caller (then it makes the start idempotent) or made by Stepwell. Those that
/// Stepwell makes hold a `~`, and callers can choose none that does ([`WorkflowId::given`]): so the
/// two never meet, whatever a caller chooses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkflowId(String);

impl WorkflowId {
    /// Checks an id that is to be looked for, whoever has made it, and keeps it. New work takes
    /// [`given`](Self::given) ones.
    ///
    /// # Errors
    /// If `id` is empty, longer than 255 bytes or holds a control character.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidInput> {
        let id = id.into();
        Text::WorkflowId.check(&id)?;
        Ok(Self(id))
    }

    /// Checks an id that a caller chooses for new work, and keeps it.
    ///
    /// # Errors
    /// As [`new`](Self::new); if it holds a `~`, an invisible character or one that turns the
    /// direction of text, begins or ends with a blank, or is `-`.
    pub fn given(id: impl Into<String>) -> Result<Self, InvalidInput> {
        let id = Self::new(id)?;
        check_given(&id)?;
        Ok(id)
    }

    /// Makes a new id: a UUIDv7, so that ids sort by the time of their making.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// Names one workflow for ever: `<id>:<nonce>`, which no other workflow has, whatever becomes of
    /// this one and its id. The id alone, for one that was started before there were nonces.
    #[must_use]
    pub fn lasting(&self, nonce: Option<Nonce>) -> String {
        match nonce {
            Some(nonce) => format!("{self}:{nonce}"),
            None => self.0.clone(),
        }
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

/// What tells a workflow from every other one that ever had its id.
///
/// An id can be used again once its workflow was deleted, and two databases may each have a workflow
/// of one id. What outlives a workflow (the witness of a transaction, the key that a service outside
/// was given, the key of a message) is named by this too, so that it is never taken for that of
/// another workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(uuid::Uuid);

impl Nonce {
    /// Makes a new one: 16 random bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::new_v4())
    }

    /// Reads one as a store keeps it, in the form that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
