//! Runs the code of a transaction until it has come to its end.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    Code,
    left::CameTo,
    sent::Sent,
    way::{Done, Way},
};
use crate::{
    durable::{Durable, DurableError, Provide},
    engine::panic_message,
    limits::InvalidInput,
    op::{Here, Ready, Slot},
    payload::Payload,
    run::Running,
    tx::{Committed, Tx, TxError, TxOptions},
    workflow::{Outcome, RecordKind},
};

/// The first and the longest pause before a transaction is run again.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(5));

/// What one run of the user's code came to, or one look for what was there before it.
pub(super) enum Ran<E> {
    /// There is nothing more to be tried.
    Ended(Ended<E>),
    /// No other run has left a witness, as far as can be seen.
    Unwitnessed,
    /// Another transaction was in the way; nothing was changed.
    Conflict,
    /// The user's database did not answer; nothing was changed.
    Away(TxError),
    /// The user's database did not answer to the commit: whether it happened, the witness tells.
    Unknown(TxError),
    /// The code was dropped, because another member of the race is ready or the workflow was
    /// cancelled; nothing was changed.
    Dropped,
}

/// How a run of the user's code ended.
pub(super) enum Ended<E> {
    /// The changes are durable.
    Committed(Payload),
    /// Another run of the operation has come to an end before, and its witness says to which.
    Before(Payload),
    /// The user's code returned an error; nothing was changed.
    Failed(E),
    /// What the user's code returned cannot be stored, or it misused the transaction; nothing was
    /// changed. The sentence says which.
    Unusable(String),
    /// The user's code panicked; nothing was changed.
    Panicked(String),
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
    let is_committed = done.witnessed && matches!(done.outcome, Outcome::Ok(_));
    let mut record = here.record(RecordKind::Transaction, name, done.outcome);
    record.attempts = done.attempts;
    record.elapsed = started.elapsed();
    let ready = Ready::new(result, record, Vec::new());
    // What has left no witness must be on disk before the workflow acts on it.
    match (done.witnessed, is_committed) {
        (true, true) => ready.witnessed().binding(),
        (true, false) => ready.witnessed(),
        (false, _) => ready,
    }
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
///
/// `doubt` says whether another run of the operation may have been committed, or may still be: a run
/// before a crash, one in a process that has lost its lease, one whose answer to the commit was lost.
/// Then nothing but a commit ends this one without a look at the witness, because the code fails on
/// the very changes that the other run has made: the row is there, the version has moved on.
async fn until_done<S, X: Tx, T: Durable, E: DurableError>(
    at: &Slot<S>,
    here: &Here,
    code: &mut Code<'_, S, X, T, E>,
) -> Done
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    let site = here.site(RecordKind::Transaction, code.name);
    let _busy = here.run.busy(site);
    here.run.settle().await;
    let source = <S as Provide<X::Source>>::provide(&at.state);
    let way = Way::<X>::new(here, source, (code.name, code.options), at.race.as_ref());
    // A new run is the first one of its operations.
    let mut doubt = way.keeps_witness() && here.run.claimed;
    let mut ask = doubt;
    let mut pause = PAUSE.0;
    let mut attempts = 0;
    loop {
        if way.is_over() {
            return way.lose(doubt, attempts).await;
        }
        here.run.begin_nothing_if_stopping().await;
        let ran = {
            let _running = Running::begin(&here.run).await;
            if ask {
                way.look().await
            } else {
                attempts += 1;
                once(at, &way, code).await
            }
        };
        match ran {
            Ran::Ended(ended) => return end(&way, ended, doubt, attempts).await,
            Ran::Unwitnessed => {
                ask = false;
                continue;
            }
            // Perhaps the other one is another run of this operation.
            Ran::Conflict => ask = doubt,
            Ran::Dropped => {}
            Ran::Away(error) => way.note(&error),
            Ran::Unknown(error) => {
                way.note(&error);
                doubt = way.keeps_witness();
                ask = doubt;
            }
        }
        way.pause(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Comes to the end that a run has had, if it counts.
async fn end<X: Tx, E: DurableError>(
    way: &Way<'_, X>,
    ended: Ended<E>,
    doubt: bool,
    attempts: u32,
) -> Done {
    let (here, name) = (way.here, way.name);
    match ended {
        Ended::Committed(output) => Done {
            outcome: Outcome::Ok(output),
            attempts,
            witnessed: way.keeps_witness(),
        },
        Ended::Before(text) => way.take(&text, attempts).await,
        Ended::Failed(error) => {
            let error = Payload::of_durable(&error, here.bytes_max());
            let error = here.stored(name, error).await;
            way.end(CameTo::Error(error), doubt, attempts).await
        }
        Ended::Panicked(message) => {
            let message = format!("transaction `{name}` at {}: {message}", here.position);
            way.end(CameTo::Panicked(message), doubt, attempts).await
        }
        Ended::Unusable(reason) => way.unusable(&reason, doubt, attempts).await,
    }
}

/// Runs the user's code once, in one transaction.
///
/// A crash before the commit leaves nothing; a crash after it leaves the witness. There is no state
/// in between, because the witness commits with the changes. What only reads changes nothing: after
/// a crash it runs again.
async fn once<S, X: Tx, T: Durable, E: DurableError>(
    at: &Slot<S>,
    way: &Way<'_, X>,
    code: &mut Code<'_, S, X, T, E>,
) -> Ran<E>
where
    S: Send + Sync + 'static + Provide<X::Source>,
{
    crate::failpoint::failpoint!("transaction::before_begin");
    let (tx, home) = match way.unless_over(X::begin(way.source, code.options)).await {
        None => return Ran::Dropped,
        Some(Ok(begun)) => begun,
        Some(Err(error)) if error.is_misuse() => {
            return Ran::Ended(Ended::Unusable(error.to_string()));
        }
        Some(Err(error)) => return Ran::Away(error),
    };
    let running = AssertUnwindSafe(async { (code.body)(Arc::clone(&at.state), tx).await });
    let result = match way.unless_over(running.catch_unwind()).await {
        None => {
            X::rollback(home).await;
            return Ran::Dropped;
        }
        Some(Ok(result)) => result,
        Some(Err(panic)) => {
            X::rollback(home).await;
            return Ran::Ended(Ended::Panicked(panic_message(panic.as_ref())));
        }
    };
    let output = match result {
        Ok(value) => Payload::of_durable(&value, way.here.bytes_max()),
        Err(error) => {
            let conflict = X::conflict(&home);
            X::rollback(home).await;
            return if conflict {
                Ran::Conflict
            } else {
                Ran::Ended(Ended::Failed(error))
            };
        }
    };
    match output {
        Ok(output) => commit(way, home, output, code.options).await,
        Err(error) => {
            X::rollback(home).await;
            Ran::Ended(Ended::Unusable(error.to_string()))
        }
    }
}

/// Ends a transaction whose code has returned a value. Nothing but a crash cuts this short: from here
/// on, a transaction may win a race that another member was ready for.
async fn commit<X: Tx, E>(
    way: &Way<'_, X>,
    home: X::Home,
    output: Payload,
    options: TxOptions,
) -> Ran<E> {
    crate::failpoint::failpoint!("transaction::before_commit");
    let committed = if options.read_only {
        X::commit_plain(home).await.map(|()| Committed::Now)
    } else {
        let witness = way.witness(&CameTo::Output(output.clone()));
        Sent::new(&way.here.run, X::commit(home, witness)).await
    };
    crate::failpoint::failpoint!("transaction::after_commit");
    match committed {
        Ok(Committed::Now) => Ran::Ended(Ended::Committed(output)),
        Ok(Committed::Before(text)) => Ran::Ended(Ended::Before(text)),
        Err(error) if error.is_misuse() => Ran::Ended(Ended::Unusable(error.to_string())),
        Err(error) => Ran::Unknown(error),
    }
}
