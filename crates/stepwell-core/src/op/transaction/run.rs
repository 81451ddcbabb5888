//! Runs the code of a transaction until it is committed.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::warn;

use super::Code;
use crate::{
    durable::{Durable, DurableError, Provide},
    engine::panic_message,
    limits::InvalidInput,
    op::{Here, Ready, Slot},
    payload::Payload,
    run::Interrupt,
    tx::{Committed, Operation, Tx, TxError, TxOptions, Witness},
    workflow::{Outcome, RecordKind},
};

/// The first and the longest pause before a transaction is run again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(5));

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

impl<E> Ran<E> {
    fn of_error(error: TxError) -> Self {
        if error.is_misuse() {
            Self::Unusable(error.to_string())
        } else {
            Self::Unknown(error)
        }
    }
}

/// Comes to the outcome of a transaction, recorded or new.
pub(super) async fn run<S, X: Tx, T: Durable, E: DurableError>(
    at: Slot<S>,
    mut code: Code<'_, S, X, T, E>,
) -> Ready<Result<T, E>>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    let (here, name) = (Here::from(&at), code.name);
    if let Some(outcome) = here.recorded(RecordKind::Transaction, name).await {
        return Ready::recorded(here.decode(name, &outcome).await);
    }
    let started = Instant::now();
    let done = match here.run.engine.mocks.outcome(name, 1) {
        Some(mocked) => here.mocked(name, mocked).await,
        None => until_done(&at, &here, &mut code).await,
    };
    let result = here.decode(name, &done.outcome).await;
    let mut record = here.record(RecordKind::Transaction, name, done.outcome);
    record.attempts = done.attempts;
    record.elapsed = started.elapsed();
    let ready = Ready::new(result, record, Vec::new());
    // An error leaves no witness, and neither does what only reads: it must be on disk before the
    // workflow acts on it.
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
    code: &mut Code<'_, S, X, T, E>,
) -> Done
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    let _busy = here.run.busy();
    here.run.settle().await;
    let (name, keeps_witness) = (code.name, !code.options.read_only);
    let operation = Operation {
        workflow: here.run.id.lasting(here.run.nonce),
        position: here.position.clone(),
    };
    let source = <S as Provide<X::Source>>::provide(&at.state);
    // A new run cannot have committed anything. One that was taken up may have, and crashed before
    // its record was on disk.
    let mut ask_witness = keeps_witness && here.run.claimed;
    let mut pause = PAUSE.0;
    let mut attempts = 0;
    loop {
        if ask_witness {
            match X::witnessed(source, &operation).await {
                Ok(Some(output)) => return committed(output, attempts.max(1), keeps_witness),
                Ok(None) => ask_witness = false,
                Err(error) => warn!(workflow = %here.run.id, name, %error, "trying again"),
            }
        }
        if !ask_witness {
            attempts += 1;
            match once(at, here, &operation, code).await {
                Ran::Committed(output) => return committed(output, attempts, keeps_witness),
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
                    ask_witness = keeps_witness;
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

fn committed(output: Payload, attempts: u32, witnessed: bool) -> Done {
    Done {
        outcome: Outcome::Ok(output),
        attempts,
        witnessed,
    }
}

/// Runs the user's code once, in one transaction.
///
/// A crash before the commit leaves nothing; a crash after it leaves the witness. There is no state
/// in between, because the witness commits with the changes. What only reads changes nothing: after
/// a crash it runs again.
async fn once<S, X: Tx, T: Durable, E: DurableError>(
    at: &Slot<S>,
    here: &Here,
    operation: &Operation,
    code: &mut Code<'_, S, X, T, E>,
) -> Ran<E>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    crate::failpoint::failpoint!("transaction::before_begin");
    let source = <S as Provide<X::Source>>::provide(&at.state);
    let (tx, home) = match X::begin(source, code.options).await {
        Ok(begun) => begun,
        Err(error) => return Ran::of_error(error),
    };
    let running = AssertUnwindSafe(async { (code.body)(Arc::clone(&at.state), tx).await });
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
    match output {
        Ok(output) => commit::<X, E>(home, operation, output, code.options).await,
        Err(error) => {
            X::rollback(home).await;
            Ran::Unusable(error.to_string())
        }
    }
}

/// Ends a transaction whose code has returned a value.
async fn commit<X: Tx, E>(
    home: X::Home,
    operation: &Operation,
    output: Payload,
    options: TxOptions,
) -> Ran<E> {
    crate::failpoint::failpoint!("transaction::before_commit");
    let committed = if options.read_only {
        X::commit_plain(home).await.map(|()| Committed::Now)
    } else {
        let witness = Witness {
            operation: operation.clone(),
            output: output.clone(),
        };
        X::commit(home, witness).await
    };
    crate::failpoint::failpoint!("transaction::after_commit");
    match committed {
        Ok(Committed::Now) => Ran::Committed(output),
        Ok(Committed::Before(output)) => Ran::Committed(output),
        Err(error) => Ran::of_error(error),
    }
}
