//! What the engine asks of a database.
//!
//! A store knows tables; the engine does not. Writes are values ([`Change`]) and go through
//! [`Store::commit`] in batches, one transaction each; reads are the methods of the traits by noun.
//! Every write is repeatable: a batch whose answer was lost is handed in again as it was.

mod change;
mod driver;
mod error;
mod executors;
mod follow;
mod leases;
mod messages;
mod news;
mod park;
mod queues;
mod releases;
mod room;
mod schedules;
mod start;
mod turns;
mod url;
mod workflows;

use jiff::Timestamp;

pub use change::{
    Acknowledge, Acknowledged, Applied, Batch, Cancel, CancelCause, Cancelled, Change, Delete,
    Deleted, EditMessage, Edited, Effect, EffectOutcome, Finish, Finished, Fork, Forked, KnownFork,
    NewMessage, NewRecord, Progress, Progressed, Refusal, Resumed, Sent, Written,
};
pub use driver::{
    Migration, Migrations, OpenStore, ReadMigrations, StoreDriver, open_store, read_migrations,
};
pub use error::{StoreError, StoreErrorKind};
pub use executors::{
    Claim, Claimed, Deadline, Executor, ExecutorStore, NewExecutor, RecoveryRules, Renewal,
    Renewed, TakenOver,
};
pub use follow::{FollowStore, Mark, Moment, Recorded, Values};
pub use leases::{Lease, TakeOver};
pub use messages::{Message, MessageStore, PublishedEvent, StreamEntry, WaitingMessage};
pub use news::{Changed, News};
pub use park::{Park, Parked, Wait};
pub use queues::{
    COUNTED_MAX, PRIORITY_STEP, QueueChange, QueueChanged, QueueInfo, QueueLimited, QueueLimits,
    QueueSeen, QueueStore, QueueUsed, Rate,
};
pub use releases::{DECLARATIONS_KEPT, Declaring, RELEASE_KEPT, Standing};
pub use room::{Bound, Room};
pub use schedules::{
    DeclaredBy, NewSchedule, Paused, ScheduleChange, ScheduleInfo, ScheduleStore, ScheduleWords,
    Scheduled, Tick,
};
pub use start::{Launch, NewWorkflow, Owner, QueueUse, StartMessage, Started};
pub use turns::{KEYS_PER_LOOK, Lane, Turns, enough, take_turns};
pub use url::StoreUrl;
pub use workflows::{
    DEAD_LETTER_GROUPS_MAX, DeadLetters, Filter, LOOKED_AT_MAX, NAMES_WAITING_MAX, NameWaiting,
    PAGE_BYTES_MAX, TALLIES_MAX, Tally, WorkflowStore,
};

use crate::BoxFuture;
pub use crate::workflow::Workflow;

/// What a method of a store returns.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A database that keeps workflows.
///
/// Free to change between minor versions: implement it only together with the conformance suite.
/// It is [`Any`], so that a driver's transactions know their own store (see [`Enlist`]).
///
/// [`Any`]: std::any::Any
/// [`Enlist`]: crate::Enlist
pub trait Store:
    WorkflowStore
    + FollowStore
    + MessageStore
    + QueueStore
    + ScheduleStore
    + ExecutorStore
    + std::fmt::Debug
    + std::any::Any
    + Send
    + Sync
    + 'static
{
    /// Applies every change of the batch in one durable transaction and says what each came to,
    /// in the same order.
    ///
    /// The fence comes first: if [`Batch::executor`] is no longer live, nothing is written.
    ///
    /// # Errors
    /// [`StoreErrorKind::Fenced`] if the executor has lost its lease. After any other error it is
    /// unknown whether the batch was applied; handing it in again is safe.
    fn commit(&self, batch: Batch) -> StoreFuture<'_, Written>;

    /// How many batches it takes at once. They never hold changes of the same run. One that is
    /// taken while another is written need not wait for the answers of that one.
    fn writers(&self) -> usize {
        1
    }

    /// The store's clock: the only one for leases, deadlines, delays and schedules.
    fn now(&self) -> Timestamp;

    /// What other processes have written since the last call. Cheap; asked after
    /// [`told`](Self::told), and some times a second.
    fn news(&self) -> StoreFuture<'_, News>;

    /// Returns when other processes may have written since the last return. A hint that makes
    /// [`news`](Self::news) come at once: a store that has none never returns.
    fn told(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// What a person calls this database, without a password.
    fn describe(&self) -> String;
}
