//! Starts and sends in a transaction of the user's own, in the file of the workflows.
//!
//! SQLite has no functions of its own, so the statements of a batch are run on the user's connection,
//! below a savepoint: all of them or none, also when the caller gives up in between. Others notice
//! what was committed as they notice any other connection's commit.

mod send;
mod start;
mod trouble;

use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use stepwell_core::{
    BoxFuture, Enlist, Error,
    store::{Applied, Change, Store},
    store_as,
};

use self::trouble::Trouble;
use crate::{SqliteStore, SqliteTx};

/// On a bare connection without a transaction, a change is its own.
impl Enlist<SqliteStore> for SqliteConnection {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let applied = apply(self, store_as(store)?, change).await;
            applied.map_err(|trouble| trouble.explain(change))
        })
    }
}

impl Enlist<SqliteStore> for Transaction<'_, Sqlite> {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        (**self).apply(store, change)
    }
}

impl Enlist<SqliteStore> for SqliteTx {
    fn apply<'a>(
        &'a mut self,
        store: &'a dyn Store,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let store = store_as(store)?;
            let applied = match self.is_read_only() {
                true => Err(Trouble::ReadOnly),
                false => apply(self, store, change).await,
            };
            applied.map_err(|trouble| {
                if let Trouble::Sqlite(error) = &trouble {
                    self.note(error);
                }
                trouble.explain(change)
            })
        })
    }
}

/// Applies a change below a savepoint.
///
/// Whoever drops this half way drops the savepoint, and it is undone before the connection does
/// anything else: a workflow without its input could not be kept.
async fn apply(
    connection: &mut SqliteConnection,
    store: &SqliteStore,
    change: &Change,
) -> Result<Applied, Trouble> {
    let begun = connection.begin().await;
    let mut savepoint = begun.map_err(Trouble::of_begin)?;
    check_file(&mut savepoint, store).await?;
    let applied = match change {
        Change::Start(new) => Applied::Start(start::start(&mut savepoint, store, new).await?),
        Change::Send(message) => Applied::Send(send::send(&mut savepoint, store, message).await?),
        _ => return Err(Trouble::NotEnlisted),
    };
    savepoint.commit().await?;
    Ok(applied)
}

/// Refuses a connection whose main database is not the file that the store has opened.
///
/// SQLite says the file's absolute path. Where a path cannot be followed, nothing is known, and
/// nothing is written.
async fn check_file(connection: &mut SqliteConnection, store: &SqliteStore) -> Result<(), Trouble> {
    const MAIN: &str = "select file from pragma_database_list where name = 'main'";
    let elsewhere = || Trouble::Elsewhere(store.describe());
    let Some(ours) = store.file() else {
        return Err(elsewhere());
    };
    let main: Option<String> = sqlx::query_scalar(MAIN).fetch_one(connection).await?;
    let main = main.filter(|file| !file.is_empty()).ok_or_else(elsewhere)?;
    let followed = tokio::task::spawn_blocking(move || std::fs::canonicalize(main)).await;
    match followed {
        Ok(Ok(main)) if main == ours => Ok(()),
        _ => Err(elsewhere()),
    }
}
