//! The row in the user's database that makes a transaction happen once.
//!
//! It is the table that `stepwell::PostgresTx` uses, so both may run in one database.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use stepwell::{Committed, Operation, Payload, TxError, Witness};

use crate::{connection::code, tx::failed};

const IS_THERE: &str = "select to_regclass('stepwell.witness') is not null as answer";

/// Two processes may make it at once, and `if not exists` looks before it makes: they take turns.
const MAKE_TABLE: &str = r#"
    select pg_advisory_xact_lock(7233016254);
    create schema if not exists stepwell;
    create table if not exists stepwell.witness (
        workflow_id text collate "C" not null,
        position text collate "C" not null,
        output text not null,
        recorded_at timestamptz not null default clock_timestamp(),
        primary key (workflow_id, position)
    )"#;

const FIND: &str = "
    select output
    from stepwell.witness
    where workflow_id = $1
      and position = $2";

const OPEN: &str =
    "select coalesce(current_setting('stepwell.transaction', true) = 'open', false) as answer";

/// Writes nothing in a transaction that is not ours any more, and nothing when another run was first:
/// of two at once, the second waits at the unique index until the first has ended.
const INSERT: &str = "
    insert into stepwell.witness (workflow_id, position, output)
    select $1, $2, $3
    where current_setting('stepwell.transaction', true) = 'open'
    on conflict do nothing";

/// `in_failed_sql_transaction`: an earlier statement failed, and the code went on.
const FAILED_BEFORE: &str = "25P02";

/// The output that a committed run has left. Makes the table when it is missing.
pub(crate) async fn find_or_make_table(
    connection: &impl ConnectionTrait,
    operation: &Operation,
) -> Result<Option<Payload>, DbErr> {
    if !ask(connection, IS_THERE).await? {
        connection.execute_unprepared(MAKE_TABLE).await?;
    }
    find(connection, operation).await
}

/// Writes the witness, or finds that another run was first. Commits nothing.
pub(crate) async fn write(
    connection: &impl ConnectionTrait,
    witness: &Witness,
) -> Result<Committed, TxError> {
    let [workflow, position] = key(&witness.operation);
    let output = witness.output.as_str().into();
    let insert = statement(INSERT, [workflow, position, output]);
    match connection.execute_raw(insert).await {
        Ok(done) if done.rows_affected() == 1 => return Ok(Committed::Now),
        Ok(_) => {}
        Err(error) => return Err(refused(error)),
    }
    check_still_open(connection).await?;
    match find(connection, &witness.operation).await {
        Ok(Some(output)) => Ok(Committed::Before(output)),
        Ok(None) => Err(TxError::new(
            "the witness of another run was there, and is gone: somebody deletes witnesses",
        )),
        Err(error) => Err(failed("read the witness of a transaction", error)),
    }
}

/// Fails unless the transaction is the one that was begun.
pub(crate) async fn check_still_open(connection: &impl ConnectionTrait) -> Result<(), TxError> {
    match ask(connection, OPEN).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(TxError::misuse(
            "the transaction was over before Stepwell could commit it: its code must not commit or \
             roll back; what it has committed by hand is kept",
        )),
        Err(error) => Err(refused(error)),
    }
}

/// What it means that a statement of ours failed.
fn refused(error: DbErr) -> TxError {
    if code(&error).is_some_and(|code| code == FAILED_BEFORE) {
        return TxError::misuse(
            "a statement of the transaction failed and its code went on, but Postgres had undone \
             everything; return the error",
        );
    }
    failed("write the witness of a transaction", error)
}

async fn find(
    connection: &impl ConnectionTrait,
    operation: &Operation,
) -> Result<Option<Payload>, DbErr> {
    let found = connection.query_one_raw(statement(FIND, key(operation)));
    let found = found.await?.map(|row| row.try_get("", "output"));
    Ok(found.transpose()?.map(Payload::from_stored))
}

async fn ask(connection: &impl ConnectionTrait, question: &str) -> Result<bool, DbErr> {
    let answer = connection.query_one_raw(statement(question, []));
    match answer.await? {
        Some(row) => row.try_get("", "answer"),
        None => Ok(false),
    }
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// `position` is in its stored form, so that rows of a workflow sort as its history does.
fn key(operation: &Operation) -> [Value; 2] {
    let position = operation.position.encode();
    [operation.workflow.as_str().into(), position.into()]
}
