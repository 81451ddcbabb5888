//! What is stuck in another version tries this one, once.

use std::collections::{HashMap, hash_map::Entry};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use stepwell_core::{WorkflowKey, store::Claim};

use super::queue::Queue;
use crate::error::Failure;

/// How many rows one look goes through, under one name of one queue.
const LOOK_MAX: u32 = 256;

/// The queues that are not paused and in which something got stuck.
pub(crate) const QUEUES: &str = "
    select q.queue_name, q.concurrency, q.executor_concurrency, q.key_concurrency, q.rate_starts,
        q.rate_period_ms, q.waiting_max, false
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
    select w.queue_key
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
    now: Timestamp,
) -> Result<Vec<WorkflowKey>, Failure> {
    let mut found = Vec::new();
    in_queue(db, claim, None, limit, &mut found)?;
    for queue in Queue::list(db, QUEUES)? {
        let left = limit.saturating_sub(count(&found));
        let free = queue.free(db, claim, now)?.min(left);
        in_queue(db, claim, Some(&queue), free, &mut found)?;
    }
    Ok(found)
}

/// Those of one queue, under any of the names.
fn in_queue(
    db: &Connection,
    claim: &Claim,
    queue: Option<&Queue>,
    limit: u32,
    found: &mut Vec<WorkflowKey>,
) -> Result<(), Failure> {
    let mut keys = KeyPlaces::of(queue);
    let full = count(found).saturating_add(limit);
    for name in &claim.names {
        let left = full.saturating_sub(count(found));
        if left == 0 {
            break;
        }
        let queue = queue.map_or("", |queue| &queue.name);
        let of = (queue, name.as_str(), claim.version.as_str());
        found.extend(untried(db, of, left, &mut keys)?);
    }
    Ok(())
}

/// Looks at what is behind the version's cursor, and moves the cursor on: what the version has
/// tried, or what went on since, is never looked at again.
fn untried(
    db: &Connection,
    (queue, name, version): (&str, &str, &str),
    limit: u32,
    keys: &mut KeyPlaces<'_>,
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
        let queue_key = is_untried
            .query_row(params![key, version], |row| row.get::<_, String>(0))
            .optional()?;
        // One that got stuck in two other versions stands here twice.
        if let Some(queue_key) = queue_key
            && !found.contains(&WorkflowKey(key))
        {
            if !keys.take(db, queue_key)? {
                // It is the first to be looked at when its key has a place again.
                break;
            }
            found.push(WorkflowKey(key));
        }
        last = number;
    }
    if last > seen {
        db.prepare_cached(MOVE_CURSOR)?
            .execute(params![queue, name, version, last])?;
    }
    Ok(found)
}

/// The places that each key has left, where keys have a limit.
struct KeyPlaces<'q> {
    queue: Option<&'q Queue>,
    left: HashMap<String, u32>,
}

impl<'q> KeyPlaces<'q> {
    fn of(queue: Option<&'q Queue>) -> Self {
        Self {
            queue: queue.filter(|queue| queue.limits.key_concurrency.is_some()),
            left: HashMap::new(),
        }
    }

    /// Takes a place of a key, if there is one.
    fn take(&mut self, db: &Connection, key: String) -> Result<bool, Failure> {
        let Some(queue) = self.queue else {
            return Ok(true);
        };
        let left = match self.left.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let running = queue.running_of(db, unknown.key())?;
                let most = queue.limits.key_concurrency.unwrap_or(u32::MAX);
                unknown.insert(most.saturating_sub(running))
            }
        };
        let is_free = *left > 0;
        *left = left.saturating_sub(1);
        Ok(is_free)
    }
}

fn count(found: &[WorkflowKey]) -> u32 {
    u32::try_from(found.len()).unwrap_or(u32::MAX)
}
