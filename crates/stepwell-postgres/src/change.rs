//! Applies a batch: the fence first, then its changes.
//!
//! # The fence
//! A batch of an executor stands on its row: not ended. A batch locks the row `for key share`,
//! which any number of its batches may do at once, and whoever takes the executor's work away locks
//! it `for update` first: so that one waits for the batches in flight, and those that come later
//! wait for it and then see what it did. A renewal is a plain update of other columns and waits
//! for neither. A plain update that ended the executor would not wait either: hence the lock.
//!
//! One thing is left. A statement sees what was committed when it began, not what was committed
//! while it waited for the fence, except in the row that it waited for. So a batch that is one
//! statement could find the fence good and still write to a workflow that was taken away while it
//! waited: cancelled by somebody else. For that the row counts `losses`: whoever takes a running
//! workflow from a living executor adds one, under the lock, and the statement asks for the number
//! that this process read last. If it is another, nothing is written, the number is read again, and
//! the statement is repeated. In a transaction the lock is taken by a statement of its own, before
//! the others begin, and the number does not matter.
//!
//! # The order of locks
//! Executors by their id, then kinds of which there is one, by their hash, then queues by their name
//! (`ahead.rs`), then workflows, then the lock of those that are stuck, then the rest.
//!
//! Of workflows a batch locks those that its executor runs, which no other batch does, and so their
//! order does not matter; it does so `for no key update`. Those to which it sends it locks `for key
//! share`, which stands beside that: two that send to each other do not wait. Those that it wakes are
//! parked, and no executor runs them: they are locked last, together, by their key (`park.rs`).
//!
//! Where two meet all the same (starts with the same new ids in two orders, a cancellation of many),
//! Postgres breaks one off, and it begins anew.

mod acknowledge;
mod ahead;
mod cancel;
mod delete;
mod edit;
mod effect;
mod fence;
mod finish;
mod fork;
pub(crate) mod hot;
pub(crate) mod park;
mod plan;
mod progress;
mod queue;
mod resume;
mod schedule;
mod send;
mod start;
mod unique;

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use stepwell_core::{
    ExecutorId,
    store::{Applied, Batch, Change, Room, Written},
};

use self::{
    hot::{Door, Hot, Work},
    plan::Round,
};
use crate::{
    bell::Ring,
    connection::Connection,
    error::{Failure, corrupt},
};

pub(crate) use cancel::late;
pub(crate) use fence::{hold, is_live};
pub(crate) use finish::LOCK_STUCK;

/// How often a batch that is one statement is tried before it becomes a transaction, which no loss
/// can hold up.
const AT_ONCE_TRIES: u32 = 3;

/// The statements of cold changes that come often.
#[cfg(test)]
pub(crate) const BY_KEY: [&str; 21] = [
    start::EXISTING,
    progress::ADD,
    effect::PUBLISH,
    effect::APPEND,
    effect::RECEIVE,
    effect::SET_ATTRIBUTE,
    effect::LOSE,
    send::SEND,
    unique::CANCEL,
    unique::SET,
    finish::OWNER,
    finish::END,
    cancel::OWNERS,
    cancel::DESCENDANTS,
    park::LOCK,
    park::PARK,
    park::STATES,
    park::WATCH,
    park::ADD_WAITERS,
    park::WAKE,
    park::WAITERS,
];

/// How one of a kind is found.
#[cfg(test)]
pub(crate) const UNIQUE: [&str; 3] = [unique::WAITING, unique::UNFINISHED, unique::SINCE];

/// Applies every change of a batch and says what each came to.
pub(crate) async fn commit(
    db: &Connection,
    batch: &Batch,
    ring: Option<&Ring>,
) -> Result<Written, Failure> {
    let mut rounds = plan::rounds(&batch.changes);
    let mut answers = vec![None; batch.changes.len()];
    let parks = batch.changes.iter().any(|it| matches!(it, Change::Park(_)));
    if let [round] = rounds.as_slice()
        && round.cold.is_empty()
        && !parks
        && let Some(left) = at_once(db, batch, &round.hot, (ring, &mut answers)).await?
    {
        // What became of these is found by the statements that look before they write. Most of
        // them write nothing: it was there already, or is refused.
        rounds = match left.as_slice() {
            [] => return written(answers, false),
            _ => vec![Round {
                hot: Vec::new(),
                cold: left,
            }],
        };
    }
    let woken = in_transaction(db, batch, &rounds, (ring, &mut answers)).await?;
    written(answers, woken)
}

fn written(answers: Vec<Option<Applied>>, woken: bool) -> Result<Written, Failure> {
    let applied: Option<Vec<_>> = answers.into_iter().collect();
    let applied =
        applied.ok_or_else(|| corrupt("complete answer", "a change without an outcome"))?;
    Ok(Written { applied, woken })
}

/// Applies a batch in one statement, which is a transaction by itself. The changes that did not go
/// in; none if the fence cannot be had this way.
async fn at_once(
    db: &Connection,
    batch: &Batch,
    places: &[usize],
    (ring, answers): (Option<&Ring>, &mut [Option<Applied>]),
) -> Result<Option<Vec<usize>>, Failure> {
    let executor = batch.executor.as_ref();
    let work = Work::of((executor, Door::Asked), (&batch.changes, places));
    work.prepare(db).await?;
    for _ in 0..AT_ONCE_TRIES {
        let losses = match executor {
            Some(executor) => Some(fence::losses(db, executor).await?),
            None => None,
        };
        let work = work.apply(db, losses, &mut *answers);
        match Ring::after(ring, db, work).await? {
            Hot::Done(left) => return Ok(Some(left)),
            Hot::Fenced => {
                if let Some(executor) = executor {
                    db.server.losses.forget(executor);
                }
            }
        }
    }
    Ok(None)
}

/// Applies a batch in a transaction, round by round. Whether workflows that were parked wait for an
/// executor now.
async fn in_transaction(
    db: &Connection,
    batch: &Batch,
    rounds: &[Round],
    (ring, answers): (Option<&Ring>, &mut [Option<Applied>]),
) -> Result<bool, Failure> {
    let executor = batch.executor.as_ref();
    let losing = cancel::losing(db, &batch.changes).await?;
    let now = fence::enter(db, executor, losing.as_ref()).await?;
    let mut scope = Scope::new((db, executor), now, losing.unwrap_or_default());
    ahead::lock(db, &batch.changes).await?;
    park::apply_all(&mut scope, &batch.changes, answers).await?;
    for round in rounds {
        let left = if round.hot.is_empty() {
            Vec::new()
        } else {
            let work = Work::of((executor, Door::Asked), (&batch.changes, &round.hot));
            let hot = work.apply(db, None, answers);
            match (hot.await?, executor) {
                (Hot::Done(left), _) => left,
                // The lock is held: only an executor that was never there comes to this.
                (Hot::Fenced, Some(executor)) => return Err(Failure::Fenced(executor.clone())),
                (Hot::Fenced, None) => return Err(Failure::Moved),
            }
        };
        for place in left.iter().chain(&round.cold) {
            let applied = scope.apply(&batch.changes[*place]).await?;
            answers[*place] = Some(applied);
        }
    }
    scope.commit(ring).await
}

/// Whether a change asks nothing of workflows that may be parked.
fn touches_no_others(change: &Change) -> bool {
    matches!(
        change,
        Change::Progress(_) | Change::Finish(_) | Change::Send(_)
    )
}

/// One transaction on its way. It holds the fence.
struct Scope<'c> {
    db: &'c Connection,
    executor: Option<&'c ExecutorId>,
    /// The server's time at its beginning.
    now: Timestamp,
    /// The executors whose rows are locked `for update`: from these workflows may be taken.
    locked: HashSet<String>,
    /// How full the bounded queues are that it has met. Their rows are locked.
    room: Room,
    /// The workflows that are to be woken before the transaction ends, if they are parked.
    to_wake: BTreeSet<i64>,
    /// Whether a workflow that was parked waits for an executor now.
    woken: bool,
}

impl<'c> Scope<'c> {
    /// A transaction that has begun, and holds the fence.
    fn new(
        (db, executor): (&'c Connection, Option<&'c ExecutorId>),
        now: Timestamp,
        locked: HashSet<String>,
    ) -> Self {
        Self {
            db,
            executor,
            now,
            locked,
            room: Room::default(),
            to_wake: BTreeSet::new(),
            woken: false,
        }
    }

    /// Ends the transaction and rings. Whether workflows that were parked wait for an executor now.
    async fn commit(mut self, ring: Option<&Ring>) -> Result<bool, Failure> {
        self.wake_all().await?;
        let with_work = ring.filter(|_| self.woken).map(Ring::and_work);
        Ring::after(with_work.as_ref().or(ring), self.db, self.db.commit()).await?;
        Ok(self.woken)
    }

    async fn apply(&mut self, change: &Change) -> Result<Applied, Failure> {
        if !touches_no_others(change) {
            self.wake_all().await?;
        }
        let applied = match change {
            Change::Start(new) => Applied::Start(start::ask(self, new).await?),
            Change::Progress(it) => Applied::Progress(progress::apply(self, it).await?),
            Change::Finish(finish) => Applied::Finish(finish::apply(self, finish).await?),
            // They were parked together, before anything else.
            Change::Park(_) => return Err(corrupt("plan of a batch", "a park on its own")),
            Change::Send(message) => Applied::Send(send::apply(self, message, None).await?),
            Change::Cancel(cancel) => Applied::Cancel(cancel::apply(self, cancel).await?),
            Change::Resume(id) => Applied::Resume(resume::apply(self, id).await?),
            Change::Fork(fork) => Applied::Fork(fork::apply(self, fork).await?),
            Change::Acknowledge(it) => Applied::Acknowledge(acknowledge::apply(self, it).await?),
            Change::Edit(it) => Applied::Edit(edit::apply(self, it).await?),
            Change::Delete(it) => Applied::Delete(delete::apply(self, it).await?),
            Change::Queue(change) => Applied::Queue(queue::apply(self, change).await?),
            Change::Schedule(it) => Applied::Schedule(schedule::apply(self, it).await?),
        };
        if !Room::holds_after(&applied) {
            self.room = Room::default();
        }
        Ok(applied)
    }

    /// The executor, as statements are given it.
    fn me(&self) -> Option<&str> {
        self.executor.map(ExecutorId::as_str)
    }
}
