//! Keys of a queue take turns.

use stepwell_core::store::{KEYS_PER_LOOK, Lane, enough, take_turns};

use super::{
    Taking,
    candidates::{Place, Waiting, in_line},
    queue::Queue,
};
use crate::{
    connection::Connection,
    error::Failure,
    params::params,
    rows::{get, number},
};

/// How often a claim looks at further keys when those it saw had all that they may have.
const LOOKS_MAX: u32 = 8;

/// How far the running workflows of a key are counted when nothing limits them: enough to see whose
/// turn it is.
const COUNTED_MAX: u32 = 1_000;

/// The keys of a queue under which something waits, from one on (with it or behind it), each found
/// by a look into the index, and how many of each run. The empty key has no index of its own.
pub(crate) const KEYS: &str = "
    with recursive lane (queue_key, number) as (
        (
            select w.queue_key, 1
            from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = $1
              and w.queue_key >= $2
              and (w.queue_key > $2 or $3)
            order by w.queue_key
            limit 1
        )
        union all
        select next.queue_key, lane.number + 1
        from lane
        cross join lateral (
            select w.queue_key
            from {schema}.workflows as w
            where w.state = 'enqueued'
              and w.queue_name = $1
              and w.queue_key > lane.queue_key
            order by w.queue_key
            limit 1
        ) as next
        where lane.number < $4
    )
    select lane.queue_key,
        case
            when lane.queue_key = '' then (select count(*) from (
                select 1
                from {schema}.workflows as w
                where w.state = 'running'
                  and w.queue_name = $1
                  and w.queue_name <> ''
                  and w.queue_key = ''
                limit $5
            ) as running)
            else (select count(*) from (
                select 1
                from {schema}.workflows as w
                where w.state = 'running'
                  and w.queue_name = $1
                  and w.queue_key = lane.queue_key
                  and w.queue_key <> ''
                limit $5
            ) as running)
        end
    from lane
    order by lane.number";

/// A key under which something waits, and how many of it run.
type Key = (String, u32);

/// Those of a queue that are next when its keys take turns.
pub(super) async fn next(
    db: &Connection,
    taking: &Taking,
    (queue, places): (&Queue, u32),
) -> Result<Vec<Waiting>, Failure> {
    if places == 0 {
        return Ok(Vec::new());
    }
    let turns = &db.server.turns;
    for _ in 0..LOOKS_MAX {
        let keys = keys(db, queue, turns.after(&queue.name).as_deref()).await?;
        let lanes = lanes(db, taking, (queue, &keys, places)).await?;
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
async fn keys(db: &Connection, queue: &Queue, after: Option<&str>) -> Result<Vec<Key>, Failure> {
    let Some(after) = after else {
        return keys_from(db, queue, ("", true), KEYS_PER_LOOK).await;
    };
    let mut keys = keys_from(db, queue, (after, false), KEYS_PER_LOOK).await?;
    let left = KEYS_PER_LOOK.saturating_sub(u32::try_from(keys.len()).unwrap_or(u32::MAX));
    if left > 0 {
        let mut first = keys_from(db, queue, ("", true), left).await?;
        first.retain(|(key, _)| key.as_str() <= after);
        keys.extend(first);
    }
    Ok(keys)
}

async fn keys_from(
    db: &Connection,
    queue: &Queue,
    (from, with_it): (&str, bool),
    limit: u32,
) -> Result<Vec<Key>, Failure> {
    let counted_max = i64::from(queue.limits.key_concurrency.unwrap_or(COUNTED_MAX));
    let name = queue.name.as_str();
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let rows = db
        .query(KEYS, params![name, from, with_it, limit, counted_max])
        .await?;
    let key = |row| Ok((get(row, 0)?, number(row, 1)?));
    rows.iter().map(key).collect()
}

/// What waits under the keys, no more than could be taken.
async fn lanes(
    db: &Connection,
    taking: &Taking,
    (queue, keys, places): (&Queue, &[Key], u32),
) -> Result<Vec<Lane>, Failure> {
    let running: Vec<_> = keys.iter().map(|(_, running)| *running).collect();
    let limits = enough(&running, places, queue.limits.key_concurrency);
    let place = |((key, _), limit): (&'_ Key, u32)| Place {
        queue: queue.name.clone(),
        key: key.clone(),
        limit,
    };
    let places: Vec<_> = keys.iter().zip(limits).map(place).collect();
    let mut lanes: Vec<_> = (keys.iter())
        .map(|(key, running)| Lane {
            key: key.clone(),
            running: *running,
            waiting: Vec::new(),
        })
        .collect();
    for (number, waiting) in in_line(db, taking, &places, u32::MAX).await? {
        if let Some(lane) = lanes.get_mut(number) {
            lane.waiting.push(waiting);
        }
    }
    Ok(lanes)
}
