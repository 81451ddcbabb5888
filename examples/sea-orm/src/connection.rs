//! `&OrmTx` runs queries of SeaORM and notices what goes wrong.

use std::borrow::Cow;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, SqlxError, Statement,
    prelude::async_trait::async_trait,
};

use crate::tx::OrmTx;

#[async_trait]
impl ConnectionTrait for OrmTx {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.seen(self.transaction().execute_raw(statement).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.seen(self.transaction().execute_unprepared(sql).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.seen(self.transaction().query_one_raw(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.seen(self.transaction().query_all_raw(statement).await)
    }
}

/// Whether a statement failed for a reason that is not the user's code: another transaction was in
/// the way, the server goes away, or the connection is gone.
pub(crate) fn is_conflict(error: &DbErr) -> bool {
    use SqlxError::{Io, PoolClosed, PoolTimedOut, WorkerCrashed};
    let gone = matches!(error, DbErr::ConnectionAcquire(_))
        || matches!(
            of_sqlx(error),
            Some(Io(_) | PoolClosed | PoolTimedOut | WorkerCrashed)
        );
    gone || code(error).is_some_and(|code| {
        matches!(
            &*code,
            "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03"
        ) || code.starts_with("08")
            || code.starts_with("53")
    })
}

/// The code of a refusal by the server.
pub(crate) fn code(error: &DbErr) -> Option<Cow<'_, str>> {
    of_sqlx(error)?.as_database_error()?.code()
}

fn of_sqlx(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}
