//! Whether a queue lets more in.

use rusqlite::{OptionalExtension, params};
use stepwell_core::store::{Bound, NewWorkflow, Room};

use super::Scope;
use crate::error::Failure;

pub(crate) const WAITING_MAX: &str = "
    select waiting_max
    from queues
    where queue_name = ?1";

/// How many wait in a queue, counted no further than may.
pub(super) const WAITING: &str = "
    select count(*)
    from (
        select 1
        from workflows
        where state = 'enqueued'
          and queue_name = ?1
        limit ?2
    )";

/// How many may wait in the queue of a new workflow, if that many do.
pub(super) fn refusal(scope: &mut Scope<'_>, new: &NewWorkflow) -> Result<Option<u32>, Failure> {
    let Some(queue) = Room::needed(new) else {
        return Ok(None);
    };
    if !scope.room.knows(&queue.name) {
        let bound = bound(scope, &queue.name, queue.limits.waiting_max)?;
        scope.room.learn(&queue.name, bound);
    }
    Ok(scope.room.refusal(&queue.name))
}

/// What the queue's row says; without a row, what the code declares.
fn bound(scope: &Scope<'_>, queue: &str, declared: Option<u32>) -> Result<Option<Bound>, Failure> {
    let mut find = scope.db.prepare_cached(WAITING_MAX)?;
    let known = find.query_row(params![queue], |row| row.get(0));
    let Some(waiting_max) = known.optional()?.unwrap_or(declared) else {
        return Ok(None);
    };
    let mut count = scope.db.prepare_cached(WAITING)?;
    let waiting = count.query_row(params![queue, waiting_max], |row| row.get(0))?;
    Ok(Some(Bound {
        waiting_max,
        waiting,
    }))
}
