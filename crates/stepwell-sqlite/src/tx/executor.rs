//! `&mut SqliteTx` runs queries of sqlx and notices what goes wrong.

use futures_util::{FutureExt, StreamExt, TryFutureExt, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Either, Error, Execute, Executor, SqlStr, Sqlite,
    sqlite::{SqliteQueryResult, SqliteRow, SqliteStatement, SqliteTypeInfo},
};

use super::{SqliteHome, SqliteTx, code};

/// `SQLITE_CONSTRAINT_COMMITHOOK`: our hook said no. SQLite only says `constraint failed`.
pub(super) const COMMIT_REFUSED: u32 = 531;

impl<'c> Executor<'c> for &'c mut SqliteTx {
    type Database = Sqlite;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<SqliteQueryResult, SqliteRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let home = self.home.clone();
        (&mut **self)
            .fetch_many(query)
            .map(move |row| row.map_err(|error| seen(&home, error)))
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<SqliteRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Sqlite>,
    {
        let home = self.home.clone();
        (&mut **self)
            .fetch_optional(query)
            .map_err(move |error| seen(&home, error))
            .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [SqliteTypeInfo],
    ) -> BoxFuture<'e, Result<SqliteStatement, Error>>
    where
        'c: 'e,
    {
        (&mut **self).prepare_with(sql, parameters)
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Sqlite>, Error>>
    where
        'c: 'e,
    {
        (&mut **self).describe(sql)
    }
}

/// Notes a conflict, and says clearly what a refused `commit` is.
fn seen(home: &SqliteHome, error: Error) -> Error {
    home.note(&error);
    if code(&error) == Some(COMMIT_REFUSED) {
        return Error::Protocol(
            "the code of a transaction must not commit or roll back: Stepwell commits it when the \
             code returns `Ok`, and undoes it when it returns `Err`; everything in it is undone now"
                .to_owned(),
        );
    }
    error
}
