//! The way of a transaction to its end, as far as it does not depend on what its code returns: what it
//! leaves in the user's database, and what it finds there.

use std::{future::pending, time::Duration};

use tracing::warn;

use super::{
    left::{CameTo, Left},
    run::{Ended, PAUSE, Ran},
};
use crate::{
    op::{Here, race::Raced},
    payload::Payload,
    run::{Interrupt, Running},
    tx::{Committed, Isolation, Operation, Tx, TxError, TxOptions, Witness},
    workflow::Outcome,
};

/// A transaction that is over.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) attempts: u32,
    /// Whether a witness stands for it.
    pub(super) witnessed: bool,
}

/// A transaction on its way.
pub(super) struct Way<'w, X: Tx> {
    pub(super) here: &'w Here,
    pub(super) source: &'w X::Source,
    pub(super) name: &'static str,
    options: TxOptions,
    race: Option<&'w Raced>,
}

impl<'w, X: Tx> Way<'w, X> {
    pub(super) fn new(
        here: &'w Here,
        source: &'w X::Source,
        (name, options): (&'static str, TxOptions),
        race: Option<&'w Raced>,
    ) -> Self {
        Self {
            here,
            source,
            name,
            options,
            race,
        }
    }

    pub(super) fn keeps_witness(&self) -> bool {
        !self.options.read_only
    }

    /// Whether the workflow was started before there were nonces: then its witnesses are as they were,
    /// the bare outputs under its id, for those that it has left already.
    fn is_of_before(&self) -> bool {
        self.here.run.nonce.is_none()
    }

    /// The key of the witness. All transactions that may win one race have one in common.
    fn operation(&self) -> Operation {
        let run = &self.here.run;
        let position = match self.race {
            Some(race) if !self.is_of_before() => race.root(),
            _ => &self.here.position,
        };
        Operation {
            workflow: run.id.lasting(run.nonce),
            position: position.clone(),
        }
    }

    pub(super) fn witness(&self, came_to: &CameTo) -> Witness {
        let output = match came_to {
            CameTo::Output(output) if self.is_of_before() => output.clone(),
            _ => Left::write(self.name, &self.here.position, came_to),
        };
        Witness {
            operation: self.operation(),
            output,
        }
    }

    /// Whether its code is to go no further: another member of its race is ready, or the workflow is
    /// cancelled.
    pub(super) fn is_over(&self) -> bool {
        self.here.run.step_cancel.is_cancelled() || self.race.is_some_and(Raced::is_decided)
    }

    async fn over(&self) {
        let decided = async {
            match self.race {
                Some(race) => race.decided().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.here.run.step_cancel.cancelled() => {}
            () = decided => {}
        }
    }

    /// What a future comes to; none, and it is dropped, if the code is to go no further.
    pub(super) async fn unless_over<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            // A code that is ready is not committed any more, either.
            biased;
            () = self.over() => None,
            output = future => Some(output),
        }
    }

    /// Says that the user's database did not answer.
    pub(super) fn note(&self, error: &TxError) {
        warn!(workflow = %self.here.run.id, name = self.name, %error, "trying again");
    }

    /// Waits before the next try, unless it is over.
    pub(super) async fn pause(&self, pause: Duration) {
        self.unless_over(jittered(pause)).await;
    }

    /// Looks for the witness of another run. One that has not been committed yet is not seen.
    pub(super) async fn look<E>(&self) -> Ran<E> {
        match X::witnessed(self.source, &self.operation()).await {
            Ok(Some(text)) => Ran::Ended(Ended::Before(text)),
            Ok(None) => Ran::Unwitnessed,
            Err(error) if error.is_misuse() => Ran::Ended(Ended::Unusable(error.to_string())),
            Err(error) => Ran::Away(error),
        }
    }

    /// Comes to an end without changes. In doubt that is written where a run that has not been committed
    /// yet is waited for: whichever is committed first counts, and what this one leaves keeps the other
    /// from being committed later.
    pub(super) async fn end(&self, came_to: CameTo, doubt: bool, attempts: u32) -> Done {
        if doubt && let Some(text) = self.leave(&came_to).await {
            return self.take(&text, attempts).await;
        }
        let witnessed = doubt && !self.is_of_before();
        self.done(came_to, (attempts, witnessed)).await
    }

    /// Cannot go on with this code. Nothing is left behind: another code, or a resumption, may do better.
    pub(super) async fn unusable(&self, reason: &str, doubt: bool, attempts: u32) -> Done {
        if doubt && let Some(text) = self.found().await {
            return self.take(&text, attempts).await;
        }
        self.here.stuck(self.name, reason).await
    }

    /// Loses its race, unless a run of it has been committed. Never returns where the workflow is
    /// cancelled: a run that was committed is found when it is resumed.
    pub(super) async fn lose(&self, doubt: bool, attempts: u32) -> Done {
        if self.here.run.step_cancel.is_cancelled() {
            return pending().await;
        }
        self.end(CameTo::Lost, doubt, attempts).await
    }

    /// Takes over what another run has come to.
    pub(super) async fn take(&self, text: &Payload, attempts: u32) -> Done {
        let attempts = attempts.max(1);
        if self.is_of_before() {
            let came_to = CameTo::Output(text.clone());
            return self.done(came_to, (attempts, true)).await;
        }
        let left = match Left::read(text) {
            Ok(left) => left,
            Err(error) => {
                let what = format!("its witness in the user's database makes no sense: {error}");
                return self.here.stuck(self.name, &what).await;
            }
        };
        let position = &self.here.position;
        let is_beside = |race: &Raced| left.at != *race.root() && left.at.is_within(race.root());
        if left.at == *position && left.transaction == self.name {
            return self.done(left.came_to, (attempts, true)).await;
        }
        if left.at != *position && self.race.is_some_and(is_beside) {
            return self.done(CameTo::Lost, (attempts, true)).await;
        }
        let what = format!(
            "operation {} was `transaction {}` when it first ran, and left its witness; operation \
             {position} is `transaction {}` now",
            left.at, left.transaction, self.name
        );
        self.here.run.mismatch(&what).await
    }

    async fn done(&self, came_to: CameTo, (attempts, witnessed): (u32, bool)) -> Done {
        let outcome = match came_to {
            CameTo::Output(output) => Outcome::Ok(output),
            CameTo::Error(error) => Outcome::Err(error),
            CameTo::Panicked(message) => {
                return self
                    .here
                    .run
                    .control
                    .stop(Interrupt::Panicked(message))
                    .await;
            }
            CameTo::Lost => {
                if let Some(race) = self.race {
                    race.lose();
                }
                return pending().await;
            }
        };
        Done {
            outcome,
            attempts,
            witnessed,
        }
    }

    /// Leaves a witness of an end without changes; the text of the one that was there before, if one was.
    ///
    /// The unique index makes this wait for a run that has written its witness and is not committed yet.
    /// A crash, or an answer that is lost, leaves the witness or not: whoever comes next finds it, or
    /// writes the same.
    async fn leave(&self, came_to: &CameTo) -> Option<Payload> {
        if self.is_of_before() {
            return self.found().await;
        }
        let mut pause = PAUSE.0;
        loop {
            self.here.run.begin_nothing_if_stopping().await;
            let left = {
                let _running = Running::begin(&self.here.run).await;
                self.leave_once(came_to).await
            };
            match left {
                Ok(Committed::Now) => return None,
                Ok(Committed::Before(text)) => return Some(text),
                Err(error) => self.trouble(&error, &mut pause).await,
            }
            // Tells what came of it, and makes the table of the witnesses where it is missing.
            if let Ok(Some(text)) = X::witnessed(self.source, &self.operation()).await {
                return Some(text);
            }
        }
    }

    async fn leave_once(&self, came_to: &CameTo) -> Result<Committed, TxError> {
        let options = TxOptions {
            // More would fail on the other run, in place of reading what it has left.
            isolation: Some(Isolation::ReadCommitted),
            read_only: false,
        };
        let (tx, home) = X::begin(self.source, options).await?;
        drop(tx);
        X::commit(home, self.witness(came_to)).await
    }

    /// The witness of another run, asked for until the user's database answers.
    async fn found(&self) -> Option<Payload> {
        let mut pause = PAUSE.0;
        loop {
            self.here.run.begin_nothing_if_stopping().await;
            let looked = {
                let _running = Running::begin(&self.here.run).await;
                X::witnessed(self.source, &self.operation()).await
            };
            match looked {
                Ok(found) => return found,
                Err(error) => self.trouble(&error, &mut pause).await,
            }
        }
    }

    /// Waits for the user's database, longer each time.
    async fn trouble(&self, error: &TxError, pause: &mut Duration) {
        if error.is_misuse() {
            return self.here.stuck(self.name, &error.to_string()).await;
        }
        self.note(error);
        jittered(*pause).await;
        *pause = (*pause * 2).min(PAUSE.1);
    }
}

async fn jittered(pause: Duration) {
    tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
}
