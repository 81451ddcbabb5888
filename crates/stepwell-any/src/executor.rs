//! `&AnyPool`, `&mut AnyTransaction` and `&mut AnyTx` run queries of `sqlx::Any`.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Any, Either, Error, Execute, Executor, SqlStr,
    any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo},
};

use crate::{AnyPool, AnyTransaction, AnyTx, native};

/// `$on` is what the variant holds, and `$executor` what of it runs queries.
macro_rules! executor {
    ($reference:ty, $any:ident, $on:ident => $executor:expr) => {
        impl<'c> Executor<'c> for $reference {
            type Database = Any;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                match self {
                    $any::Sqlite($on) => native::fetch_many($executor, query),
                    $any::Postgres($on) => native::fetch_many($executor, query),
                }
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                match self {
                    $any::Sqlite($on) => native::fetch_optional($executor, query),
                    $any::Postgres($on) => native::fetch_optional($executor, query),
                }
            }

            // The types of `Any` say nothing that a database does not find out itself.
            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                _parameters: &'e [AnyTypeInfo],
            ) -> BoxFuture<'e, Result<AnyStatement, Error>>
            where
                'c: 'e,
            {
                match self {
                    $any::Sqlite($on) => native::prepare($executor, sql),
                    $any::Postgres($on) => native::prepare($executor, sql),
                }
            }

            #[doc(hidden)]
            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<sqlx::Describe<Any>, Error>>
            where
                'c: 'e,
            {
                match self {
                    $any::Sqlite($on) => native::describe($executor, sql),
                    $any::Postgres($on) => native::describe($executor, sql),
                }
            }
        }
    };
}

executor!(&'c AnyPool, AnyPool, pool => pool);
executor!(&'c mut AnyTransaction, AnyTransaction, transaction => &mut **transaction);
executor!(&'c mut AnyTx, AnyTx, tx => tx);
