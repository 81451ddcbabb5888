//! Transactions in the user's database: exactly once, by the witness that commits with them.

use std::{fmt, marker::PhantomData, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::warn;

use super::{Here, Op, Ready, Slot};
use crate::{
    BoxFuture,
    durable::{Durable, DurableError, Provide, Step},
    engine::panic_message,
    failure::Failure,
    limits::InvalidInput,
    payload::Payload,
    run::Interrupt,
    tx::{Committed, Operation, Tx, TxError, Witness},
    workflow::{Outcome, RecordKind},
};

/// The first and the longest pause before a transaction is run again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(5));

type Body<'op, S, X, T, E> = Box<dyn FnMut(Arc<S>, X) -> BoxFuture<'op, Result<T, E>> + Send + 'op>;

/// A call of a `#[transaction]`.
#[must_use = "a call does nothing until it is run: `ctx.run(…).await`"]
pub struct TxCall<'op, S, X: Tx, D: Step> {
    body: Body<'op, S, X, D::Output, D::Error>,
}

impl<'op, S, X: Tx, D: Step> TxCall<'op, S, X, D> {
    /// Made by `#[transaction]`.
    #[doc(hidden)]
    pub fn new(
        body: impl FnMut(Arc<S>, X) -> BoxFuture<'op, Result<D::Output, D::Error>> + Send + 'op,
    ) -> Self {
        Self {
            body: Box::new(body),
        }
    }
}

impl<S, X: Tx, D: Step> fmt::Debug for TxCall<'_, S, X, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxCall")
            .field("transaction", &D::NAME)
            .finish_non_exhaustive()
    }
}

impl<'op, S, X: Tx, D: Step> Op<S> for TxCall<'op, S, X, D>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    type Output = Result<D::Output, D::Error>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        Box::pin(run(at, D::NAME, self.body))
    }
}

/// A transaction that is written as a closure.
#[must_use = "operations do nothing unless they are run"]
pub struct AdHocTx<'op, S, X: Tx, T> {
    name: &'static str,
    body: Body<'op, S, X, T, Failure>,
    tx: PhantomData<X>,
}

impl<'op, S, X: Tx, T> AdHocTx<'op, S, X, T> {
    pub(crate) fn new(name: &'static str, body: Body<'op, S, X, T, Failure>) -> Self {
        Self {
            name,
            body,
            tx: PhantomData,
        }
    }
}

impl<S, X: Tx, T> fmt::Debug for AdHocTx<'_, S, X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdHocTx")
            .field("transaction", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'op, S, X: Tx, T: Durable> Op<S> for AdHocTx<'op, S, X, T>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    type Output = Result<T, Failure>;

    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a,
    {
        Box::pin(run(at, self.name, self.body))
    }
}

/// What one run of the user's code came to.
enum Ran<E> {
    /// The changes are durable, by this run or by an earlier one.
    Committed(Payload),
    /// The user's code returned an error; nothing was changed.
    Failed(E),
    /// Another transaction was in the way; nothing was changed.
    Conflict,
    /// The user's database did not answer: whether it was committed, its witness tells.
    Unknown(TxError),
    /// What the user's code returned cannot be stored, or it misused the transaction; nothing was
    /// changed. The sentence says which.
    Unusable(String),
    /// The user's code panicked; nothing was changed.
    Panicked(String),
}

async fn run<S, X: Tx, T: Durable, E: DurableError>(
    at: Slot<S>,
    name: &'static str,
    mut body: Body<'_, S, X, T, E>,
) -> Ready<Result<T, E>>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    let here = Here::from(&at);
    if let Some(outcome) = here.recorded(RecordKind::Transaction, name).await {
        return Ready::recorded(here.decode(name, &outcome).await);
    }
    let started = Instant::now();
    let done = match here.run.engine.mocks.outcome(name, 1) {
        Some(mocked) => here.mocked(name, mocked).await,
        None => until_done(&at, &here, name, &mut body).await,
    };
    let result = here.decode(name, &done.outcome).await;
    let mut record = here.record(RecordKind::Transaction, name, done.outcome);
    record.attempts = done.attempts;
    record.elapsed = started.elapsed();
    let ready = Ready::new(result, record, Vec::new());
    // An error leaves no witness: it must be on disk before the workflow acts on it.
    if done.witnessed {
        ready.witnessed()
    } else {
        ready
    }
}

/// A transaction that is over.
struct Done {
    outcome: Outcome,
    attempts: u32,
    witnessed: bool,
}

impl Here {
    async fn mocked(&self, name: &str, mocked: Result<Outcome, InvalidInput>) -> Done {
        match mocked {
            Ok(outcome) => Done {
                outcome,
                attempts: 1,
                witnessed: false,
            },
            Err(error) => self.stuck(name, &error.to_string()).await,
        }
    }
}

/// Runs the user's code until it is committed, or has failed with an error of its own.
async fn until_done<S, X: Tx, T: Durable, E: DurableError>(
    at: &Slot<S>,
    here: &Here,
    name: &str,
    body: &mut Body<'_, S, X, T, E>,
) -> Done
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    here.run.settle().await;
    let operation = Operation {
        workflow: here.run.id.clone(),
        position: here.position.clone(),
    };
    let source = <S as Provide<X::Source>>::provide(&at.state);
    // A new run cannot have committed anything. One that was taken up may have, and crashed before
    // its record was on disk.
    let mut ask_witness = here.run.claimed;
    let mut pause = PAUSE.0;
    let mut attempts = 0;
    loop {
        if ask_witness {
            match X::witnessed(source, &operation).await {
                Ok(Some(output)) => return committed(output, attempts.max(1)),
                Ok(None) => ask_witness = false,
                Err(error) => warn!(workflow = %here.run.id, name, %error, "trying again"),
            }
        }
        if !ask_witness {
            attempts += 1;
            match once(at, here, &operation, body).await {
                Ran::Committed(output) => return committed(output, attempts),
                Ran::Failed(error) => {
                    let error = here
                        .stored(name, Payload::of(&error, here.bytes_max()))
                        .await;
                    return Done {
                        outcome: Outcome::Err(error),
                        attempts,
                        witnessed: false,
                    };
                }
                Ran::Conflict => {}
                Ran::Unknown(error) => {
                    warn!(workflow = %here.run.id, name, %error, "trying again");
                    ask_witness = true;
                }
                Ran::Unusable(reason) => return here.stuck(name, &reason).await,
                Ran::Panicked(message) => {
                    let message = format!("transaction `{name}` at {}: {message}", here.position);
                    return here.run.control.stop(Interrupt::Panicked(message)).await;
                }
            }
        }
        tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

fn committed(output: Payload, attempts: u32) -> Done {
    Done {
        outcome: Outcome::Ok(output),
        attempts,
        witnessed: true,
    }
}

/// Runs the user's code once, in one transaction.
///
/// A crash before the commit leaves nothing; a crash after it leaves the witness. There is no state
/// in between, because the witness commits with the changes.
async fn once<S, X: Tx, T: Durable, E: DurableError>(
    at: &Slot<S>,
    here: &Here,
    operation: &Operation,
    body: &mut Body<'_, S, X, T, E>,
) -> Ran<E>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    crate::failpoint::failpoint!("transaction::before_begin");
    let (tx, home) = match X::begin(<S as Provide<X::Source>>::provide(&at.state)).await {
        Ok(begun) => begun,
        Err(error) => return Ran::Unknown(error),
    };
    let running = AssertUnwindSafe(async { body(Arc::clone(&at.state), tx).await });
    let result = match running.catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            X::rollback(home).await;
            return Ran::Panicked(panic_message(panic.as_ref()));
        }
    };
    let output = match result {
        Ok(value) => Payload::of(&value, here.bytes_max()),
        Err(error) => {
            let conflict = X::conflict(&home);
            X::rollback(home).await;
            return if conflict {
                Ran::Conflict
            } else {
                Ran::Failed(error)
            };
        }
    };
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            X::rollback(home).await;
            return Ran::Unusable(error.to_string());
        }
    };
    crate::failpoint::failpoint!("transaction::before_commit");
    let witness = Witness {
        operation: operation.clone(),
        output: output.clone(),
    };
    let committed = X::commit(home, witness).await;
    crate::failpoint::failpoint!("transaction::after_commit");
    match committed {
        Ok(Committed::Now) => Ran::Committed(output),
        Ok(Committed::Before(output)) => Ran::Committed(output),
        Err(error) if error.is_misuse() => Ran::Unusable(error.to_string()),
        Err(error) => Ran::Unknown(error),
    }
}
