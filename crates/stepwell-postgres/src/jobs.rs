//! Runs jobs on the connections of a store: how often one is tried, and how long it is waited for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use stepwell_core::store::StoreError;
use tokio::sync::watch;

use crate::{
    connection::Connection,
    error::{Failure, Remedy},
    pool::Pool,
    server::Server,
};

/// How often a job begins anew because others were in its way.
const TRIES_MAX: u32 = 10;

/// A job with its connection is given up after as long as this many statements may take.
const ANSWER_STATEMENTS: u32 = 2;

/// How long what an executor's lease stands on waits for an answer before it asks again on another
/// connection. A server that is only slow is asked twice, not more.
const PROMPT: Duration = Duration::from_secs(1);

/// A job on a connection. It may run more than once.
pub(crate) type Job<I, T> = for<'a> fn(&'a Connection, &'a I) -> BoxFuture<'a, Result<T, Failure>>;

/// The connections of a store, and what runs jobs on them.
pub(crate) struct Jobs {
    pub(crate) server: Arc<Server>,
    pub(crate) writers: Pool,
    pub(crate) sides: Arc<Pool>,
    /// For what a lease stands on. Its connections belong to a thread of their own.
    pub(crate) lease: Pool,
    pub(crate) shown: String,
    /// Counts how often a connection was silent while the server answered on another one.
    pub(crate) silences: watch::Sender<u64>,
}

impl Jobs {
    /// Runs a job, and again while others are in its way. `operation` completes the sentence "could
    /// not …".
    pub(crate) async fn run<I: Sync, T>(
        &self,
        pool: &Pool,
        operation: &'static str,
        input: &I,
        job: Job<I, T>,
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let attempt = self.in_time(attempt(pool, input, job));
            let failure = match attempt.await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match failure.remedy() {
                Remedy::Again if tries < TRIES_MAX => {}
                Remedy::AgainUnnamed if tries < TRIES_MAX => self.server.go_unnamed(),
                _ => return Err(failure.explain(operation, &self.shown)),
            }
        }
    }

    /// Runs a job that a lease stands on: it must not wait as long for a connection that has fallen
    /// silent as others do. It may be done twice.
    pub(crate) async fn prompt<I: Sync, T>(
        &self,
        operation: &'static str,
        input: &I,
        job: Job<I, T>,
    ) -> Result<T, StoreError> {
        let first = attempt(&self.lease, input, job);
        let is_silent = match tokio::time::timeout(PROMPT, first).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(_)) => false,
            Err(_) => true,
        };
        let begun = Instant::now();
        let done = self.run(&self.lease, operation, input, job).await;
        if is_silent && done.is_ok() && begun.elapsed() < PROMPT {
            // What has silenced the one may have silenced all of them.
            self.sides.forget();
            self.writers.forget();
            self.silences.send_modify(|count| *count += 1);
        }
        done
    }

    /// The same for a job that must not be done twice: it fails instead.
    pub(crate) async fn prompt_once<I: Sync, T>(
        &self,
        operation: &'static str,
        input: &I,
        job: Job<I, T>,
    ) -> Result<T, StoreError> {
        let done = tokio::time::timeout(PROMPT, attempt(&self.lease, input, job)).await;
        match done.unwrap_or(Err(Failure::Late("no answer came at once"))) {
            // It was not done.
            Err(failure) if failure.remedy() != Remedy::None => {
                self.run(&self.lease, operation, input, job).await
            }
            done => done.map_err(|failure| failure.explain(operation, &self.shown)),
        }
    }

    /// Waits for a try no longer than the server would: what takes our bytes and never answers (a
    /// pooler that hangs, a proxy whose server is gone) acknowledges them too, and nothing below
    /// would ever give up. Whether it was committed is not known then, as after every lost answer.
    async fn in_time<T>(
        &self,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let statement = self.server.address.timeouts.statement;
        if statement.is_zero() {
            return attempt.await;
        }
        let limit = statement.saturating_mul(ANSWER_STATEMENTS);
        let mut silences = self.silences.subscribe();
        tokio::select! {
            biased;
            done = attempt => done,
            () = tokio::time::sleep(limit) => Err(Failure::Late("no answer came in time")),
            () = is_silent(&mut silences) => Err(Failure::Late("others got an answer before")),
        }
    }
}

/// Returns when it is likely that an answer will never come: on another connection the server has
/// answered promptly after one had fallen silent.
async fn is_silent(silences: &mut watch::Receiver<u64>) {
    match silences.changed().await {
        // This answer may be on its way.
        Ok(()) => tokio::time::sleep(PROMPT).await,
        Err(_) => std::future::pending().await,
    }
}

/// One try. Dropped on its way, it closes its connection, and the server undoes what was not
/// committed.
async fn attempt<I: Sync, T>(pool: &Pool, input: &I, job: Job<I, T>) -> Result<T, Failure> {
    let db = pool.take().await?;
    let done = job(&db, input).await;
    db.give_back().await;
    done
}
