//! What can go wrong, and what the engine is told about it.

use rusqlite::{ErrorCode, types::Type};
use stepwell_core::{
    ExecutorId,
    store::{StoreError, StoreErrorKind},
};

use crate::holder::Holder;

/// Why a job on a connection failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite said no.
    Sqlite(rusqlite::Error),
    /// The executor was declared dead or has retired.
    Fenced(ExecutorId),
    /// The file is not the one any more that was opened: it was deleted or replaced.
    Gone(&'static str),
    /// A file beside the database could not be used.
    File(&'static str, std::io::Error),
    /// The threads of the store are gone: it was closed.
    Stopped,
    /// A job panicked. What it wrote was undone.
    Panicked,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    /// Says what was tried, and to which database.
    pub(crate) fn explain(self, operation: &str, database: &str) -> StoreError {
        let message = |why: &str| format!("could not {operation} in `{database}`: {why}");
        match self {
            Self::Sqlite(error) => {
                let (kind, why) = meaning(&error);
                StoreError::new(kind, message(why)).with_source(error)
            }
            Self::Fenced(executor) => StoreError::new(
                StoreErrorKind::Fenced,
                message(&format!("the executor `{executor}` has lost its lease")),
            ),
            Self::Gone(how) => StoreError::new(
                StoreErrorKind::ReadOnly,
                message(&format!(
                    "the file was {how} while it was open, so nothing that is written stays; stop \
                     every process that uses it, put the file back, and start them again"
                )),
            ),
            Self::File(what, error) => {
                let kind = match error.kind() {
                    std::io::ErrorKind::StorageFull => StoreErrorKind::Full,
                    std::io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
                    _ => StoreErrorKind::Unavailable,
                };
                StoreError::new(kind, message(what)).with_source(error)
            }
            Self::Stopped => {
                StoreError::new(StoreErrorKind::Unavailable, message("the store is closed"))
            }
            // It may be about this job alone: others are tried without it.
            Self::Panicked => {
                StoreError::new(StoreErrorKind::Backend, message("the store panicked at it"))
            }
        }
    }
}

impl Failure {
    /// As [`explain`](Self::explain), of a statement that waited for the lock in vain.
    pub(crate) fn explain_busy(
        self,
        operation: &str,
        database: &str,
        holder: Holder,
    ) -> StoreError {
        let why = holder.explain();
        let message = format!("could not {operation} in `{database}`: {why}");
        let error = StoreError::new(StoreErrorKind::Unavailable, message);
        match self {
            Self::Sqlite(cause) => error.with_source(cause),
            _ => error,
        }
    }
}

/// What the engine does about an error of SQLite, and what a person can do.
fn meaning(error: &rusqlite::Error) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Backend, Corrupt, Full, ReadOnly, Refused, Unavailable};
    let Some(code) = error.sqlite_error_code() else {
        return match error {
            rusqlite::Error::SqliteFailure(..)
            | rusqlite::Error::SqlInputError { .. }
            | rusqlite::Error::InvalidQuery => (Backend, "SQLite refuses the statement"),
            rusqlite::Error::ToSqlConversionFailure(_) => {
                (Refused, "a value cannot be kept by SQLite")
            }
            // What is left is about values: a column of another type, a word that is none of ours.
            _ => (Corrupt, "a row holds what makes no sense"),
        };
    };
    match code {
        ErrorCode::DiskFull => (Full, "the disk is full; free some space"),
        ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthorizationForStatementDenied => (
            ReadOnly,
            "the file cannot be written; check its owner and rights",
        ),
        ErrorCode::CannotOpen => (
            ReadOnly,
            "the file or its `-wal` cannot be opened; check that it is there, and its rights",
        ),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            (Unavailable, "another connection keeps it locked")
        }
        ErrorCode::SystemIoFailure => (Unavailable, "reading or writing the file failed"),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            (Corrupt, "the file is damaged; restore it from a backup")
        }
        ErrorCode::TooBig
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange => (Refused, "SQLite refuses the content"),
        ErrorCode::OutOfMemory
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::FileLockingProtocolFailed => (Unavailable, "SQLite was interrupted"),
        _ => (Backend, "SQLite refuses the statement"),
    }
}

/// Whether another connection holds the lock for which a statement waited too long.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether the row that was read makes no sense, rather than the database.
pub(crate) fn is_of_values(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

/// A value that was read and makes no sense.
pub(crate) fn corrupt(column: &'static str, value: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        Type::Text,
        format!("`{value}` is no {column}").into(),
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[track_caller]
    fn check(code: i32, expected: StoreErrorKind, says: &str) {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let error = Failure::Sqlite(error).explain("commit a batch", "/srv/shop.db");
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("`/srv/shop.db`"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn each_trouble_is_told_apart() {
        check(ffi::SQLITE_FULL, StoreErrorKind::Full, "free some space");
        check(ffi::SQLITE_READONLY, StoreErrorKind::ReadOnly, "rights");
        check(ffi::SQLITE_CANTOPEN, StoreErrorKind::ReadOnly, "rights");
        check(ffi::SQLITE_PERM, StoreErrorKind::ReadOnly, "rights");
        check(
            ffi::SQLITE_BUSY,
            StoreErrorKind::Unavailable,
            "another connection",
        );
        check(
            ffi::SQLITE_BUSY_SNAPSHOT,
            StoreErrorKind::Unavailable,
            "another connection",
        );
        check(
            ffi::SQLITE_LOCKED,
            StoreErrorKind::Unavailable,
            "another connection",
        );
        check(
            ffi::SQLITE_IOERR_FSYNC,
            StoreErrorKind::Unavailable,
            "failed",
        );
        check(ffi::SQLITE_NOTADB, StoreErrorKind::Corrupt, "backup");
        check(ffi::SQLITE_CORRUPT, StoreErrorKind::Corrupt, "backup");
        check(ffi::SQLITE_ERROR, StoreErrorKind::Backend, "statement");
        check(ffi::SQLITE_TOOBIG, StoreErrorKind::Refused, "content");
        check(ffi::SQLITE_CONSTRAINT, StoreErrorKind::Refused, "content");
        check(
            ffi::SQLITE_NOMEM,
            StoreErrorKind::Unavailable,
            "interrupted",
        );
    }

    #[test]
    fn a_word_that_is_none_of_ours_is_corrupt() {
        let error = Failure::from(corrupt("state", "jumping")).explain("read", "shop.db");
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }

    #[test]
    fn a_lost_lease_names_the_executor() {
        let id = ExecutorId::from_stored("e-1".into());
        let error = Failure::Fenced(id).explain("commit a batch", "shop.db");
        assert_eq!(error.kind(), StoreErrorKind::Fenced);
        assert!(error.to_string().contains("`e-1`"));
    }
}
