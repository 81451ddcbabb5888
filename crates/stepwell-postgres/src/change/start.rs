//! A workflow begins to exist.

use stepwell_core::{
    State, WorkflowKey,
    store::{Applied, Bound, Change, NewWorkflow, QueueUse, Room, Started},
};

use super::{
    Scope,
    hot::{Door, Work},
    send, unique,
};
use crate::{
    connection::Connection,
    error::Failure,
    params::{At, params},
    queues::{ADD, columns},
    rows::{self, get, key, number, payload},
};

/// The row that has the id already, with its input.
pub(super) const EXISTING: &str = "
    select w.workflow_key, w.name, w.state, coalesce(w.executor_id = $2, false), r.payload,
        w.nonce::text
    from {schema}.workflows as w
    join {schema}.records as r
      on r.workflow_key = w.workflow_key
     and r.place = ''
    where w.workflow_id = $1";

/// Waits for others that count what waits in bounded queues.
const LOCK_QUEUES: &str = "
    select waiting_max
    from {schema}.queues
    where queue_name = any($1)
      and waiting_max is not null
    order by queue_name
    for update";

/// How many wait in a queue, counted no further than may. A statement of its own: it must see what
/// was committed while the lock was waited for.
const WAITING: &str = "
    select count(*)
    from (
        select 1
        from {schema}.workflows
        where state = 'enqueued'
          and queue_name = $1
        limit $2
    ) as waiting";

/// Starts what a client asks for: one of its kind may be there, and a full queue refuses it.
pub(super) async fn ask(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    // The one that is there may be one of them.
    scope.wake_all().await?;
    // The id first, so that a start whose answer was lost finds itself.
    let started = match (existing(scope, new).await?, &new.unique) {
        (Some(existing), _) => existing,
        (None, None) => enter(scope, new).await?,
        (None, Some(unique)) => unique::apply(scope, new, unique).await?,
    };
    if let Some(message) = &new.message
        && let Some(to) = started.inbox()
    {
        send::put(scope, to, message).await?;
    }
    Ok(started)
}

/// Starts what finds room in its queue.
pub(super) async fn enter(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    match refusal(scope, new).await? {
        None => apply(scope, new).await,
        // It may have been started while the queue's lock was waited for.
        Some(waiting_max) => match existing(scope, new).await? {
            Some(existing) => Ok(existing),
            None => Ok(Started::Full { waiting_max }),
        },
    }
}

/// How many may wait in the queue of a new workflow, if that many do.
async fn refusal(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Option<u32>, Failure> {
    let Some(queue) = Room::needed(new) else {
        return Ok(None);
    };
    if !scope.room.knows(&queue.name) {
        let bound = bound(scope, queue).await?;
        scope.room.learn(&queue.name, bound);
    }
    Ok(scope.room.refusal(&queue.name))
}

async fn bound(scope: &Scope<'_>, queue: &QueueUse) -> Result<Option<Bound>, Failure> {
    if queue.limits.waiting_max.is_some() {
        add_queue(scope, queue).await?;
    }
    let name = queue.name.as_str();
    let Some(row) = scope.db.query_opt(LOCK_QUEUES, params![vec![name]]).await? else {
        return Ok(None);
    };
    let waiting_max = number(&row, 0)?;
    let row = (scope.db)
        .query_opt(WAITING, params![name, i64::from(waiting_max)])
        .await?;
    Ok(Some(Bound {
        waiting_max,
        waiting: row.map_or(Ok(0), |row| number(&row, 0))?,
    }))
}

/// Locks those of these queues that are bounded.
pub(super) async fn lock_queues(db: &Connection, names: Vec<&str>) -> Result<(), Failure> {
    db.query(LOCK_QUEUES, params![names]).await?;
    Ok(())
}

/// Makes a queue known, unless it is.
pub(super) async fn add_queue(scope: &Scope<'_>, queue: &QueueUse) -> Result<(), Failure> {
    let [all, each, key, starts, period, waiting] = columns(&queue.limits);
    let (name, now) = (queue.name.as_str(), At(scope.now));
    let values = params![name, now, all, each, key, starts, period, waiting];
    scope.db.execute(ADD, values).await?;
    Ok(())
}

/// Starts what nothing refuses: a child, a tick, and what has found room. Looks first, because most that come here were started before.
pub(super) async fn apply(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    if let Some(existing) = existing(scope, new).await? {
        return Ok(existing);
    }
    let change = [Change::Start(new.clone())];
    let mut answer = [None];
    let work = Work::of((scope.executor, Door::Open), (&change, &[0]));
    work.apply(scope.db, None, &mut answer).await?;
    match answer {
        [Some(Applied::Start(started))] => {
            scope.room.note(new);
            Ok(started)
        }
        // Somebody else has started it in between, and has committed it: or we would still wait.
        _ => existing(scope, new).await?.ok_or(Failure::Moved),
    }
}

/// What was started before.
pub(super) async fn existing(
    scope: &Scope<'_>,
    new: &NewWorkflow,
) -> Result<Option<Started>, Failure> {
    let Some(row) = scope
        .db
        .query_opt(EXISTING, params![new.id.as_str(), scope.me()])
        .await?
    else {
        return Ok(None);
    };
    let name: String = get(&row, 1)?;
    if name != new.name || !payload(&row, 4)?.same_value(&new.input) {
        return Ok(Some(Started::Conflict { name }));
    }
    let (key, state): (WorkflowKey, State) = (key(&row, 0)?, rows::state(&row, 2)?);
    let mine = state == State::Running && get(&row, 3)?;
    Ok(Some(Started::Existing {
        key,
        state,
        mine,
        nonce: rows::nonce(&row, 5)?.filter(|_| mine),
    }))
}
