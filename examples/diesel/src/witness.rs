//! The row in the user's database that makes a transaction happen once.
//!
//! It is the table that `stepwell::PostgresTx` uses, so both may run in one database.

use diesel::{
    OptionalExtension, QueryableByName,
    result::Error,
    sql_query,
    sql_types::{Bool, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use stepwell::{Committed, Operation, Payload, TxError, Witness};

use crate::tx::{DieselHome, failed};

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

#[derive(QueryableByName)]
struct Output {
    #[diesel(sql_type = Text)]
    output: String,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    answer: bool,
}

/// The output that a committed run has left. Makes the table when it is missing.
pub(crate) async fn find_or_make_table(
    connection: &mut AsyncPgConnection,
    operation: &Operation,
) -> Result<Option<Payload>, TxError> {
    let looked = async {
        if !ask(connection, IS_THERE).await? {
            connection.batch_execute(MAKE_TABLE).await?;
        }
        find(connection, operation).await
    };
    looked
        .await
        .map_err(|error| failed("look for the witness of a transaction", error))
}

/// Writes the witness, or finds that another run was first. Commits nothing.
pub(crate) async fn write(
    connection: &mut AsyncPgConnection,
    home: &DieselHome,
    witness: &Witness,
) -> Result<Committed, TxError> {
    let inserted = sql_query(INSERT)
        .bind::<Text, _>(witness.operation.workflow.as_str())
        .bind::<Text, _>(witness.operation.position.encode())
        .bind::<Text, _>(witness.output.as_str());
    // Asked before: a failure of this statement itself is noted, too.
    let had_failed = home.noted.failed();
    match inserted.execute(connection).await {
        Ok(1) => return Ok(Committed::Now),
        Ok(_) => {}
        Err(error) => return Err(refused(home, had_failed, error)),
    }
    check_still_open(connection, home).await?;
    match find(connection, &witness.operation).await {
        Ok(Some(output)) => Ok(Committed::Before(output)),
        Ok(None) => Err(TxError::new(
            "the witness of another run was there, and is gone: somebody deletes witnesses",
        )),
        Err(error) => Err(failed("read the witness of a transaction", error)),
    }
}

/// Fails unless the transaction is the one that was begun.
pub(crate) async fn check_still_open(
    connection: &mut AsyncPgConnection,
    home: &DieselHome,
) -> Result<(), TxError> {
    let had_failed = home.noted.failed();
    match ask(connection, OPEN).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(TxError::misuse(
            "the transaction was over before Stepwell could commit it: its code must not commit or \
             roll back; what it has committed by hand is kept",
        )),
        Err(error) => Err(refused(home, had_failed, error)),
    }
}

/// What it means that a statement of ours failed. A conflict that the code has swallowed is still
/// one, and the code runs again; a mistake that it has swallowed would be made again.
fn refused(home: &DieselHome, had_failed: bool, error: Error) -> TxError {
    if had_failed && !home.noted.conflict() {
        return TxError::misuse(
            "a statement of the transaction failed and its code went on, but Postgres had undone \
             everything; return the error, or run what may fail in a savepoint",
        );
    }
    failed("write the witness of a transaction", error)
}

async fn find(
    connection: &mut AsyncPgConnection,
    operation: &Operation,
) -> Result<Option<Payload>, Error> {
    let found: Option<Output> = sql_query(FIND)
        .bind::<Text, _>(operation.workflow.as_str())
        .bind::<Text, _>(operation.position.encode())
        .get_result(connection)
        .await
        .optional()?;
    Ok(found.map(|found| Payload::from_stored(found.output)))
}

async fn ask(connection: &mut AsyncPgConnection, question: &str) -> Result<bool, Error> {
    let answer: Answer = sql_query(question).get_result(connection).await?;
    Ok(answer.answer)
}
