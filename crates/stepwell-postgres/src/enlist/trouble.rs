//! What a start or a send in a transaction of the user's own is refused with.

use stepwell_core::{
    Error, ErrorKind, InvalidInput,
    store::{QueueUse, Store},
};

use crate::{PostgresStore, tx::is_conflict};

/// The schema that the connection sees is not the store's.
pub(super) fn elsewhere(what: &str, store: &PostgresStore) -> Error {
    Error::new(
        ErrorKind::Setup,
        format!(
            "could not {what}: the workflows are kept in `{}`, and the transaction is in another \
             database; what is to commit with them must be in one database with them",
            store.describe()
        ),
    )
}

/// Only starts and sends can be enlisted.
pub(super) fn not_enlisted() -> Error {
    Error::new(
        ErrorKind::Internal,
        "only a start and a send can take part in a transaction",
    )
}

/// The queue's row would have to stay locked, and all other starts wait for it.
pub(super) fn bounded(what: &str, queue: Option<&QueueUse>) -> InvalidInput {
    let name = queue.map_or("", |queue| &queue.name);
    InvalidInput::new(format!(
        "could not {what}: the queue `{name}` has `waiting_max`, and every start in it would wait \
         until the transaction ends; start it after the commit, or in a queue without that bound"
    ))
}

/// The id was taken and is free again, all in one moment.
pub(super) fn moved(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("could not {what}: a workflow of this id was just removed; try again"),
    )
}

/// The functions answered with what makes no sense.
pub(super) fn unreadable(what: &str, error: sqlx::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("could not {what}: the answer of the schema's function makes no sense"),
    )
    .with_source(error)
}

/// A statement failed. Postgres takes no more in the transaction.
pub(super) fn of(what: &str, store: &PostgresStore, error: sqlx::Error) -> Error {
    let schema = &store.server.address.schema;
    let code = error.as_database_error().and_then(|error| error.code());
    let (kind, why) = match code.as_deref() {
        Some("3F000" | "42883" | "42P01" | "42703") => return elsewhere(what, store).with_source(error),
        Some("42501") => (
            ErrorKind::Setup,
            format!(
                "a right is missing; the role of the transaction needs `usage` on the schema \
                 `{schema}`, `select, insert` on its tables and `usage, select` on its sequences"
            ),
        ),
        Some("25006") => (
            ErrorKind::Invalid,
            "the transaction is read-only; begin one that may write".to_owned(),
        ),
        Some("25P02") => (
            ErrorKind::Invalid,
            "a statement of the transaction has failed before; undo it, or run what may fail in a \
             savepoint"
                .to_owned(),
        ),
        Some("57014" | "55P03") => (
            ErrorKind::Unavailable,
            "the server gave up waiting; undo the transaction and run it again".to_owned(),
        ),
        _ if is_conflict(&error) => (
            ErrorKind::Unavailable,
            "another transaction was in the way, or the database is away; undo the transaction and \
             run it again"
                .to_owned(),
        ),
        _ => (ErrorKind::Internal, "Postgres refuses the statement".to_owned()),
    };
    Error::new(kind, format!("could not {what}: {why}")).with_source(error)
}
