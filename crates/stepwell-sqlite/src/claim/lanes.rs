//! Keys of a queue take turns.

use rusqlite::{Connection, OptionalExtension, params};
use stepwell_core::store::{Claim, KEYS_PER_LOOK, Lane, Turns, enough, take_turns};

use super::{
    candidates::{Waiting, in_line},
    queue::Queue,
};
use crate::error::Failure;

/// How often a claim looks at further keys when those it saw had all that they may have.
const LOOKS_MAX: u32 = 8;

/// The first key of a queue under which something waits, from one on.
pub(crate) const KEY_FROM: &str = "
    select queue_key
    from workflows
    where state = 'enqueued'
      and queue_name = ?1
      and queue_key >= ?2
    order by queue_key
    limit 1";

/// The next key of a queue under which something waits.
pub(crate) const KEY_BEHIND: &str = "
    select queue_key
    from workflows
    where state = 'enqueued'
      and queue_name = ?1
      and queue_key > ?2
    order by queue_key
    limit 1";

/// Those of a queue that are next when its keys take turns.
pub(super) fn next(
    db: &Connection,
    (claim, turns): (&Claim, &Turns),
    queue: &Queue,
    places: u32,
) -> Result<Vec<Waiting>, Failure> {
    if places == 0 {
        return Ok(Vec::new());
    }
    for _ in 0..LOOKS_MAX {
        let keys = keys(db, queue, turns.after(&queue.name).as_deref())?;
        let lanes = lanes(db, claim, queue, (&keys, places))?;
        let taken = take_turns(&lanes, places, queue.limits.key_concurrency);
        let served = |lane: &&Lane| {
            let mut waiting = lane.waiting.iter();
            waiting.any(|(_, key)| taken.iter().any(|(_, other)| other == key))
        };
        // Those behind the last one that got something are the first the next time.
        if let Some(last) = lanes.iter().rfind(served).or(lanes.last()) {
            turns.move_on(&queue.name, &last.key);
        }
        let has_seen_all = keys.len() < usize::try_from(KEYS_PER_LOOK).unwrap_or(usize::MAX);
        if !taken.is_empty() || has_seen_all {
            return Ok(taken);
        }
    }
    Ok(Vec::new())
}

/// The keys behind one, and then those from the first on: each once.
fn keys(db: &Connection, queue: &Queue, after: Option<&str>) -> Result<Vec<String>, Failure> {
    let mut keys: Vec<String> = Vec::new();
    let mut from = db.prepare_cached(KEY_FROM)?;
    let mut behind = db.prepare_cached(KEY_BEHIND)?;
    let mut has_wrapped = after.is_none();
    let mut next = match after {
        Some(after) => behind.query_row(params![queue.name, after], |row| row.get(0)),
        None => from.query_row(params![queue.name, ""], |row| row.get(0)),
    }
    .optional()?;
    while keys.len() < usize::try_from(KEYS_PER_LOOK).unwrap_or(usize::MAX) {
        let Some(key) = next.take() else {
            if has_wrapped {
                break;
            }
            has_wrapped = true;
            let first = from.query_row(params![queue.name, ""], |row| row.get(0));
            next = first.optional()?;
            continue;
        };
        if keys.first() == Some(&key) {
            break;
        }
        next = behind
            .query_row(params![queue.name, key], |row| row.get(0))
            .optional()?;
        keys.push(key);
    }
    Ok(keys)
}

/// What waits under the keys, no more than could be taken.
fn lanes(
    db: &Connection,
    claim: &Claim,
    queue: &Queue,
    (keys, places): (&[String], u32),
) -> Result<Vec<Lane>, Failure> {
    let running = keys.iter().map(|key| queue.running_of(db, key));
    let running = running.collect::<Result<Vec<_>, _>>()?;
    let limits = enough(&running, places, queue.limits.key_concurrency);
    let mut lanes = Vec::new();
    for ((key, running), limit) in keys.iter().zip(running).zip(limits) {
        lanes.push(Lane {
            key: key.clone(),
            running,
            waiting: in_line(db, claim, (Some(&queue.name), key), limit)?,
        });
    }
    Ok(lanes)
}
