//! Transactions in the user's own database. The driver is open: implement [`Tx`] for a connection.

mod options;

use std::{error::Error as StdError, fmt};

use crate::{BoxFuture, payload::Payload, position::Position, shown::Shown};

pub use options::{Isolation, TxOptions};

/// One driver's transaction.
///
/// The user's code *owns* it while it runs and it comes home when it is dropped, so that closures
/// need no higher-ranked lifetimes. Exactly once comes from the witness: a row in the user's
/// database, written by [`commit`](Tx::commit) in the user's transaction, whose primary key is the
/// operation. Whoever runs the operation again, finds it; whoever runs it twice at once, collides
/// with it, and must wait there until the other one has come to its end.
///
/// The engine commits witnesses without changes too, of operations that failed or lost a race while
/// another run of them may still be committed: it begins a transaction, drops it, and commits.
pub trait Tx: Sized + Send + 'static {
    /// What transactions are begun on: a pool.
    type Source: Send + Sync + 'static;
    /// Where the transaction comes to rest when the user's code is done with it.
    type Home: Send + 'static;

    /// Begins a transaction that is isolated at least as `options` say.
    ///
    /// When they say `read_only`, the driver sees to it that nothing that the code writes is kept,
    /// and [`commit_plain`](Tx::commit_plain) ends the transaction.
    fn begin(
        source: &Self::Source,
        options: TxOptions,
    ) -> BoxFuture<'_, Result<(Self, Self::Home), TxError>>;

    /// The output that an earlier, committed run of the operation left. Makes the witness table
    /// when it is missing.
    fn witnessed<'a>(
        source: &'a Self::Source,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Payload>, TxError>>;

    /// Writes the witness through the same connection, then commits. After an error it is unknown
    /// whether it was committed; [`witnessed`](Tx::witnessed) tells.
    fn commit(home: Self::Home, witness: Witness)
    -> BoxFuture<'static, Result<Committed, TxError>>;

    /// Commits without a witness: for a transaction that only reads, or is no part of a workflow.
    fn commit_plain(home: Self::Home) -> BoxFuture<'static, Result<(), TxError>>;

    /// Undoes what the user's code did.
    fn rollback(home: Self::Home) -> BoxFuture<'static, ()>;

    /// Whether a statement failed for a reason that is not the user's code: another transaction was
    /// in the way (a serialisation failure, a deadlock, a busy database), the disk is full, the
    /// database is away. Then the engine runs the user's code again, whatever it made of the error:
    /// trouble with a database is no business error.
    fn conflict(home: &Self::Home) -> bool;
}

/// Which operation of which workflow a transaction is: the primary key of its witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The workflow, by a name that no other ever has: see [`WorkflowId::lasting`](crate::WorkflowId::lasting). So a witness of a
    /// workflow that was deleted, or is kept in another database, is never taken for one of this.
    pub workflow: String,
    /// The operation's place in it.
    pub position: Position,
}

/// The row that goes into the user's database with the user's changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Witness {
    /// Its primary key.
    pub operation: Operation,
    /// What the operation came to. A text of the engine's, to be kept and given back as it is.
    pub output: Payload,
}

/// What a commit came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Committed {
    /// The changes and the witness are durable.
    Now,
    /// Another run of the operation was first: these changes are undone, and its output counts.
    Before(Payload),
}

/// Whose the trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Database,
    Conflict,
    Misuse,
}

/// Trouble with the user's database: never shown to the user's code, and tried again, unless the
/// user's code is the cause.
#[derive(Debug)]
pub struct TxError {
    message: String,
    kind: Kind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl TxError {
    /// Says what was tried.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: Kind::Database,
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The user's code did with the transaction what it must not do, and would do so again. Nothing
    /// was committed; the workflow becomes stuck with this message.
    #[must_use]
    pub fn misuse(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Misuse,
            ..Self::new(message)
        }
    }

    /// Another transaction was in the way of the commit. Nothing was committed, and the user's code
    /// may do better when it runs again.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Conflict,
            ..Self::new(message)
        }
    }

    /// Whether the user's code is the cause.
    #[must_use]
    pub fn is_misuse(&self) -> bool {
        self.kind == Kind::Misuse
    }

    /// Whether another transaction was in the way, and nothing was committed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.message))
    }
}

impl StdError for TxError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
