//! Executors, their leases, and how work comes to them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{StoreFuture, TakeOver};
use crate::{
    id::{ExecutorId, Nonce, WorkflowId, WorkflowKey},
    payload::Payload,
};

/// Registers executors, keeps their leases, and hands workflows to them.
pub trait ExecutorStore {
    /// Makes a new incarnation known and gives it a lease. The first one of a version makes that a
    /// release, newer than those that are known.
    fn register(&self, executor: NewExecutor) -> StoreFuture<'_, ()>;

    /// Lengthens the lease by its duration from now, if the executor is still live, and keeps what it
    /// says of its runs. One row is written, and nothing else.
    fn renew(&self, renewal: Renewal) -> StoreFuture<'_, Renewed>;

    /// Reads what an executor has said last of its runs ([`Renewal::doing`]); none if it has said nothing.
    fn doing(&self, executor: &ExecutorId) -> StoreFuture<'_, Option<Payload>>;

    /// Declares every executor of the same application dead whose lease is over
    /// ([`TakeOver::is_over`]) or whose process is gone (where the store can see that), and hands its
    /// running workflows back, to be claimed by any executor. At most [`TakeOver::workflows_max`]
    /// workflows in one call; call again while [`TakenOver::more`].
    fn take_over(&self, look: TakeOver) -> StoreFuture<'_, TakenOver>;

    /// Takes workflows that wait for an executor: due, with a place in their queue, of a name that
    /// the executor knows. Also lets those that are stuck in another version try this one.
    ///
    /// A claimed workflow that was lost more often than [`RecoveryRules::recoveries_max`] without a
    /// new record becomes dead instead; one whose deadline passed becomes cancelled. An executor that
    /// handed its work back in order counts as no loss. Fails with `Fenced` for an executor that is
    /// not live.
    fn claim(&self, claim: Claim) -> StoreFuture<'_, Vec<Claimed>>;

    /// Those of these workflows that an executor owns, and that run. For after the answer of a claim was
    /// lost: what was claimed and is not on its way is launched.
    fn owned(&self, executor: &ExecutorId, keys: Vec<WorkflowKey>)
    -> StoreFuture<'_, Vec<Claimed>>;

    /// The keys of all running workflows that an executor owns. Asked at every renewal of its lease, and
    /// compared with what runs.
    fn owned_keys(&self, executor: &ExecutorId) -> StoreFuture<'_, Vec<WorkflowKey>>;

    /// When the next delayed workflow may run.
    fn next_wake(&self) -> StoreFuture<'_, Option<Timestamp>>;

    /// The deadlines of workflows that nobody runs, the earliest first, up to `limit`: also those that
    /// have passed.
    fn deadlines(&self, limit: u32) -> StoreFuture<'_, Vec<Deadline>>;

    /// The workflows of this executor that were cancelled while they ran, since the last call.
    fn take_interrupts(&self, executor: &ExecutorId) -> StoreFuture<'_, Vec<WorkflowKey>>;

    /// Ends the executor: hands back what it still has, so that others take it at once.
    fn retire(&self, executor: &ExecutorId) -> StoreFuture<'_, ()>;

    /// Every executor that is live or has work.
    fn executors(&self) -> StoreFuture<'_, Vec<Executor>>;
}

/// A deadline of a workflow that nobody runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// The workflow.
    pub id: WorkflowId,
    /// When it is to be cancelled.
    pub at: Timestamp,
}

/// An executor to register.
#[derive(Debug, Clone)]
pub struct NewExecutor {
    /// The new incarnation.
    pub id: ExecutorId,
    /// The application; executors take over only within it.
    pub application: String,
    /// The version of the code.
    pub version: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// How long it may be silent.
    pub lease: Duration,
    /// The schedules that its code declares, by name: while it lives, no other one's code withdraws
    /// them.
    pub declares: Vec<String>,
    /// The workflows that it registers, by name.
    pub names: Vec<String>,
}

/// A renewal of a lease.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The executor whose lease it is.
    pub executor: ExecutorId,
    /// The operations that its runs are at: text for [`ExecutorStore::doing`], which no store looks into. None leaves
    /// what was said before.
    pub doing: Option<Payload>,
}

impl Renewal {
    /// A renewal that says nothing of the runs.
    #[must_use]
    pub fn of(executor: ExecutorId) -> Self {
        Self {
            executor,
            doing: None,
        }
    }
}

/// What a renewal came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// The lease is longer now.
    Live,
    /// The executor was declared dead: it owns nothing any more.
    Lost,
}

/// What a take-over came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// The executors that are dead now.
    pub executors: Vec<ExecutorId>,
    /// How many workflows wait for an executor now.
    pub workflows: u32,
    /// Whether more workflows of dead executors are left.
    pub more: bool,
}

/// What an executor can take.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The executor; it must be live.
    pub executor: ExecutorId,
    /// The names that it knows.
    pub names: Vec<String>,
    /// The version of its code.
    pub version: String,
    /// How many at most.
    pub limit: u32,
    /// When a workflow counts as dead.
    pub rules: RecoveryRules,
}

/// When a workflow that is recovered again and again counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryRules {
    /// How many recoveries without a new record.
    pub recoveries_max: u32,
}

impl RecoveryRules {
    /// The recoveries without progress, after one more: progress resets the count.
    #[must_use]
    pub fn count(self, before: u32, records_before: u32, records_now: u32) -> u32 {
        if records_now > records_before {
            1
        } else {
            before.saturating_add(1)
        }
    }

    /// Whether a workflow with this many recoveries without progress is dead.
    #[must_use]
    pub fn is_dead(self, recoveries: u32) -> bool {
        recoveries > self.recoveries_max
    }
}

/// A workflow that an executor has taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Its key.
    pub key: WorkflowKey,
    /// Its id.
    pub id: WorkflowId,
    /// What tells it from others that ever have its id; none if it was started before there were
    /// nonces.
    pub nonce: Option<Nonce>,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub input: Payload,
    /// When it is cancelled.
    pub deadline_at: Option<Timestamp>,
    /// Where it came from.
    pub origin: Option<String>,
    /// When it was started.
    pub created_at: Timestamp,
    /// Whether there may be records to be replayed.
    pub has_history: bool,
}

/// An executor, as the console shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Executor {
    /// Its identity.
    pub id: ExecutorId,
    /// Its application.
    pub application: String,
    /// The version of its code.
    pub version: String,
    /// Its machine.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// When it registered.
    pub started_at: Timestamp,
    /// Until when it may be silent.
    pub lease_expires_at: Timestamp,
    /// When it was declared dead or retired.
    pub ended_at: Option<Timestamp>,
    /// The workflows that it registers, by name; none if its version of Stepwell does not say.
    pub names: Option<Vec<String>>,
}

impl Executor {
    /// Whether it has neither ended nor been silent for its whole lease.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.lease_expires_at >= now
    }
}
