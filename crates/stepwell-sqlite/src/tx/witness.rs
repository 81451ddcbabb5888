//! The row in the user's database that makes a transaction happen once.

use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction};
use stepwell_core::{Committed, Operation, Payload, TxError, Witness};

use super::{SqliteHome, failed, hooks};

/// `position` is in its stored form, so that rows of a workflow sort as its history does.
const MAKE_TABLE: &str = "
    create table if not exists stepwell_witness (
        workflow_id text not null,
        position text not null,
        output text not null,
        recorded_at integer not null,
        primary key (workflow_id, position)
    ) without rowid";

const FIND: &str = "
    select output
    from stepwell_witness
    where workflow_id = ?1
      and position = ?2";

/// `recorded_at` is in microseconds since 1970, like every instant of Stepwell.
const INSERT: &str = "
    insert into stepwell_witness (workflow_id, position, output, recorded_at)
    values (?1, ?2, ?3, cast(unixepoch('subsec') * 1000000 as integer))";

const IS_THERE: &str = "
    select 1
    from sqlite_schema
    where type = 'table'
      and name = 'stepwell_witness'";

/// The output that a committed run has left. Makes the table when it is missing.
pub(super) async fn find_or_make_table(
    source: &SqlitePool,
    operation: &Operation,
) -> Result<Option<Payload>, TxError> {
    let looked = async {
        let mut connection = source.acquire().await?;
        let there = sqlx::query(IS_THERE)
            .fetch_optional(&mut *connection)
            .await?;
        if there.is_none() {
            sqlx::query(MAKE_TABLE).execute(&mut *connection).await?;
        }
        find(&mut connection, operation).await
    };
    looked
        .await
        .map_err(|error| failed("look for the witness of a transaction", error))
}

async fn find(
    connection: &mut SqliteConnection,
    operation: &Operation,
) -> Result<Option<Payload>, sqlx::Error> {
    let row = sqlx::query(FIND)
        .bind(operation.workflow.as_str())
        .bind(operation.position.encode())
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.try_get(0).map(Payload::from_stored))
        .transpose()
}

/// Writes the witness and commits both, or finds that another run was first.
pub(super) async fn commit(
    mut transaction: Transaction<'static, Sqlite>,
    home: &SqliteHome,
    witness: &Witness,
) -> Result<Committed, TxError> {
    if let Err(misuse) = hooks::refuse_if_ended_by_hand(home) {
        hooks::rollback(home, transaction).await;
        return Err(misuse);
    }
    let operation = &witness.operation;
    match insert(&mut transaction, witness).await {
        Ok(()) => {
            let committed = hooks::commit(home, transaction).await;
            committed.map_err(|error| failed("commit a transaction", error))?;
            Ok(Committed::Now)
        }
        Err(error) if is_collision(&error) => {
            // The lock is ours since the begin: what collided is committed, and readable here.
            let before = find(&mut transaction, operation).await;
            hooks::rollback(home, transaction).await;
            match before.map_err(|error| failed("read the witness of a transaction", error))? {
                Some(output) => Ok(Committed::Before(output)),
                None => Err(failed("write the witness of a transaction", error)),
            }
        }
        Err(error) => {
            home.note(&error);
            hooks::rollback(home, transaction).await;
            Err(failed("write the witness of a transaction", error))
        }
    }
}

async fn insert(connection: &mut SqliteConnection, witness: &Witness) -> Result<(), sqlx::Error> {
    match insert_once(connection, witness).await {
        // Looked for only then: almost always the table is there.
        Err(_)
            if sqlx::query(IS_THERE)
                .fetch_optional(&mut *connection)
                .await?
                .is_none() =>
        {
            sqlx::query(MAKE_TABLE).execute(&mut *connection).await?;
            insert_once(connection, witness).await
        }
        inserted => inserted,
    }
}

async fn insert_once(
    connection: &mut SqliteConnection,
    witness: &Witness,
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(witness.operation.workflow.as_str())
        .bind(witness.operation.position.encode())
        .bind(witness.output.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

fn is_collision(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
