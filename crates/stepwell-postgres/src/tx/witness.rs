//! The row in the user's database that makes a transaction happen once.

use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use stepwell_core::{Committed, Operation, Payload, TxError, Witness};

use super::{
    PostgresTxConnection,
    error::{FAILED_BEFORE, NO_TABLE, conflict, failed, is, is_undone},
    table,
};

const FIND: &str = "
    select output
    from stepwell.witness
    where workflow_id = $1
      and position = $2";

const MISSING: &str = "select to_regclass('stepwell.witness') is null";

/// Whether the transaction is still the one that Stepwell began: the setting is local to it, so it
/// is gone when the code has ended the transaction, also when it has begun another one.
const OPEN: &str = "select coalesce(current_setting('stepwell.transaction', true) = 'open', false)";

/// Writes nothing when the transaction is not ours any more, and nothing when another run was first.
///
/// Two runs of one operation, a stalled one and its successor, may come here at once. The unique
/// index lets the second wait until the first has ended: then the second writes nothing if the first
/// was committed, and its own row if not. In a transaction that is isolated more strictly it fails
/// instead (40001); then the engine asks for the witness and finds it.
const INSERT: &str = "
    insert into stepwell.witness (workflow_id, position, output)
    select $1, $2, $3
    where current_setting('stepwell.transaction', true) = 'open'
    on conflict do nothing";

/// The output that a committed run has left. Makes the table when it is missing.
///
/// A run whose answer to `commit` was lost may not have ended yet: its witness cannot be seen, and
/// the code runs again. That is safe. The second run waits at its own witness until the first has
/// ended, and is undone if the first was committed.
pub(super) async fn find_or_make_table(
    source: &PgPool,
    operation: &Operation,
) -> Result<Option<Payload>, TxError> {
    const LOOK: &str = "look for the witness of a transaction";
    let mut connection = source
        .acquire()
        .await
        .map_err(|error| failed(LOOK, error))?;
    match look(&mut connection, operation).await {
        Ok(found) => Ok(found),
        Err(error) => Err(helped(&mut connection, LOOK, error).await),
    }
}

/// Makes the table when it is missing.
pub(super) async fn make_table(source: &PgPool) -> Result<(), TxError> {
    const MAKE: &str = "make the table of the witnesses";
    let mut connection = source
        .acquire()
        .await
        .map_err(|error| failed(MAKE, error))?;
    // Asked first: whoever may not make tables is refused even when it is there.
    let made = match sqlx::query_scalar(MISSING)
        .fetch_one(&mut *connection)
        .await
    {
        Ok(true) => table::make(&mut connection).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    match made {
        Ok(()) => Ok(()),
        Err(error) => Err(helped(&mut connection, MAKE, error).await),
    }
}

/// The error, with what an administrator must do if rights are missing.
async fn helped(connection: &mut PgConnection, operation: &str, error: sqlx::Error) -> TxError {
    match table::help(connection, &error).await {
        Some(help) => TxError::new(help).with_source(error),
        None => failed(operation, error),
    }
}

async fn look(
    connection: &mut PgConnection,
    operation: &Operation,
) -> Result<Option<Payload>, sqlx::Error> {
    match find(&mut *connection, operation).await {
        Err(error) if is(&error, NO_TABLE) => {
            table::make(connection).await?;
            find(connection, operation).await
        }
        found => found,
    }
}

async fn find<'c>(
    connection: impl Executor<'c, Database = sqlx::Postgres>,
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

/// Writes the witness, or finds that another run was first. Commits nothing.
pub(super) async fn write(
    connection: &mut PostgresTxConnection<'static>,
    witness: &Witness,
) -> Result<Committed, TxError> {
    refuse_if_ended(connection)?;
    match insert(connection, witness).await {
        Ok(1) => return Ok(Committed::Now),
        Ok(_) => {}
        Err(error) => {
            return Err(refused(
                connection,
                "write the witness of a transaction",
                error,
            ));
        }
    }
    check_still_open(connection).await?;
    match find(&mut *connection, &witness.operation).await {
        Ok(Some(output)) => Ok(Committed::Before(output)),
        Ok(None) => Err(TxError::new(
            "the witness of another run was there, and is gone: somebody deletes witnesses",
        )),
        Err(error) => Err(failed("read the witness of a transaction", error)),
    }
}

async fn insert(
    connection: &mut PostgresTxConnection<'static>,
    witness: &Witness,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(INSERT)
        .bind(witness.operation.workflow.as_str())
        .bind(witness.operation.position.encode())
        .bind(witness.output.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

/// Fails unless there is something to commit. Postgres answers a `commit` after a failed statement
/// by undoing everything, and calls that a success.
pub(super) async fn check_still_open(
    connection: &mut PostgresTxConnection<'static>,
) -> Result<(), TxError> {
    refuse_if_ended(connection)?;
    match sqlx::query_scalar(OPEN).fetch_one(&mut *connection).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ended_by_hand()),
        Err(error) => Err(refused(connection, "commit a transaction", error)),
    }
}

fn refuse_if_ended(connection: &PostgresTxConnection<'static>) -> Result<(), TxError> {
    if !connection.noted.ended_by_hand() && connection.is_in_transaction() {
        return Ok(());
    }
    // What a conflict has made the code do is no mistake of the code.
    if connection.noted.conflict() {
        return Err(TxError::conflict("another transaction was in the way"));
    }
    Err(ended_by_hand())
}

fn ended_by_hand() -> TxError {
    TxError::misuse(
        "the transaction was over before Stepwell could commit it: its code must not commit or roll \
         back, nor give up a savepoint that is being begun; what it has committed by hand is kept, \
         and would be done again if the workflow were resumed",
    )
}

/// What it means that a statement of ours failed.
fn refused(
    connection: &PostgresTxConnection<'static>,
    operation: &str,
    error: sqlx::Error,
) -> TxError {
    // A conflict that the code has swallowed is still a conflict.
    if is(&error, FAILED_BEFORE) && !connection.noted.conflict() {
        return TxError::misuse(
            "a statement of the transaction failed and its code went on, but Postgres had undone \
             everything; return the error, or run what may fail in a savepoint (`tx.begin()`)",
        );
    }
    if is_undone(&error) {
        return conflict(error);
    }
    failed(operation, error)
}
