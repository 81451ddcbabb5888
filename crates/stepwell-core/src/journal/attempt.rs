//! One flight: a batch is handed to the store, and taken apart where it fails.
//!
//! Crash windows: before a commit nothing of it is there; after it everything is, and whoever was not
//! answered finds it by its id, position, key or state when it is handed in again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use super::{
    CLIENT_PATIENCE, Entry, Journal, Stand, batch,
    flight::{Failed, Flight, Landed},
    repeat,
};
use crate::store::{Batch, News, StoreError, StoreErrorKind, Written};

/// How often a change is refused alone before that is a verdict. Once may be a crossing with others:
/// what they write may pass by.
const VERDICT_AFTER: u32 = 2;

/// What an error of a batch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The executor's lease.
    Lease,
    /// The database: whatever is handed in would fail now.
    Database,
    /// A change of the batch, as far as anybody knows.
    SomeChange,
}

fn about(kind: StoreErrorKind) -> About {
    use StoreErrorKind::{
        Backend, Busy, Corrupt, Fenced, Full, ReadOnly, Refused, Unavailable, Unusable,
    };
    match kind {
        Fenced => About::Lease,
        Unavailable | Full | ReadOnly => About::Database,
        Busy | Corrupt | Unusable | Backend | Refused => About::SomeChange,
    }
}

impl Journal {
    /// Has a batch written, whole or in parts. Every entry is answered then, or stays behind.
    pub(super) async fn fly(&self, mut flight: Flight) -> Landed {
        let begun = Instant::now();
        let mut landed = flight.landing();
        // What is left, the next part last.
        let mut parts = vec![std::mem::take(&mut flight.entries)];
        while let Some(mut part) = parts.pop() {
            landed.keep_back(&mut part);
            batch::drop_void(&mut part, &flight.stand);
            if part.is_empty() {
                continue;
            }
            let error = match self.commit_in_time(&mut part, &flight.stand).await {
                Ok(written) => {
                    landed.wrote = true;
                    self.answer_all(part, written, &flight.stand);
                    continue;
                }
                Err(error) => error,
            };
            part.iter_mut().for_each(|entry| entry.is_repeated = true);
            match about(error.kind()) {
                About::Lease => {
                    parts.push(part);
                    self.fenced(&mut parts, &mut flight.stand, &error);
                }
                About::Database => {
                    parts.push(part);
                    landed.grounded = Some(self.ground(parts, error));
                    break;
                }
                About::SomeChange => match batch::second_half(&mut part) {
                    Some(second) => parts.extend([second, part]),
                    None => landed.failed_alone(part, error),
                },
            }
        }
        landed.took = begun.elapsed();
        if let Some(failed) = landed.failed.first() {
            let (changes, error) = (landed.failed.len(), &failed.error);
            let database = self.store.describe();
            error!(changes, %error, database, "changes could not be written; trying again");
        }
        landed
    }

    /// Commits a batch. Clients who have waited for as long as one does are told so while it is in the
    /// air: what takes bytes and never answers must not hold them.
    async fn commit_in_time(
        &self,
        batch: &mut [Entry],
        stand: &Stand,
    ) -> Result<Written, StoreError> {
        let changes = batch.iter().map(|entry| entry.change.clone()).collect();
        let mut commit = std::pin::pin!(self.commit(Batch {
            executor: stand.executor.clone(),
            changes,
        }));
        tokio::select! {
            biased;
            written = &mut commit => return written,
            () = tokio::time::sleep(CLIENT_PATIENCE) => {}
        }
        let silent = silent();
        batch
            .iter_mut()
            .for_each(|entry| entry.stop_waiting(&silent));
        commit.await
    }

    async fn commit(&self, batch: Batch) -> Result<Written, StoreError> {
        crate::failpoint::failpoint!("journal::before_commit");
        let changes = batch.changes.len();
        let written = self.store.commit(batch).await?;
        crate::failpoint::failpoint!("journal::after_commit");
        let answers = written.applied.len();
        if answers == changes {
            return Ok(written);
        }
        let message = format!("the store answered {answers} of {changes} changes");
        Err(StoreError::corrupt(message))
    }

    fn answer_all(&self, batch: Vec<Entry>, written: Written, stand: &Stand) {
        if written.woken {
            self.hub.work_arrived();
        }
        if batch.iter().any(|entry| entry.is_repeated) {
            self.hub.hear(News::of_anything());
        }
        for (entry, mut applied) in batch.into_iter().zip(written.applied) {
            if entry.is_repeated {
                applied = repeat::answer(&entry.change, applied);
            }
            batch::wake(&self.hub, &entry.change, &applied);
            self.observers.written(&entry.change, &applied);
            entry.answer(Ok(applied), stand);
        }
    }

    /// The runs of the incarnation are over; requests of clients stand on the next one, if any.
    fn fenced(&self, parts: &mut [Vec<Entry>], stand: &mut Stand, error: &StoreError) {
        for part in parts {
            batch::give_up(part, error, Entry::is_of_a_run);
        }
        // Of several batches in flight only the first one tells of it: the next incarnation may be
        // there by now.
        if self.generation() == stand.generation {
            warn!("the lease was lost: the workflows of this executor go on elsewhere");
            self.set_executor(None);
            self.fenced.notify_one();
        }
        *stand = self.stand();
    }

    /// Nothing can be written now: everything goes back to the line, in its order, but what clients
    /// need not wait for.
    fn ground(&self, parts: Vec<Vec<Entry>>, error: StoreError) -> (StoreError, Vec<Entry>) {
        let mut back: Vec<_> = parts.into_iter().rev().flatten().collect();
        let database = self.store.describe();
        if error.kind() == StoreErrorKind::Unavailable {
            warn!(%error, database, "the database is away; trying again");
        } else {
            error!(%error, database, "the database refuses writes");
            batch::give_up(&mut back, &error, |entry| !entry.is_of_a_run());
        }
        (error, back)
    }
}

impl Landed {
    /// A change failed with nothing beside it: that is the verdict, or it is tried again later.
    fn failed_alone(&mut self, mut entries: Vec<Entry>, error: StoreError) {
        entries.iter_mut().for_each(|entry| entry.failures += 1);
        let failures = entries.first().map_or(0, |entry| entry.failures);
        if error.kind() == StoreErrorKind::Refused && failures >= VERDICT_AFTER {
            batch::give_up(&mut entries, &error, |_| true);
        }
        if let Some(first) = entries.first() {
            self.failed.push(Failed {
                run: first.run().map(|run| run.key),
                error,
                entries,
            });
        }
    }

    /// Keeps back what follows a failed change of its run.
    fn keep_back(&mut self, part: &mut Vec<Entry>) {
        for failed in self.failed.iter_mut().filter(|it| it.run.is_some()) {
            let follows = |entry: &mut Entry| entry.run().map(|run| run.key) == failed.run;
            failed.entries.extend(part.extract_if(.., follows));
        }
    }
}

/// The first and the longest pause before something is handed in again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// The longest pause after an attempt that took long.
const PAUSE_AFTER_LONG: Duration = Duration::from_secs(10);

/// How long is waited after so many failures. After what took long, longer: trouble is not to keep a
/// writer busy.
pub(super) fn pause(failures: u32, took: Duration) -> Duration {
    let doubled = PAUSE
        .0
        .saturating_mul(1 << failures.saturating_sub(1).min(16));
    let for_long = took.saturating_mul(4).min(PAUSE_AFTER_LONG);
    doubled.min(PAUSE.1).max(for_long)
}

/// No answer has come.
pub(super) fn silent() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        format!(
            "the database has not answered for {} s; whether it was written is not known, and asking \
             for the same again is safe",
            CLIENT_PATIENCE.as_secs()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_with_what_an_attempt_costs() {
        let of = |failures, millis| pause(failures, Duration::from_millis(millis)).as_millis();
        assert_eq!([of(0, 0), of(1, 0), of(2, 0), of(3, 0)], [10, 10, 20, 40]);
        assert_eq!(of(9, 0), 2_000);
        assert_eq!(of(u32::MAX, 0), 2_000);
        assert_eq!(of(1, 1_000), 4_000);
        assert_eq!(of(1, 30_000), 10_000);
    }
}
