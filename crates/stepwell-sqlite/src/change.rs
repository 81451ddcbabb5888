//! Applies a batch: the fence first, then each change in its order, in one transaction.

mod acknowledge;
mod cancel;
mod delete;
mod edit;
mod effect;
mod finish;
mod fork;
pub(crate) mod park;
mod progress;
mod queue;
pub(crate) mod record;
mod resume;
pub(crate) mod room;
mod schedule;
pub(crate) mod send;
pub(crate) mod start;
mod unique;

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use stepwell_core::{
    ExecutorId, State, WorkflowKey,
    store::{Applied, Batch, Change, Refusal, Room, Written},
};

use crate::{error::Failure, rows::micros};

pub(crate) use cancel::{descendants, end};

/// Applies every change of a batch.
pub(crate) fn apply(db: &Connection, batch: Batch, now: Timestamp) -> Result<Written, Failure> {
    if let Some(executor) = &batch.executor {
        fence(db, executor)?;
    }
    let mut scope = Scope::new(db, batch.executor.as_ref(), now)?;
    let applied = batch.changes.into_iter().map(|it| scope.apply(it));
    let applied = applied.collect::<Result<_, _>>()?;
    Ok(Written {
        applied,
        woken: scope.woken,
    })
}

/// Refuses to go on unless the executor is live.
///
/// It holds to the end of the transaction: SQLite lets nobody else write before. An executor whose
/// lease has ended is live until another one declares it dead, which is what takes its work away.
pub(crate) fn fence(db: &Connection, executor: &ExecutorId) -> Result<(), Failure> {
    const LIVE: &str = "
        select 1
        from executors
        where executor_id = ?1
          and ended_at is null";
    let live = db
        .prepare_cached(LIVE)?
        .exists(params![executor.as_str()])?;
    if live {
        Ok(())
    } else {
        Err(Failure::Fenced(executor.clone()))
    }
}

/// Finds out who runs a workflow.
const OWNER: &str = "
    select state, executor_id
    from workflows
    where workflow_key = ?1";

/// Every statement that a batch can run.
#[cfg(test)]
pub(crate) const HOT: [&str; 61] = [
    OWNER,
    record::ADD,
    start::INSERT,
    start::EXISTING,
    start::ADD_QUEUE,
    start::SET_ATTRIBUTE,
    room::WAITING_MAX,
    room::WAITING,
    unique::WAITING,
    unique::UNFINISHED,
    unique::SINCE,
    effect::PUBLISH,
    effect::APPEND,
    effect::RECEIVE,
    effect::LOSE,
    send::KEY_OF_ID,
    fork::KNOWN,
    send::RECEIVER,
    send::IS_KEY_USED,
    send::INSERT,
    finish::END,
    finish::STICK,
    cancel::FIND,
    cancel::DESCENDANTS,
    cancel::END,
    cancel::INTERRUPT,
    resume::FIND,
    resume::GO_ON,
    resume::UNSTICK,
    acknowledge::FIND,
    acknowledge::ACKNOWLEDGE,
    edit::FIND_MESSAGE,
    edit::EDIT,
    delete::FIND,
    delete::DELETE[0],
    delete::DELETE[1],
    delete::DELETE[2],
    delete::DELETE[3],
    delete::DELETE[4],
    delete::DELETE[5],
    delete::DELETE[6],
    delete::DELETE[7],
    delete::DELETE[8],
    delete::DELETE[9],
    delete::DELETE[10],
    fork::INSERT,
    fork::REPLACE_INPUT,
    fork::COPY_RECORDS,
    fork::COPY_EVENTS,
    fork::COPY_STREAMS,
    park::PARK,
    park::IS_QUEUED,
    park::HAS_MESSAGE,
    park::HAS_EVENT,
    park::HAS_ENDED,
    park::ADD_WAITER,
    park::WAKE,
    park::HAS_WAITERS,
    park::TAKE_WAITERS,
    queue::FIND,
    schedule::FIND,
];

/// One transaction on the way.
struct Scope<'c> {
    db: &'c Connection,
    executor: Option<&'c ExecutorId>,
    now: Timestamp,
    /// Workflows that were found to be running here. Nobody else writes during the transaction, so
    /// this holds until a change of this batch says otherwise.
    mine: HashSet<WorkflowKey>,
    /// How full the queues are that are bounded.
    room: Room,
    /// Whether anybody waits for another workflow; none if that was not asked.
    has_waiters: Option<bool>,
    /// Whether a workflow that was parked waits for an executor now.
    woken: bool,
    /// The two statements of every record: the cache would look their text up each time.
    owner: CachedStatement<'c>,
    add_record: CachedStatement<'c>,
}

impl<'c> Scope<'c> {
    fn new(
        db: &'c Connection,
        executor: Option<&'c ExecutorId>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        Ok(Self {
            db,
            executor,
            now,
            mine: HashSet::new(),
            room: Room::default(),
            has_waiters: None,
            woken: false,
            owner: db.prepare_cached(OWNER)?,
            add_record: db.prepare_cached(record::ADD)?,
        })
    }

    fn apply(&mut self, change: Change) -> Result<Applied, Failure> {
        let applied = match change {
            Change::Start(new) => Applied::Start(start::ask(self, &new)?),
            Change::Progress(progress) => Applied::Progress(progress::apply(self, &progress)?),
            Change::Finish(finish) => Applied::Finish(finish::apply(self, &finish)?),
            Change::Park(park) => Applied::Park(park::apply(self, &park)?),
            Change::Send(message) => Applied::Send(send::apply(self, &message, None)?),
            Change::Cancel(cancel) => Applied::Cancel(cancel::apply(self, &cancel)?),
            Change::Resume(id) => Applied::Resume(resume::apply(self, &id)?),
            Change::Fork(fork) => Applied::Fork(fork::apply(self, &fork)?),
            Change::Acknowledge(it) => Applied::Acknowledge(acknowledge::apply(self, &it)?),
            Change::Edit(it) => Applied::Edit(edit::apply(self, &it)?),
            Change::Delete(it) => Applied::Delete(delete::apply(self, &it)?),
            Change::Queue(change) => Applied::Queue(queue::apply(self, &change)?),
            Change::Schedule(change) => Applied::Schedule(schedule::apply(self, &change)?),
        };
        if !Room::holds_after(&applied) {
            self.room = Room::default();
        }
        Ok(applied)
    }

    /// The instant of the batch, as rows hold it.
    fn now_micros(&self) -> i64 {
        micros(self.now)
    }

    /// Why the executor of the batch may not write to a workflow, if it may not.
    fn refusal(&mut self, key: WorkflowKey) -> Result<Option<Refusal>, Failure> {
        if self.mine.contains(&key) {
            return Ok(None);
        }
        let executor = self.executor.map(ExecutorId::as_str);
        let owner = self.owner.query_row(params![key.0], |row| {
            let state = State::of_stored(row.get_ref(0)?.as_str()?);
            let mine = executor.is_some() && row.get_ref(1)?.as_str_or_null()? == executor;
            Ok((state, mine))
        });
        Ok(match owner.optional()? {
            Some((State::Running, true)) => {
                self.mine.insert(key);
                None
            }
            // A key that leads nowhere was deleted: nobody's.
            Some((stepwell_core::State::Running, false)) | None => Some(Refusal::NotMine),
            Some((state, _)) => Some(Refusal::NotRunning(state)),
        })
    }
}
