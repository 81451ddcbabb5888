//! `&mut PostgresTx` runs queries of sqlx and notices what goes wrong.

use std::sync::Arc;

use futures_util::{
    FutureExt, StreamExt, TryFutureExt, future, future::BoxFuture, stream::BoxStream,
};
use sqlx::{
    Either, Error, Execute, Executor, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use super::{PostgresTx, PostgresTxConnection};

impl<'c> Executor<'c> for &'c mut PostgresTxConnection<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let query = match self.look_at(query) {
            Ok(query) => query,
            Err(refused) => return future::ready(Err(refused)).into_stream().boxed(),
        };
        let noted = Arc::clone(&self.noted);
        (&mut *self.transaction)
            .fetch_many(query)
            .map(move |row| row.inspect_err(|error| noted.note(error)))
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let query = match self.look_at(query) {
            Ok(query) => query,
            Err(refused) => return future::ready(Err(refused)).boxed(),
        };
        let noted = Arc::clone(&self.noted);
        (&mut *self.transaction)
            .fetch_optional(query)
            .inspect_err(move |error| noted.note(error))
            .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        let noted = Arc::clone(&self.noted);
        (&mut *self.transaction)
            .prepare_with(sql, parameters)
            .inspect_err(move |error| noted.note(error))
            .boxed()
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        (&mut *self.transaction).describe(sql)
    }
}

impl<'c> Executor<'c> for &'c mut PostgresTx {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        (&mut **self).fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        (&mut **self).fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        (&mut **self).prepare_with(sql, parameters)
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        (&mut **self).describe(sql)
    }
}

impl PostgresTxConnection<'_> {
    /// Lets a query pass, unless it would end the transaction or the transaction is over.
    fn look_at<'q>(&self, mut query: impl Execute<'q, Postgres>) -> Result<Passed, Error> {
        self.refuse_if_over()?;
        let passed = Passed {
            arguments: query.take_arguments().map_err(Error::Encode)?,
            statement: query.statement().cloned(),
            persistent: query.persistent(),
            sql: query.sql(),
        };
        if !ends_transaction(passed.sql.as_str()) {
            return Ok(passed);
        }
        self.noted.note_end_by_hand();
        Err(Error::Protocol(
            "the code of a transaction must not commit or roll back: Stepwell commits it when the \
             code returns `Ok`, and undoes it when it returns `Err`; nothing of it is kept now"
                .to_owned(),
        ))
    }
}

/// A query whose text was looked at. sqlx gives the text only away together with the query.
struct Passed {
    sql: SqlStr,
    arguments: Option<PgArguments>,
    statement: Option<PgStatement>,
    persistent: bool,
}

impl Execute<'_, Postgres> for Passed {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// Whether a statement begins with words that end a transaction.
///
/// Only its first words are looked at: this is for a quick and clear answer. What is hidden behind a
/// comment or another statement is found when the witness is written.
fn ends_transaction(sql: &str) -> bool {
    let sql = sql.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
    let (first, rest) = sql.split_at(
        sql.find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(sql.len()),
    );
    let is_first = |word| first.eq_ignore_ascii_case(word);
    let mut next = rest.split_ascii_whitespace();
    let mut is_next = |word| {
        next.next()
            .is_some_and(|next| next.eq_ignore_ascii_case(word))
    };
    if is_first("rollback") {
        // `rollback to a savepoint` ends nothing.
        return !(is_next("to") || is_next("to"));
    }
    is_first("commit")
        || is_first("end")
        || is_first("abort")
        || (is_first("prepare") && is_next("transaction"))
}

#[cfg(test)]
mod tests {
    use super::ends_transaction;

    #[test]
    fn words_that_end_a_transaction_are_known() {
        for sql in [
            "commit",
            " ;\n COMMIT;",
            "commit and chain",
            "end",
            "abort work",
            "rollback",
            "Rollback work;",
            "prepare transaction 'x'",
        ] {
            assert!(ends_transaction(sql), "{sql}");
        }
        for sql in [
            "",
            "-- commit the order\nselect 1",
            "rollback to a",
            "rollback work to savepoint a",
            "rollback transaction to a",
            "release a",
            "savepoint a",
            "prepare p as select 1",
            "select 'commit'",
            "commits",
            "endless",
        ] {
            assert!(!ends_transaction(sql), "{sql}");
        }
    }
}
