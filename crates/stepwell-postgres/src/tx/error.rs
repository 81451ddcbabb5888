//! What an error of sqlx says about a transaction.

use stepwell_core::TxError;

/// `in_failed_sql_transaction`: an earlier statement failed, and the code went on.
pub(super) const FAILED_BEFORE: &str = "25P02";
/// `undefined_table`.
pub(super) const NO_TABLE: &str = "42P01";
/// `insufficient_privilege`.
pub(super) const FORBIDDEN: &str = "42501";
/// `query_canceled`: by a statement timeout, or by a person.
const CANCELED: &str = "57014";

/// Whether a statement failed for a reason that is not the user's code.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Io, PoolClosed, PoolTimedOut, WorkerCrashed};
    matches!(error, Io(_) | PoolClosed | PoolTimedOut | WorkerCrashed)
        || code(error).is_some_and(|code| is_conflict_code(&code))
}

/// Another transaction was in the way (`40001` serialisation, `40P01` deadlock, `55P03` a lock that
/// was not to be had in time), the server goes away or is not there yet (`57P01` to `57P03`), it ended
/// a connection that was silent or in a transaction for too long, as that of a process that was
/// stopped (`25P03`, `25P04`, `57P05`), the connection broke (class `08`), or there is no disk, memory
/// or connection to be had (class `53`).
fn is_conflict_code(code: &str) -> bool {
    matches!(
        code,
        "25P03" | "25P04" | "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "57P05"
    ) || code.starts_with("08")
        || code.starts_with("53")
}

/// Whether the server has undone the transaction because another one was in the way.
pub(super) fn is_undone(error: &sqlx::Error) -> bool {
    is(error, "40001") || is(error, "40P01")
}

/// Whether one of our own statements may do better next time. Nobody else's timeout is the user's
/// mistake.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    is_conflict(error) || is(error, CANCELED)
}

/// Whether the server answered with a code.
pub(super) fn is(error: &sqlx::Error, wanted: &str) -> bool {
    code(error).is_some_and(|code| code == wanted)
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Another transaction was in the way of the commit.
pub(super) fn conflict(error: sqlx::Error) -> TxError {
    TxError::conflict("another transaction was in the way in the user's Postgres database")
        .with_source(error)
}

/// Trouble that is tried again.
pub(super) fn failed(operation: &str, error: sqlx::Error) -> TxError {
    TxError::new(format!(
        "could not {operation} in the user's Postgres database"
    ))
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_of_the_server_is_a_conflict_and_a_mistake_is_not() {
        for code in [
            "25P03", "25P04", "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "57P05",
            "08006", "53100",
        ] {
            assert!(is_conflict_code(code), "{code}");
        }
        for code in [
            "23505", "25P02", "40002", "42P01", "57014", "P0001", "22012",
        ] {
            assert!(!is_conflict_code(code), "{code}");
        }
        assert!(is_conflict(&sqlx::Error::PoolTimedOut));
        assert!(!is_conflict(&sqlx::Error::RowNotFound));
    }
}
