//! What is stuck in another version tries this one, once.

use rusqlite::{Connection, OptionalExtension, params};
use stepwell_core::{WorkflowKey, store::Claim};

use super::candidates::Queue;
use crate::error::Failure;

/// How many rows one look goes through, under one name of one queue.
const LOOK_MAX: u32 = 256;

/// The queues that are not paused and in which something got stuck.
pub(crate) const QUEUES: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency
    from queues as q
    where q.paused_at is null
      and exists (
        select 1
        from stuck as s
        where s.queue_name = q.queue_name
    )";

/// What got stuck under a name since this version last looked, the longest ago first.
pub(crate) const SINCE: &str = "
    select stuck_number, workflow_key
    from stuck
    where queue_name = ?1
      and name = ?2
      and stuck_number > ?3
    order by stuck_number
    limit ?4";

/// Whether a workflow is stuck and was not tried with a version.
pub(crate) const UNTRIED: &str = "
    select 1
    from workflows as w
    where w.workflow_key = ?1
      and w.state = 'stuck'
      and not exists (
        select 1
        from stuck as s
        where s.workflow_key = w.workflow_key
          and s.version = ?2
    )";

const CURSOR: &str = "
    select stuck_number
    from stuck_cursors
    where queue_name = ?1
      and name = ?2
      and version = ?3";

const MOVE_CURSOR: &str = "
    insert into stuck_cursors (queue_name, name, version, stuck_number)
    values (?1, ?2, ?3, ?4)
    on conflict (queue_name, name, version) do update set stuck_number = excluded.stuck_number";

/// The stuck workflows that the executor is to try now, up to a limit. The caller must take them:
/// their version's cursors are behind them.
pub(super) fn find(
    db: &Connection,
    claim: &Claim,
    limit: u32,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut found = Vec::new();
    in_queue(db, claim, "", limit, &mut found)?;
    for queue in Queue::list(db, QUEUES)? {
        let left = limit.saturating_sub(count(&found));
        let free = queue.free(db, claim)?.min(left);
        in_queue(db, claim, &queue.name, free, &mut found)?;
    }
    Ok(found)
}

/// Those of one queue, under any of the names.
fn in_queue(
    db: &Connection,
    claim: &Claim,
    queue: &str,
    limit: u32,
    found: &mut Vec<WorkflowKey>,
) -> Result<(), Failure> {
    let full = count(found).saturating_add(limit);
    for name in &claim.names {
        let left = full.saturating_sub(count(found));
        if left == 0 {
            break;
        }
        let of = (queue, name.as_str(), claim.version.as_str());
        found.extend(untried(db, of, left)?);
    }
    Ok(())
}

/// Looks at what is behind the version's cursor, and moves the cursor on: what the version has
/// tried, or what went on since, is never looked at again.
fn untried(
    db: &Connection,
    (queue, name, version): (&str, &str, &str),
    limit: u32,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut cursor = db.prepare_cached(CURSOR)?;
    let seen = cursor.query_row(params![queue, name, version], |row| row.get::<_, i64>(0));
    let seen = seen.optional()?.unwrap_or(0);
    let mut since = db.prepare_cached(SINCE)?;
    let rows = since.query_map(params![queue, name, seen, LOOK_MAX], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut is_untried = db.prepare_cached(UNTRIED)?;
    let mut found = Vec::new();
    let mut last = seen;
    for (number, key) in rows {
        if count(&found) == limit {
            break;
        }
        last = number;
        // One that got stuck in two other versions stands here twice.
        if is_untried.exists(params![key, version])? && !found.contains(&WorkflowKey(key)) {
            found.push(WorkflowKey(key));
        }
    }
    if last > seen {
        db.prepare_cached(MOVE_CURSOR)?
            .execute(params![queue, name, version, last])?;
    }
    Ok(found)
}

fn count(found: &[WorkflowKey]) -> u32 {
    u32::try_from(found.len()).unwrap_or(u32::MAX)
}
