//! Between the queries, rows and results of `sqlx::Any` and those of one database.
//!
//! A query of `Any` is made one of the database and then runs the ordinary way. So whatever watches
//! that way, as the transactions of Stepwell do, sees it as well.

use std::{future, sync::Arc};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use sqlx::{
    Any, Column, Database, Describe, Either, Error, Execute, Executor, Postgres, SqlStr, Sqlite,
    Statement,
    any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement},
    error::BoxDynError,
};

/// A database whose values `Any` can carry.
pub(crate) trait Native: Database {
    fn arguments(arguments: AnyArguments) -> Result<Self::Arguments, BoxDynError>;

    fn rows_affected(result: &Self::QueryResult) -> u64;

    fn row(row: &Self::Row) -> Result<AnyRow, Error>;

    fn statement(statement: Self::Statement) -> Result<AnyStatement, Error>;

    fn describe(describe: Describe<Self>) -> Result<Describe<Any>, Error>;
}

macro_rules! native {
    ($database:ty) => {
        impl Native for $database {
            fn arguments(arguments: AnyArguments) -> Result<Self::Arguments, BoxDynError> {
                arguments.convert_into()
            }

            fn rows_affected(result: &Self::QueryResult) -> u64 {
                result.rows_affected()
            }

            fn row(row: &Self::Row) -> Result<AnyRow, Error> {
                AnyRow::try_from(row)
            }

            fn statement(statement: Self::Statement) -> Result<AnyStatement, Error> {
                let columns = statement.columns().iter();
                let names = columns
                    .map(|column| (column.name().to_owned().into(), column.ordinal()))
                    .collect();
                AnyStatement::try_from_statement(statement, Arc::new(names))
            }

            fn describe(describe: Describe<Self>) -> Result<Describe<Any>, Error> {
                describe.try_into_any()
            }
        }
    };
}

native!(Sqlite);
native!(Postgres);

/// A query of one database, made from one of `Any`.
pub(crate) struct NativeQuery<DB: Database> {
    sql: SqlStr,
    arguments: Option<DB::Arguments>,
    persistent: bool,
}

impl<DB: Native> NativeQuery<DB> {
    fn of<'q>(mut query: impl Execute<'q, Any>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        let arguments = arguments.map(DB::arguments).transpose();
        Ok(Self {
            arguments: arguments.map_err(Error::Encode)?,
            persistent: query.persistent(),
            sql: query.sql(),
        })
    }
}

impl<DB: Native> Execute<'_, DB> for NativeQuery<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

pub(crate) fn fetch_many<'e, 'q, X>(
    executor: X,
    query: impl Execute<'q, Any>,
) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
where
    X: Executor<'e, Database: Native> + 'e,
{
    let query = match NativeQuery::<X::Database>::of(query) {
        Ok(query) => query,
        Err(refused) => return stream::once(future::ready(Err(refused))).boxed(),
    };
    let rows = executor.fetch_many(query);
    rows.map(|row| match row? {
        Either::Left(done) => Ok(Either::Left(AnyQueryResult {
            rows_affected: X::Database::rows_affected(&done),
            ..AnyQueryResult::default()
        })),
        Either::Right(row) => X::Database::row(&row).map(Either::Right),
    })
    .boxed()
}

pub(crate) fn fetch_optional<'e, 'q, X>(
    executor: X,
    query: impl Execute<'q, Any>,
) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
where
    X: Executor<'e, Database: Native> + 'e,
{
    let query = match NativeQuery::<X::Database>::of(query) {
        Ok(query) => query,
        Err(refused) => return future::ready(Err(refused)).boxed(),
    };
    let row = executor.fetch_optional(query);
    row.map(|row| row?.as_ref().map(X::Database::row).transpose())
        .boxed()
}

pub(crate) fn prepare<'e, X>(executor: X, sql: SqlStr) -> BoxFuture<'e, Result<AnyStatement, Error>>
where
    X: Executor<'e, Database: Native> + 'e,
{
    let statement = executor.prepare_with(sql, &[]);
    statement
        .map(|statement| X::Database::statement(statement?))
        .boxed()
}

pub(crate) fn describe<'e, X>(
    executor: X,
    sql: SqlStr,
) -> BoxFuture<'e, Result<Describe<Any>, Error>>
where
    X: Executor<'e, Database: Native> + 'e,
{
    let described = executor.describe(sql);
    described
        .map(|described| X::Database::describe(described?))
        .boxed()
}
