//! One workflow on its way in this process: its history, what it has handed in, and how it is
//! interrupted. Memory only: all of it can be had again from the database.

mod abandoned;
mod commits;
mod control;
mod history;
mod running;
mod waiting;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::Sleep};
use tokio_util::sync::CancellationToken;

pub(crate) use abandoned::Abandoned;
pub(crate) use control::{Control, Interrupt};
pub(crate) use history::{History, Lookup};
pub(crate) use running::Running;
pub(crate) use waiting::{Awaited, Site, Underway, Waiting};

use crate::{
    engine::Engine,
    id::{Nonce, WorkflowId, WorkflowKey},
    observe::Observation,
    store::{
        Applied, Cancel, CancelCause, Cancelled, Change, Effect, EffectOutcome, Finish, Finished,
        NewRecord, NewWorkflow, Progress, Progressed, Refusal, StoreError, StoreErrorKind,
    },
    workflow::{End, State},
};

/// How long a read that the database did not answer is put off.
const READ_AGAIN: Duration = Duration::from_millis(500);

/// One workflow on its way in this process.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) engine: Arc<Engine>,
    pub(crate) key: WorkflowKey,
    pub(crate) id: WorkflowId,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) name: String,
    pub(crate) deadline_at: Option<Timestamp>,
    /// Where it came from; known only where somebody measures.
    pub(crate) origin: Option<String>,
    pub(crate) created_at: Timestamp,
    /// Whether it came by a claim; then its end may free a place in a queue.
    pub(crate) claimed: bool,
    /// The incarnation that it belongs to: later ones do not write what it hands in.
    pub(crate) generation: u64,
    /// Which one it is of those that began in this process.
    pub(crate) number: u64,
    pub(crate) control: Control,
    history: Mutex<History>,
    /// How many changes were handed in, the last of them that an effect on the world must wait
    /// for, and how many were answered.
    handed_in: AtomicU64,
    must_settle: AtomicU64,
    durable: watch::Sender<u64>,
    /// Set when a change was refused for good. Nothing more of the run is written then, but that it is
    /// stuck.
    is_refused: AtomicBool,
    /// Why; none once the end says so.
    refusal: Mutex<Option<String>>,
    /// Messages that an operation of this run has in its hands.
    messages: Mutex<HashSet<i64>>,
    /// What its operations are at.
    waiting: Mutex<Waiting>,
    /// Steps and transactions that are running, and what tells them that they are cancelled.
    pub(crate) steps: AtomicU32,
    pub(crate) step_ended: tokio::sync::Notify,
    pub(crate) step_cancel: CancellationToken,
    /// How many commits in the user's database are on their way whose operation was dropped.
    sent_commits: watch::Sender<u32>,
    /// Set while the losers of a race are dropped. They are dropped by the run's own task alone.
    dropping_losers: AtomicBool,
    /// The children that were awaited by losers which are dropped just now.
    lost_children: Mutex<Vec<WorkflowId>>,
    /// Cancelled when the run's task is over.
    pub(crate) over: CancellationToken,
}

/// What a run needs to be made.
#[derive(Debug)]
pub(crate) struct NewRun {
    /// Of the incarnation that it was given to.
    pub(crate) generation: u64,
    pub(crate) key: WorkflowKey,
    pub(crate) id: WorkflowId,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) name: String,
    pub(crate) deadline_at: Option<Timestamp>,
    pub(crate) origin: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) claimed: bool,
}

impl Run {
    pub(crate) fn new(engine: Arc<Engine>, new: NewRun, number: u64) -> Self {
        Self {
            number,
            generation: new.generation,
            engine,
            key: new.key,
            id: new.id,
            nonce: new.nonce,
            name: new.name,
            deadline_at: new.deadline_at,
            origin: new.origin,
            created_at: new.created_at,
            claimed: new.claimed,
            control: Control::default(),
            history: Mutex::default(),
            handed_in: AtomicU64::new(0),
            must_settle: AtomicU64::new(0),
            durable: watch::Sender::new(0),
            is_refused: AtomicBool::new(false),
            refusal: Mutex::default(),
            messages: Mutex::default(),
            waiting: Mutex::default(),
            steps: AtomicU32::new(0),
            step_ended: tokio::sync::Notify::new(),
            step_cancel: CancellationToken::new(),
            sent_commits: watch::Sender::new(0),
            dropping_losers: AtomicBool::new(false),
            lost_children: Mutex::default(),
            over: CancellationToken::new(),
        }
    }

    /// What the next run of the same workflow is made from.
    pub(crate) fn again(&self) -> NewRun {
        NewRun {
            generation: self.generation,
            key: self.key,
            id: self.id.clone(),
            nonce: self.nonce,
            name: self.name.clone(),
            deadline_at: self.deadline_at,
            origin: self.origin.clone(),
            created_at: self.created_at,
            // It may have committed transactions whose records are not in its history.
            claimed: true,
        }
    }

    /// The history, for one short look.
    pub(crate) fn history<T>(&self, look: impl FnOnce(&mut History) -> T) -> T {
        look(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands in records of an operation and what they bring about. They are written in the order
    /// in which they are handed in; [`settle`](Self::settle) waits for them before the next effect
    /// on the world, but not for a `witnessed` one: a crash that loses it loses nothing, because
    /// replay asks the user's database.
    pub(crate) fn record(
        self: &Arc<Self>,
        records: Vec<NewRecord>,
        effects: Vec<Effect>,
        witnessed: bool,
    ) {
        let progress = Progress {
            key: self.key,
            records,
            effects,
        };
        let number = self.hand_in(Change::Progress(progress));
        if !witnessed {
            self.must_settle.fetch_max(number, Ordering::SeqCst);
        }
    }

    /// The database did not answer a read: says so and pauses. The run waits, it does not fail.
    pub(crate) fn database_away(&self, what: &str, error: &dyn std::error::Error) -> Sleep {
        tracing::warn!(workflow = %self.id, %error, "could not {what}; trying again");
        tokio::time::sleep(READ_AGAIN)
    }

    /// Hands in the end, with the alerts about it.
    pub(crate) fn finish(self: &Arc<Self>, end: End) {
        let bytes_max = self.engine.config.payload_bytes_max;
        let alerts = self
            .engine
            .alerts
            .about_end((&self.id, &self.name), &end, bytes_max);
        self.finish_with(end, alerts);
    }

    /// Hands in the end, with these alerts.
    pub(crate) fn finish_with(self: &Arc<Self>, end: End, alerts: Vec<NewWorkflow>) {
        let version = self.engine.config.version.clone();
        let _number = self.hand_in(Change::Finish(Finish {
            key: self.key,
            end,
            version,
            alerts,
        }));
    }

    /// Cancels itself because its deadline has passed; returns when that is answered. As a change of
    /// the run it is written however long the database is away. The row decides between the deadline
    /// and an end that is on its way, and whether the deadline has passed.
    pub(crate) async fn cancel_at_deadline(self: &Arc<Self>) {
        let number = self.hand_in(Change::Cancel(Cancel {
            id: self.id.clone(),
            cause: CancelCause::Deadline,
        }));
        self.durable_up_to(number).await;
    }

    fn hand_in(self: &Arc<Self>, change: Change) -> u64 {
        let number = self.handed_in.fetch_add(1, Ordering::SeqCst) + 1;
        self.engine
            .client
            .0
            .journal
            .submit(Arc::clone(self), change);
        number
    }

    /// Returns when everything that was handed in so far would survive a crash. Whatever touches
    /// the world (a step, a transaction) waits for it, so that nothing happens after an operation
    /// that a crash could make unhappened. Never returns in a run that is interrupted.
    pub(crate) async fn settle(&self) {
        self.durable_up_to(self.must_settle.load(Ordering::SeqCst))
            .await;
        // A refusal interrupts before it counts as an answer, so it is seen here.
        self.stop_if_interrupted().await;
    }

    /// Never returns in a run that is interrupted: its future is about to be dropped.
    pub(crate) async fn stop_if_interrupted(&self) {
        if self.control.interrupted().is_some() {
            std::future::pending().await
        }
    }

    /// Never returns in a run whose operations count no more. One that is handed back still records
    /// what has ended, which would run again elsewhere.
    pub(crate) async fn stop_if_lost(&self) {
        match self.control.interrupted() {
            None | Some(Interrupt::HandedBack) => {}
            Some(_) => std::future::pending().await,
        }
    }

    /// Never returns when nothing new is to begin: the run is interrupted, or its executor stops.
    pub(crate) async fn begin_nothing_if_stopping(&self) {
        self.stop_if_interrupted().await;
        if self.engine.stopping.is_cancelled() {
            std::future::pending().await
        }
    }

    /// Returns when everything that was handed in so far was answered.
    pub(crate) async fn written(&self) {
        self.durable_up_to(self.handed_in.load(Ordering::SeqCst))
            .await;
    }

    async fn durable_up_to(&self, target: u64) {
        if *self.durable.borrow() < target {
            let mut durable = self.durable.subscribe();
            // The sender lives as long as the run: waiting cannot fail.
            drop(durable.wait_for(|count| *count >= target).await);
        }
    }

    /// The code and the history differ: the run is stuck, and never returns from here.
    pub(crate) async fn mismatch<T>(&self, what: &str) -> T {
        self.control
            .stop(Interrupt::Stuck(self.not_deterministic(what)))
            .await
    }

    /// The sentence for a person about a difference between code and history.
    pub(crate) fn not_deterministic(&self, what: &str) -> String {
        format!("workflow `{}` is not deterministic: {what}", self.id)
    }

    /// Hears from the journal what a change came to.
    pub(crate) fn acknowledge(
        self: &Arc<Self>,
        change: &Change,
        result: Result<Applied, StoreError>,
    ) {
        match result {
            Ok(Applied::Progress(progressed)) => self.progressed(change, progressed),
            Ok(Applied::Finish(Finished::Now)) => self.has_ended(change),
            Ok(Applied::Finish(Finished::Already(state))) => self.left_running(state),
            Ok(Applied::Park(parked)) => self.parked(parked),
            Ok(Applied::Cancel(cancelled)) => self.cancelled(&cancelled),
            Ok(_) => self.control.interrupt(Interrupt::Lost),
            Err(error) => self.not_written(&error),
        }
        self.durable.send_modify(|count| *count += 1);
    }

    fn progressed(self: &Arc<Self>, change: &Change, progressed: Progressed) {
        match progressed {
            Progressed::Recorded(outcomes) => {
                self.warn_of_lost_messages(change, &outcomes);
                self.launch_children(change, &outcomes);
            }
            // Handed in a second time because the first answer was lost.
            Progressed::Existing => self.launch_children_again(),
            Progressed::Refused(Refusal::NotRunning(state)) => self.left_running(state),
            Progressed::Refused(Refusal::NotMine) => self.control.interrupt(Interrupt::Lost),
            Progressed::Conflict { reason } => self.control.interrupt(Interrupt::Stuck(reason)),
        }
    }

    /// Hears what its deadline came to.
    fn cancelled(&self, cancelled: &Cancelled) {
        match cancelled {
            Cancelled::Now(_) => self.control.interrupt(Interrupt::Cancelled),
            Cancelled::Already(state) => self.left_running(*state),
            // It is asked again.
            Cancelled::NotDue => {}
            Cancelled::NoSuchWorkflow => self.control.interrupt(Interrupt::Lost),
        }
    }

    fn has_ended(&self, change: &Change) {
        let Change::Finish(finish) = change else {
            return;
        };
        if let End::Failed { fingerprint, .. } = &finish.end {
            self.engine.alerts.failed(&self.name, fingerprint);
        }
        self.observe_end(match finish.end {
            End::Succeeded(_) => State::Succeeded,
            End::Failed { .. } | End::Declined { .. } => State::Failed,
            End::Stuck { .. } => State::Stuck,
        });
    }

    pub(crate) fn observe_end(&self, state: State) {
        self.engine.client.observe(&Observation::Ended {
            name: &self.name,
            origin: self.origin.as_deref(),
            state,
            took: self.age(),
        });
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        let age = self.engine.client.now().duration_since(self.created_at);
        Duration::try_from(age).unwrap_or_default()
    }

    fn launch_children(self: &Arc<Self>, change: &Change, outcomes: &[EffectOutcome]) {
        let Change::Progress(progress) = change else {
            return;
        };
        for (effect, outcome) in progress.effects.iter().zip(outcomes) {
            if let (Effect::Start(new), EffectOutcome::Started(started)) = (effect, outcome) {
                self.engine.launch_started(started, new, self.generation);
            }
        }
    }

    /// The record says it as well, for whoever comes later.
    fn warn_of_lost_messages(&self, change: &Change, outcomes: &[EffectOutcome]) {
        let Change::Progress(progress) = change else {
            return;
        };
        for (effect, outcome) in progress.effects.iter().zip(outcomes) {
            if let (Effect::Send(message), EffectOutcome::Sent(sent)) = (effect, outcome)
                && let Some(reason) = sent.lost_because(&message.to)
            {
                let topic = &message.topic;
                tracing::warn!(workflow = %self.id, topic, reason, "a message was lost");
            }
        }
    }

    /// The keys of children are not known after a repeated batch: the run loads its history anew.
    fn launch_children_again(self: &Arc<Self>) {
        self.control.interrupt(Interrupt::Reload);
    }

    fn left_running(&self, state: State) {
        self.control.interrupt(match state {
            State::Cancelled => Interrupt::Cancelled,
            _ => Interrupt::Lost,
        });
    }

    /// A change was not written. Only a verdict on it leaves a run that is still this executor's: with
    /// every other answer its lease is gone, or it hands its work back.
    fn not_written(&self, error: &StoreError) {
        if error.kind() != StoreErrorKind::Refused {
            return self.control.interrupt(Interrupt::Lost);
        }
        self.is_refused.store(true, Ordering::SeqCst);
        let reason = format!("an operation could not be recorded: {error}");
        self.refusal().get_or_insert_with(|| reason.clone());
        self.control.interrupt(Interrupt::Stuck(reason));
    }

    /// Whether a change of it was refused for good.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::SeqCst)
    }

    /// Why a change was refused for good, if one was since the last call.
    pub(crate) fn take_refusal(&self) -> Option<String> {
        self.refusal().take()
    }

    fn refusal(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message, unless another operation of this run has it in its hands.
    pub(crate) fn reserve_message(self: &Arc<Self>, number: i64) -> Option<ReservedMessage> {
        let mut held = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(number).then(|| ReservedMessage {
            run: Arc::clone(self),
            number,
            received: false,
        })
    }
}

/// A message in the hands of a receive that may still lose its race.
#[derive(Debug)]
pub(crate) struct ReservedMessage {
    run: Arc<Run>,
    pub(crate) number: i64,
    received: bool,
}

impl ReservedMessage {
    /// The receive was recorded: the message is gone for good.
    pub(crate) fn received(mut self) {
        self.received = true;
    }
}

impl Drop for ReservedMessage {
    fn drop(&mut self) {
        if !self.received {
            let mut held = self
                .run
                .messages
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            held.remove(&self.number);
            drop(held);
            self.run.engine.client.0.hub.changed(self.run.key);
        }
    }
}
