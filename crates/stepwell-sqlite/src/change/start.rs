//! A workflow begins to exist.

use rusqlite::params;
use stepwell_core::{
    ExecutorId, Outcome, Payload, Place, RecordKind, State, WorkflowKey,
    store::{Launch, NewWorkflow, PRIORITY_STEP, QueueUse, Started},
};

use super::{
    Scope, record, room,
    send::{self, key_of_id},
    unique,
};
use crate::{
    error::Failure,
    rows::{self, after, micros},
};

/// Makes the row, unless the id is taken. What runs at once counts as claimed with its input.
pub(crate) const INSERT: &str = "
    insert into workflows
        (workflow_id, name, state, executor_id, queue_name, queue_key, queue_rank, parent_key,
         detached, origin, records_at_claim, created_at, started_at, deadline_at, wake_at, nonce)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    on conflict (workflow_id) do nothing";

pub(crate) const ADD_QUEUE: &str = "
    insert into queues
        (queue_name, concurrency, executor_concurrency, key_concurrency, rate_starts,
         rate_period_ms, waiting_max, created_at)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    on conflict do nothing";

pub(crate) const SET_ATTRIBUTE: &str = "
    insert into attributes (workflow_key, name, value)
    values (?1, ?2, ?3)
    on conflict (workflow_key, name) do update set value = excluded.value";

/// The row that has the id already, with its input.
pub(crate) const EXISTING: &str = "
    select w.workflow_key, w.name, w.state, w.executor_id, r.payload, w.nonce
    from workflows as w
    left join records as r
      on r.workflow_key = w.workflow_key
     and r.place = ''
    where w.workflow_id = ?1";

/// Starts what a client asks for: one of its kind may be there, and a full queue refuses it.
pub(super) fn ask(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    let started = match &new.unique {
        None => enter(scope, new)?,
        // The id first, so that a start whose answer was lost finds itself.
        Some(_) if key_of_id(scope, &new.id)?.is_some() => existing(scope, new)?,
        Some(unique) => unique::apply(scope, new, unique)?,
    };
    if let Some(message) = &new.message
        && let Some(to) = started.inbox()
    {
        send::put(scope, to, message)?;
    }
    Ok(started)
}

/// Starts what finds room in its queue.
pub(super) fn enter(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    match room::refusal(scope, new)? {
        None => apply(scope, new),
        // What was started before the queue was full is there.
        Some(_) if key_of_id(scope, &new.id)?.is_some() => existing(scope, new),
        Some(waiting_max) => Ok(Started::Full { waiting_max }),
    }
}

/// Starts what must not be lost because its id belongs to other work: a tick, an alert.
pub(super) fn anyway(
    scope: &mut Scope<'_>,
    new: &NewWorkflow,
    start: fn(&mut Scope<'_>, &NewWorkflow) -> Result<Started, Failure>,
) -> Result<Started, Failure> {
    match start(scope, new)? {
        Started::Conflict { name } => start(scope, &new.beside(&name)),
        started => Ok(started),
    }
}

/// Starts what nothing refuses: a child, a tick.
pub(super) fn apply(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    let Some(key) = insert(scope, new)? else {
        return existing(scope, new);
    };
    let input = Outcome::Ok(new.input.clone());
    record::add(
        scope,
        key,
        &record::bare(Place::Input, RecordKind::Input, input),
    )?;
    for (name, value) in &new.attributes {
        set_attribute(scope, key, name, value)?;
    }
    if let Launch::Queue(queue) = &new.launch {
        add_queue(scope, queue)?;
        scope.room.note(new);
    }
    Ok(Started::New {
        key,
        replaced: None,
    })
}

/// Sets an attribute, in place of the last value.
pub(super) fn set_attribute(
    scope: &Scope<'_>,
    key: WorkflowKey,
    name: &str,
    value: &str,
) -> Result<(), Failure> {
    scope
        .db
        .prepare_cached(SET_ATTRIBUTE)?
        .execute(params![key.0, name, value])?;
    Ok(())
}

fn insert(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Option<WorkflowKey>, Failure> {
    let delay = new.delay.filter(|delay| !delay.is_zero());
    let owner = match &new.launch {
        Launch::Here if delay.is_none() => scope.executor,
        _ => None,
    };
    let state = match (delay, owner) {
        (Some(_), _) => State::Delayed,
        (None, Some(_)) => State::Running,
        (None, None) => State::Enqueued,
    };
    let queue = match &new.launch {
        Launch::Queue(queue) => Some(queue),
        Launch::Here | Launch::Anywhere => None,
    };
    let now = scope.now_micros();
    let wake_at = delay.map(|delay| micros(after(scope.now, delay)));
    let made = scope.db.prepare_cached(INSERT)?.execute(params![
        new.id.as_str(),
        new.name,
        state.as_str(),
        owner.map(ExecutorId::as_str),
        queue.map(|queue| &queue.name),
        queue.map_or("", |queue| &queue.key),
        queue_rank(wake_at.unwrap_or(now), queue),
        new.parent.as_ref().map(|parent| parent.key.0),
        new.parent.as_ref().is_some_and(|parent| parent.detached),
        new.origin,
        i64::from(owner.is_some()),
        now,
        owner.map(|_| now),
        new.deadline
            .map(|deadline| micros(after(scope.now, deadline))),
        wake_at,
        new.nonce.to_string(),
    ])?;
    if made == 0 {
        return Ok(None);
    }
    let key = WorkflowKey(scope.db.last_insert_rowid());
    if owner.is_some() {
        scope.mine.insert(key);
    }
    Ok(Some(key))
}

/// Who is first in line: whoever may run the longest, each point of priority counted as waiting.
pub(crate) fn queue_rank(due_at: i64, queue: Option<&QueueUse>) -> i64 {
    let step = i64::try_from(PRIORITY_STEP.as_micros()).unwrap_or(i64::MAX);
    let priority = queue.map_or(0, |queue| i64::from(queue.priority));
    due_at.saturating_sub(priority.saturating_mul(step))
}

/// Makes a queue known, unless it is.
pub(super) fn add_queue(scope: &Scope<'_>, queue: &QueueUse) -> Result<(), Failure> {
    scope.db.prepare_cached(ADD_QUEUE)?.execute(params![
        queue.name,
        queue.limits.concurrency,
        queue.limits.executor_concurrency,
        queue.limits.key_concurrency,
        queue.limits.rate.map(|rate| rate.starts),
        queue.limits.rate.map(|rate| rate.period_ms),
        queue.limits.waiting_max,
        scope.now_micros(),
    ])?;
    Ok(())
}

fn existing(scope: &Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    let mut statement = scope.db.prepare_cached(EXISTING)?;
    let started = statement.query_row(params![new.id.as_str()], |row| {
        let name: String = row.get(1)?;
        let input = Payload::from_stored(row.get(4)?);
        if name != new.name || !input.same_value(&new.input) {
            return Ok(Started::Conflict { name });
        }
        let state = State::of_stored(row.get_ref(2)?.as_str()?);
        let owner: Option<String> = row.get(3)?;
        let me = scope.executor.map(ExecutorId::as_str);
        let mine = state == State::Running && me.is_some() && owner.as_deref() == me;
        let nonce = rows::nonce(row.get(5)?)?;
        Ok(Started::Existing {
            key: WorkflowKey(row.get(0)?),
            state,
            mine,
            nonce: nonce.filter(|_| mine),
        })
    })?;
    Ok(started)
}
