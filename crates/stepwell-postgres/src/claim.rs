//! An executor takes what waits.
//!
//! Every look is bounded by the claim's limit, whatever waits: by queue, key and name, the first in
//! line first.
//! Those who claim at once do not wait for each other: each takes what is not locked. Only a queue
//! whose limits count what others take is emptied by one at a time, under the lock of its row.

pub(crate) mod candidates;
pub(crate) mod find;
pub(crate) mod lanes;
pub(crate) mod queue;
pub(crate) mod stuck;
pub(crate) mod take;

use jiff::Timestamp;
use stepwell_core::{
    ExecutorId, WorkflowId,
    store::{Claim, Claimed},
};

use self::{candidates::Candidates, find::Waiting};
use crate::{change::hold, connection::Connection, error::Failure, params::params, rows::get};

pub(crate) use self::find::{owned, owned_keys};

/// How often a claim looks again when what it found was dead, too late or taken by others.
const ROUNDS_MAX: u32 = 8;

/// Whether there is anything to be had at all: an idle executor asks nothing more. No row for one
/// that is not live.
///
/// Here and elsewhere: the clock is volatile, and would be asked again for each row that an index has.
/// As a subquery it is asked once, and the index is read no further than it says.
pub(crate) const ANYTHING: &str = "
    select exists (
            select from {schema}.workflows
            where state in ('delayed', 'parked')
              and wake_at <= (select {schema}.clock())
        ) or exists (
            select from {schema}.workflows where state = 'enqueued'
        ) or exists (
            select from {schema}.stuck
        )
    from {schema}.executors
    where executor_id = $1
      and ended_at is null";

/// A claim on its way.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    claim: Claim,
    /// How many more it may have.
    left: u32,
    rounds: u32,
    /// What it leaves alone: late, and the cancellation failed.
    left_alone: Vec<WorkflowId>,
    /// Whether the last round found less than it could have had.
    is_done: bool,
}

/// What one round came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) claimed: Vec<Claimed>,
    /// Those whose deadline has passed; the caller cancels them.
    pub(crate) late: Vec<WorkflowId>,
    /// Whether another round may find more.
    more: bool,
}

impl Taking {
    /// All that a claim asks for. A name that it names twice is one.
    pub(crate) fn all_of(mut claim: Claim) -> Self {
        claim.names.sort_unstable();
        claim.names.dedup();
        Self {
            left: claim.limit,
            claim,
            rounds: 0,
            left_alone: Vec::new(),
            is_done: false,
        }
    }

    /// Whether another round is worth it.
    pub(crate) fn goes_on(&self) -> bool {
        !self.is_done && self.rounds < ROUNDS_MAX
    }

    /// Notes what a round came to.
    pub(crate) fn count(&mut self, round: &Round) {
        self.left = self.left.saturating_sub(count_of(&round.claimed));
        self.rounds += 1;
        self.is_done = self.left == 0 || !round.more;
    }

    /// Leaves a workflow alone from now on.
    pub(crate) fn leave(&mut self, id: WorkflowId) {
        self.left_alone.push(id);
    }

    fn may_take(&self, waiting: &Waiting) -> bool {
        !self.left_alone.contains(&waiting.claimed.id)
    }

    fn executor(&self) -> &ExecutorId {
        &self.claim.executor
    }

    /// How many to look at, to take `left` of them beside others who take the same: more in each
    /// round.
    fn window(&self) -> u32 {
        (self.left.saturating_mul(4).saturating_add(16)).saturating_mul(self.rounds + 1)
    }
}

/// Takes what it finds, once, in one transaction.
pub(crate) async fn round(db: &Connection, taking: &Taking) -> Result<Round, Failure> {
    let mut round = Round::default();
    if taking.rounds == 0 && !is_anything(db, taking.executor()).await? {
        return Ok(round);
    }
    // A transaction of its own: it must hold none of them while it waits for a queue.
    candidates::wake_delayed(db).await?;
    let now = hold(db, taking.executor()).await?;
    let candidates = candidates::find(db, taking).await?;
    let mut waiting = find::lock(db, &candidates.keys, taking.left).await?;
    waiting.retain(|it| taking.may_take(it));
    round.late = late(&waiting, now);
    if round.late.is_empty() {
        let of = (taking, &candidates);
        take_all(db, of, waiting, (now, &mut round)).await?;
    } else {
        // These first: among the others may be their children, which are cancelled with them.
        round.more = true;
    }
    db.commit().await?;
    Ok(round)
}

/// Those whose deadline has passed.
fn late(waiting: &[Waiting], now: Timestamp) -> Vec<WorkflowId> {
    let is_late = |it: &&Waiting| it.claimed.deadline_at.is_some_and(|at| at <= now);
    let late = waiting.iter().filter(is_late);
    late.map(|it| it.claimed.id.clone()).collect()
}

/// Takes those that wait, and then those that are stuck.
async fn take_all(
    db: &Connection,
    (taking, candidates): (&Taking, &Candidates),
    waiting: Vec<Waiting>,
    (now, round): (Timestamp, &mut Round),
) -> Result<(), Failure> {
    let found = count_of(&waiting);
    let of = (&taking.claim, candidates.has_rates());
    round.claimed = take::take(db, of, waiting, now).await?;
    let claimed = count_of(&round.claimed);
    if claimed == taking.left {
        return Ok(());
    }
    // Others wait behind those that are dead now, and behind those that somebody else holds.
    let is_cut = count_of(&candidates.keys) >= taking.window();
    round.more = claimed < found || is_cut && found < taking.left;
    if round.more {
        return Ok(());
    }
    // After the others run: they may have filled the queues.
    let left = taking.left - claimed;
    let keys = stuck::find(db, (&taking.claim, &candidates.queues, left)).await?;
    let mut stuck = find::lock_stuck(db, &keys).await?;
    stuck.retain(|it| taking.may_take(it));
    round.late = late(&stuck, now);
    stuck.retain(|it| !round.late.contains(&it.claimed.id));
    let stuck = take::take(db, of, stuck, now).await?;
    round.claimed.extend(stuck);
    Ok(())
}

async fn is_anything(db: &Connection, executor: &ExecutorId) -> Result<bool, Failure> {
    match db.query_opt(ANYTHING, params![executor.as_str()]).await? {
        Some(row) => get(&row, 0),
        None => Err(Failure::Fenced(executor.clone())),
    }
}

fn count_of<T>(found: &[T]) -> u32 {
    u32::try_from(found.len()).unwrap_or(u32::MAX)
}
