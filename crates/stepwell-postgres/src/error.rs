//! What can go wrong, and what the engine is told about it.

use std::{error::Error as StdError, fmt};

use stepwell_core::{
    ExecutorId,
    store::{StoreError, StoreErrorKind},
};
use tokio_postgres::error::SqlState;

/// Why a job on a connection failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no, or is not there.
    Postgres(tokio_postgres::Error),
    /// The executor was declared dead or has retired.
    Fenced(ExecutorId),
    /// What was read makes no sense.
    Corrupt(Corrupt),
    /// What the job was based on has changed under it: it begins anew.
    Moved,
    /// No connection came free, or no answer came.
    Late(&'static str),
    /// No connection can ever be had as things are. Says what to do.
    Unusable(String),
    /// The same, of a database that was usable before: somebody may be about to put it right.
    Away(String),
}

/// A value that was read and makes no sense.
#[derive(Debug)]
pub(crate) struct Corrupt(String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Corrupt {}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// What is done about a failure before anybody hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The whole job again, on the same footing.
    Again,
    /// The whole job again, without named statements: they vanish behind a pooler.
    AgainUnnamed,
    /// None: the caller hears of it.
    None,
}

impl Failure {
    /// What is done about it inside the store.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Moved => Remedy::Again,
            Self::Postgres(error) => match error.code() {
                Some(code) if is_crossing(code) => Remedy::Again,
                Some(code) if is_lost_statement(code) => Remedy::AgainUnnamed,
                _ => Remedy::None,
            },
            _ => Remedy::None,
        }
    }

    /// The same failure, of connecting to a database that is open: a password that is being changed, a
    /// proxy that is on its way up. It is waited for, not given up.
    pub(crate) fn of_reconnecting(self) -> Self {
        match self {
            Self::Unusable(why) => Self::Away(why),
            Self::Postgres(error) => match meaning(&error) {
                (StoreErrorKind::Unusable, why) => Self::Away(why),
                _ => Self::Postgres(error),
            },
            other => other,
        }
    }

    /// Says what was tried, and to which database.
    pub(crate) fn explain(self, operation: &str, database: &str) -> StoreError {
        let message = |why: &str| format!("could not {operation} in `{database}`: {why}");
        match self {
            Self::Postgres(error) => {
                let (kind, why) = meaning(&error);
                StoreError::new(kind, message(&why)).with_source(error)
            }
            Self::Fenced(executor) => StoreError::new(
                StoreErrorKind::Fenced,
                message(&format!("the executor `{executor}` has lost its lease")),
            ),
            Self::Corrupt(corrupt) => StoreError::new(
                StoreErrorKind::Corrupt,
                message("a row holds what makes no sense"),
            )
            .with_source(corrupt),
            Self::Moved => StoreError::new(
                StoreErrorKind::Busy,
                message("others write to the same rows all the time"),
            ),
            Self::Late(what) => StoreError::new(StoreErrorKind::Unavailable, message(what)),
            Self::Unusable(why) => StoreError::new(StoreErrorKind::Unusable, message(&why)),
            Self::Away(why) => StoreError::new(StoreErrorKind::Unavailable, message(&why)),
        }
    }
}

/// Two transactions that stood in each other's way: one of them begins anew.
fn is_crossing(code: &SqlState) -> bool {
    *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE
}

/// A named statement that is not there, or belongs to somebody else: the pooler has put another
/// connection under ours.
fn is_lost_statement(code: &SqlState) -> bool {
    *code == SqlState::INVALID_SQL_STATEMENT_NAME || *code == SqlState::DUPLICATE_PSTATEMENT
}

/// What the engine does about an error of Postgres, and what a person can do.
fn meaning(error: &tokio_postgres::Error) -> (StoreErrorKind, String) {
    match error.as_db_error() {
        Some(error) => {
            let (kind, why) = match error.message() {
                message if message.starts_with(TOO_LARGE) => {
                    (StoreErrorKind::Refused, "a value is too large for Postgres")
                }
                _ => of_code(error.code()),
            };
            // Never a value of a parameter: `detail`, which can hold one, is left to the source.
            (kind, format!("{why} ({})", error.message()))
        }
        None if is_about_content(error) => (
            StoreErrorKind::Refused,
            "a value cannot be sent to Postgres".to_owned(),
        ),
        None => (
            StoreErrorKind::Unavailable,
            "the connection failed".to_owned(),
        ),
    }
}

/// How the server says, as an internal error, that something has more than a GiB.
const TOO_LARGE: &str = "invalid memory alloc request size";

/// Whether nothing was sent, because of what was to be sent. The driver says which kind of error it is
/// by its text alone.
fn is_about_content(error: &tokio_postgres::Error) -> bool {
    let shown = error.to_string();
    shown.starts_with("error serializing parameter") || shown.starts_with("error encoding message")
}

fn of_code(code: &SqlState) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Busy, Corrupt, Full, ReadOnly, Refused, Unavailable, Unusable};
    match code.code() {
        "53100" => (Full, "the server's disk is full; free some space"),
        "25006" => (
            ReadOnly,
            "the server takes no writes; connect to the primary",
        ),
        "28P01" | "28000" => (
            Unusable,
            "the server does not let this user in; check user, password and `pg_hba.conf`",
        ),
        "3D000" => (Unusable, "there is no such database; create it"),
        "42501" => (
            Unusable,
            "a right is missing; the user needs `usage` on the schema, `select, insert, update, \
             delete` on its tables and `usage, select` on its sequences",
        ),
        "42P01" | "42703" | "42883" | "3F000" => (
            Unusable,
            "the schema is not what it was made as; restore it from a backup, or use another one",
        ),
        "22021" | "22P05" => (
            Refused,
            "a text holds a NUL character, which Postgres cannot keep",
        ),
        "XX001" | "XX002" => (Corrupt, "the server's files are damaged"),
        "57014" => (Busy, "the server gave up at `statement_timeout`"),
        "55P03" => (Busy, "a lock was not had within `lock_timeout`"),
        "53200" => (Busy, "the server lacks memory"),
        "25P03" => (
            Unavailable,
            "the process was silent for too long within a transaction",
        ),
        other => of_class(other),
    }
}

/// What is left: crossings, a pooler's moods, a server on its way down or up, too many connections.
///
/// Data exceptions (22), constraints (23) and limits of the server (54) are about what is written. A
/// missing right or table is not, nor an error of the server's own: those can be put right.
fn of_class(code: &str) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Backend, Busy, Refused, Unavailable};
    match code {
        "40P01" | "40001" | "26000" | "42P05" => (Busy, "others were in the way"),
        other
            if ["22", "23", "54"]
                .iter()
                .any(|class| other.starts_with(class)) =>
        {
            (Refused, "Postgres refuses the content")
        }
        "57P01" | "57P02" | "57P03" | "57P05" => (Unavailable, "the server is restarting"),
        other if other.starts_with("08") => (Unavailable, "the connection failed"),
        other if other.starts_with("53") => (Unavailable, "the server lacks resources"),
        other if other.starts_with("58") => (Unavailable, "the server's system failed"),
        _ => (Backend, "Postgres refuses the statement"),
    }
}

/// A value that was read and makes no sense.
pub(crate) fn corrupt(what: &'static str, value: impl fmt::Display) -> Failure {
    Failure::Corrupt(Corrupt(format!("`{value}` is no {what}")))
}

/// A column that could not be read as what it is.
pub(crate) fn corrupt_column(error: &tokio_postgres::Error) -> Failure {
    let cause = error.source().map(ToString::to_string);
    Failure::Corrupt(Corrupt(cause.unwrap_or_else(|| error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: StoreErrorKind, says: &str) {
        let (kind, why) = of_code(&SqlState::from_code(code));
        assert_eq!(kind, expected, "{code}");
        assert!(why.contains(says), "{code}: {why}");
    }

    #[test]
    fn each_trouble_is_told_apart() {
        check("53100", StoreErrorKind::Full, "free some space");
        check("25006", StoreErrorKind::ReadOnly, "primary");
        check("28P01", StoreErrorKind::Unusable, "password");
        check("3D000", StoreErrorKind::Unusable, "create it");
        check("42501", StoreErrorKind::Unusable, "`usage`");
        check("42P01", StoreErrorKind::Unusable, "backup");
        check("57P01", StoreErrorKind::Unavailable, "restarting");
        check("57P03", StoreErrorKind::Unavailable, "restarting");
        check("57014", StoreErrorKind::Busy, "statement_timeout");
        check("55P03", StoreErrorKind::Busy, "lock_timeout");
        check("40P01", StoreErrorKind::Busy, "in the way");
        check("53200", StoreErrorKind::Busy, "memory");
        check("08006", StoreErrorKind::Unavailable, "connection");
        check("53300", StoreErrorKind::Unavailable, "resources");
        check("22021", StoreErrorKind::Refused, "NUL");
        check("22P05", StoreErrorKind::Refused, "NUL");
        check("22003", StoreErrorKind::Refused, "content");
        check("23514", StoreErrorKind::Refused, "content");
        check("54000", StoreErrorKind::Refused, "content");
        check("P0001", StoreErrorKind::Backend, "refuses the statement");
        check("XX000", StoreErrorKind::Backend, "refuses the statement");
        check("XX001", StoreErrorKind::Corrupt, "damaged");
        check("42601", StoreErrorKind::Backend, "refuses");
    }

    #[test]
    fn a_lost_lease_names_the_executor() {
        let id = ExecutorId::from_stored("e-1".into());
        let error = Failure::Fenced(id).explain("commit a batch", "postgres://db/shop");
        assert_eq!(error.kind(), StoreErrorKind::Fenced);
        assert!(error.to_string().contains("`e-1`"));
    }

    #[test]
    fn a_database_that_was_open_is_waited_for() {
        let refused = Failure::Unusable("check user".to_owned());
        let away = refused.of_reconnecting().explain("renew", "postgres://db");
        assert_eq!(away.kind(), StoreErrorKind::Unavailable);
        assert!(away.to_string().contains("check user"), "{away}");
    }

    #[test]
    fn what_others_caused_is_tried_again_inside() {
        assert!(is_crossing(&SqlState::T_R_DEADLOCK_DETECTED));
        assert!(is_lost_statement(&SqlState::from_code("26000")));
        assert!(is_lost_statement(&SqlState::from_code("42P05")));
        assert_eq!(Failure::Moved.remedy(), Remedy::Again);
        assert_eq!(Failure::Late("x").remedy(), Remedy::None);
    }
}
