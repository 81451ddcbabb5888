//! What a start or a send in a transaction of the user's own is refused with.

use stepwell_core::{Error, ErrorKind, store::Change};

use crate::tx::{code, is_conflict};

/// `SQLITE_ERROR`: of a `begin`, that there is a transaction.
const IS_BEGUN: u32 = 1;
/// `SQLITE_READONLY`.
const READ_ONLY: u32 = 8;

/// Why a change was not applied. Nothing of it is left on the connection.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is not in the file that the store has opened, or that cannot be known. The
    /// store, as a person calls it.
    Elsewhere(String),
    /// The queue has `waiting_max`.
    Bounded(String),
    /// The transaction was begun to read only.
    ReadOnly,
    /// sqlx takes the connection for one without a transaction, and there is one.
    BegunByHand(sqlx::Error),
    /// Only starts and sends can be enlisted.
    NotEnlisted,
    /// A statement failed.
    Sqlite(sqlx::Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Trouble {
    /// The savepoint could not be begun.
    pub(super) fn of_begin(error: sqlx::Error) -> Self {
        if code(&error) == Some(IS_BEGUN) {
            Self::BegunByHand(error)
        } else {
            Self::Sqlite(error)
        }
    }

    /// Says what was tried, why it was not done, and what to do.
    pub(super) fn explain(self, change: &Change) -> Error {
        let (kind, why) = self.meaning();
        let error = Error::new(kind, format!("could not {}: {why}", attempt(change)));
        match self {
            Self::Sqlite(cause) | Self::BegunByHand(cause) => error.with_source(cause),
            _ => error,
        }
    }

    fn meaning(&self) -> (ErrorKind, String) {
        match self {
            Self::Elsewhere(store) => (
                ErrorKind::Setup,
                format!(
                    "the workflows are kept in `{store}`, and the transaction's main database is \
                     not known to be that file; what is to commit with them must be in one file with \
                     them"
                ),
            ),
            Self::Bounded(queue) => (
                ErrorKind::Invalid,
                format!(
                    "the queue `{queue}` has `waiting_max`, which is not counted in transactions of \
                     the user's; start it after the commit, or in a queue without that bound"
                ),
            ),
            Self::ReadOnly => read_only(),
            Self::NotEnlisted => (
                ErrorKind::Internal,
                "only a start and a send can take part in a transaction".to_owned(),
            ),
            Self::Sqlite(error) if code(error).is_some_and(|code| code & 0xff == READ_ONLY) => {
                read_only()
            }
            Self::BegunByHand(_) => (
                ErrorKind::Invalid,
                "the transaction was begun by a statement; let sqlx begin it".to_owned(),
            ),
            Self::Sqlite(error) if is_conflict(error) => (
                ErrorKind::Unavailable,
                "another connection has the lock, or the disk fails; undo the transaction and run \
                 it again"
                    .to_owned(),
            ),
            Self::Sqlite(_) => (
                ErrorKind::Internal,
                "SQLite refuses the statement".to_owned(),
            ),
        }
    }
}

fn read_only() -> (ErrorKind, String) {
    let why = "the transaction is read-only; begin one that may write";
    (ErrorKind::Invalid, why.to_owned())
}

/// What was tried: completes the sentence "could not …".
fn attempt(change: &Change) -> String {
    match change {
        Change::Start(new) => format!("start `{}` as `{}` in the transaction", new.name, new.id),
        Change::Send(message) => format!("send to `{}` in the transaction", message.to),
        _ => "apply the change".to_owned(),
    }
}
