//! Operations are values; a context runs them.
//!
//! An operation has two phases. *Ready* may wait, or run the user's code, and changes nothing durable
//! but a deadline, a failed attempt or a child's start. Its *commit* is the change. So a race can
//! commit the winner's change together with the winner's number, and a loser commits nothing.

pub(crate) mod branch;
pub(crate) mod child;
pub(crate) mod event;
pub(crate) mod join;
pub(crate) mod message;
pub(crate) mod once;
mod other;
pub(crate) mod race;
pub(crate) mod retry;
pub(crate) mod sleep;
pub(crate) mod step;
pub(crate) mod timeout;
pub(crate) mod transaction;
pub(crate) mod write;

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use self::race::{Gate, Raced};
use crate::{
    BoxFuture,
    ctx::Ctx,
    id::{Nonce, WorkflowId},
    limits::{InvalidInput, NAME_BYTES_MAX, Text},
    payload::Payload,
    position::Position,
    run::{Interrupt, Lookup, ReservedMessage, Run, Site},
    store::{Cancel, CancelCause, Effect, NewRecord},
    workflow::{Outcome, Place, RecordKind},
};

/// What a context can run: a call of a step, a transaction or a workflow, [`sleep`](crate::sleep),
/// [`recv`](crate::recv), [`branch`](crate::branch) and their like.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a durable operation of a workflow with state `{S}`",
    note = "run a `#[step]`, `#[transaction]` or `#[workflow]` call, `sleep(…)`, `recv(…)`, `branch(…)`; \
            for other futures write `ctx.step(\"name\", async || …)`",
    note = "a workflow can only run children that have the same state type"
)]
pub trait Op<S>: Send + Sized {
    /// What it comes to.
    type Output: Send;

    /// Whether it changes the user's database while it gets ready, and leaves a witness of that.
    #[doc(hidden)]
    fn leaves_witness(&self) -> bool {
        false
    }

    /// Does everything but the commit.
    #[doc(hidden)]
    fn ready<'a>(self, at: Slot<S>) -> BoxFuture<'a, Ready<Self::Output>>
    where
        Self: 'a;
}

/// What an operation came to, and the change that is to be committed.
#[doc(hidden)]
#[derive(Debug)]
pub struct Ready<T> {
    output: T,
    commit: Option<Commit>,
    /// Whether it stands for what has happened already: then no other member of a race may win.
    binding: bool,
}

#[derive(Debug)]
struct Commit {
    records: Vec<NewRecord>,
    effects: Vec<Effect>,
    messages: Vec<ReservedMessage>,
    /// Whether a crash that loses the records would not lose what they stand for, because the
    /// user's database holds a witness of it.
    witnessed: bool,
}

impl<T> Ready<T> {
    /// Was recorded before, or has nothing to record.
    pub(crate) fn recorded(output: T) -> Self {
        Self {
            output,
            commit: None,
            binding: false,
        }
    }

    pub(crate) fn new(output: T, record: NewRecord, effects: Vec<Effect>) -> Self {
        let commit = Commit {
            records: vec![record],
            effects,
            messages: Vec::new(),
            witnessed: false,
        };
        Self {
            output,
            commit: Some(commit),
            binding: false,
        }
    }

    /// Whether it has a change to commit.
    pub(crate) fn is_new(&self) -> bool {
        self.commit.is_some()
    }

    pub(crate) fn with_messages(mut self, messages: Vec<ReservedMessage>) -> Self {
        if let Some(commit) = &mut self.commit {
            commit.messages = messages;
        }
        self
    }

    pub(crate) fn witnessed(mut self) -> Self {
        if let Some(commit) = &mut self.commit {
            commit.witnessed = true;
        }
        self
    }

    pub(crate) fn binding(mut self) -> Self {
        self.binding = true;
        self
    }

    pub(crate) fn is_binding(&self) -> bool {
        self.binding
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Ready<U> {
        Ready {
            output: change(self.output),
            commit: self.commit,
            binding: self.binding,
        }
    }

    /// Adds a record to be committed together with the others.
    pub(crate) fn and_record(mut self, record: NewRecord) -> Self {
        match &mut self.commit {
            Some(commit) => {
                commit.records.push(record);
                commit.witnessed = false;
            }
            None => return Self::new(self.output, record, Vec::new()),
        }
        self
    }

    /// Cancels children together with the change: they were awaited by members of a race that lost. A
    /// crash before the change leaves the race open, so nothing of it has to be done again.
    pub(crate) fn and_cancel(mut self, children: Vec<WorkflowId>) -> Self {
        if let Some(commit) = &mut self.commit {
            let cancel = |id| {
                Effect::Cancel(Cancel {
                    id,
                    cause: CancelCause::LostRace,
                })
            };
            commit.effects.extend(children.into_iter().map(cancel));
        }
        self
    }

    /// Hands the change in. It is written before any later effect of the run on the world.
    pub(crate) fn commit(self, run: &Arc<Run>) -> T {
        if let Some(commit) = self.commit {
            run.record(commit.records, commit.effects, commit.witnessed);
            for message in commit.messages {
                message.received();
            }
        }
        self.output
    }
}

/// One position in a workflow, and the run that it belongs to.
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<S> {
    pub(crate) run: Arc<Run>,
    pub(crate) state: Arc<S>,
    pub(crate) position: Position,
    /// The race that a transaction here wins or loses; none for one that takes effect as it goes.
    pub(crate) race: Option<Raced>,
}

impl<S: Send + Sync + 'static> Slot<S> {
    /// The position of the `number`-th member below this one.
    pub(crate) fn child(&self, number: usize) -> Self {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            run: Arc::clone(&self.run),
            state: Arc::clone(&self.state),
            position: self.position.child(number),
            race: None,
        }
    }

    /// The position of a member of a race below this one.
    pub(crate) fn member(&self, number: u32, gate: Option<&Arc<Gate>>) -> Self {
        Self {
            run: Arc::clone(&self.run),
            state: Arc::clone(&self.state),
            position: self.position.child(number),
            race: gate.map(|gate| gate.member(number)),
        }
    }

    /// Below which members number that run side by side.
    pub(crate) fn of_members(&self) -> Self {
        Self {
            run: Arc::clone(&self.run),
            state: Arc::clone(&self.state),
            position: self.position.of_members(),
            race: self.race.clone(),
        }
    }

    /// A context that numbers below this position.
    pub(crate) fn into_ctx(self) -> Ctx<S> {
        Ctx::below(self.run, self.state, self.position.of_sequence())
    }
}

/// What every operation does with its position; without the state, so compiled once.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    pub(crate) run: Arc<Run>,
    pub(crate) position: Position,
}

impl<S> From<&Slot<S>> for Here {
    fn from(slot: &Slot<S>) -> Self {
        Self {
            run: Arc::clone(&slot.run),
            position: slot.position.clone(),
        }
    }
}

impl Here {
    pub(crate) fn child(&self, number: u32) -> Self {
        Self {
            run: Arc::clone(&self.run),
            position: self.position.child(number),
        }
    }

    /// What was recorded here. Never returns when something else was, or the run is interrupted.
    pub(crate) async fn recorded(&self, kind: RecordKind, name: &str) -> Option<Outcome> {
        if self.run.control.interrupted().is_some() {
            return std::future::pending().await;
        }
        match self
            .run
            .history(|history| history.visit(&self.position, kind, name))
        {
            Lookup::New => {
                // The names of others are checked with what they name: a topic, an event.
                let is_own_name = matches!(
                    kind,
                    RecordKind::Step | RecordKind::Transaction | RecordKind::Patch
                );
                if is_own_name && let Err(error) = Text::OperationName.check(name) {
                    return self.stuck("", &error.to_string()).await;
                }
                self.run.begin_nothing_if_stopping().await;
                None
            }
            Lookup::Recorded(record) => Some(record.outcome),
            Lookup::Mismatch(what) => self.run.mismatch(&what).await,
        }
    }

    /// The value that was recorded here, or the one that is recorded now.
    pub(crate) async fn recorded_value<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        name: &str,
    ) -> Option<T> {
        let outcome = self.recorded(kind, name).await?;
        Some(self.read(name, outcome.payload()).await)
    }

    /// Reads a payload as a type. Never returns when it does not fit.
    pub(crate) async fn read<T: DeserializeOwned>(&self, name: &str, payload: &Payload) -> T {
        match payload.read() {
            Ok(value) => value,
            Err(error) => {
                let what = format!("its value no longer fits its type: {error}");
                self.stuck(name, &what).await
            }
        }
    }

    /// Reads an outcome as a result.
    pub(crate) async fn decode<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        name: &str,
        outcome: &Outcome,
    ) -> Result<T, E> {
        match outcome {
            Outcome::Ok(value) => Ok(self.read(name, value).await),
            Outcome::Err(error) => Err(self.read(name, error).await),
        }
    }

    /// Takes what was made of the user's values, or never returns because it cannot be stored.
    pub(crate) async fn stored<T>(&self, name: &str, made: Result<T, InvalidInput>) -> T {
        match made {
            Ok(made) => made,
            Err(error) => self.stuck(name, &error.to_string()).await,
        }
    }

    /// The run cannot go on from here: never returns.
    pub(crate) async fn stuck<T>(&self, name: &str, what: &str) -> T {
        let name = if name.is_empty() {
            String::new()
        } else {
            format!(" `{name}`")
        };
        let reason = format!("operation {}{name}: {what}", self.position);
        self.run.control.stop(Interrupt::Stuck(reason)).await
    }

    /// The operation's key, the same in every attempt and in every run of this workflow, and no other
    /// operation's: `<workflow id>:<nonce>:<position>`.
    pub(crate) fn key(&self) -> String {
        key(&self.run.id, self.run.nonce, &self.position)
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.run.engine.config.payload_bytes_max
    }

    /// Names the operation for a person who asks what the run is at.
    pub(crate) fn site(&self, kind: RecordKind, name: &'static str) -> Site {
        Site {
            position: self.position.clone(),
            kind,
            name,
            attempt: 0,
        }
    }

    pub(crate) fn record(&self, kind: RecordKind, name: &str, outcome: Outcome) -> NewRecord {
        NewRecord {
            place: Place::At(self.position.clone()),
            kind,
            name: name.to_owned(),
            outcome,
            attempts: 1,
            elapsed: Duration::ZERO,
        }
    }
}

/// The key of an operation, of at most 255 bytes: no service takes a longer one.
///
/// A workflow that was started before there were nonces keeps `<workflow id>:<position>`, however long:
/// a service may know it by that.
fn key(id: &WorkflowId, nonce: Option<Nonce>, position: &Position) -> String {
    let readable = format!("{}:{position}", id.lasting(nonce));
    if nonce.is_none() || readable.len() <= NAME_BYTES_MAX {
        return readable;
    }
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, readable.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_one_operation_of_one_workflow() {
        let id = |text: &str| WorkflowId::new(text).expect("an id");
        let (position, nonce) = (Position::top(4).child(0), Nonce::generate());
        let short = key(&id("order-7"), Some(nonce), &position);
        assert_eq!(short, format!("order-7:{nonce}:4.0"));
        assert_eq!(key(&id("order-7"), None, &position), "order-7:4.0");
        let again = key(&id("order-7"), Some(Nonce::generate()), &position);
        assert_ne!(short, again);
        let longest = id(&"x".repeat(NAME_BYTES_MAX));
        let key = |position| key(&longest, Some(nonce), &position);
        assert_eq!(key(Position::top(4)), key(Position::top(4)));
        assert_ne!(key(Position::top(4)), key(Position::top(5)));
        assert!(key(Position::top(4)).len() <= NAME_BYTES_MAX);
    }
}
