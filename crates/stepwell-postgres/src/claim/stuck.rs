//! What is stuck in another version tries this one, once.

use std::collections::{HashMap, hash_map::Entry};

use stepwell_core::store::Claim;

use super::{
    count_of,
    queue::{self, Queue},
};
use crate::{
    change::LOCK_STUCK,
    connection::Connection,
    error::Failure,
    params::params,
    rows::{get, number},
};

/// How many rows one look goes through, under one name of one queue.
const LOOK_MAX: i64 = 256;

/// Whether anything got stuck under these names since this version last looked.
pub(crate) const ANY_SINCE: &str = "
    select 1
    from unnest($1::text[]) as q (queue_name)
    cross join unnest($2::text[]) as n (name)
    cross join lateral (
        select 1
        from {schema}.stuck as s
        where s.queue_name = q.queue_name
          and s.name = n.name
          and s.stuck_number + 0 > coalesce((
                select c.stuck_number
                from {schema}.stuck_cursors as c
                where c.queue_name = q.queue_name
                  and c.name = n.name
                  and c.version = $3
            ), 0)
        limit 1
    ) as newer
    limit 1";

/// What got stuck under a name since this version last looked, the longest ago first: whether it
/// still is, and was not tried with this version.
pub(crate) const SINCE: &str = "
    select s.stuck_number, s.workflow_key, coalesce(w.state = 'stuck', false) and not exists (
            select from {schema}.stuck as tried
            where tried.workflow_key = s.workflow_key
              and tried.version = $3
        ), coalesce(w.queue_key, '')
    from (
        select stuck_number, workflow_key
        from {schema}.stuck
        where queue_name = $1
          and name = $2
          and stuck_number + 0 > coalesce((
                select c.stuck_number
                from {schema}.stuck_cursors as c
                where c.queue_name = $1
                  and c.name = $2
                  and c.version = $3
            ), 0)
        order by stuck_number + 0
        limit $4
    ) as s
    left join lateral (
        select state, queue_key
        from {schema}.workflows
        where workflow_key = s.workflow_key
        offset 0
    ) as w on true
    order by s.stuck_number";

const MOVE_CURSOR: &str = "
    insert into {schema}.stuck_cursors (queue_name, name, version, stuck_number)
    values ($1, $2, $3, $4)
    on conflict (queue_name, name, version) do update set stuck_number = excluded.stuck_number";

/// The stuck workflows that the executor is to try now, up to a limit. The caller must take them:
/// their version's cursors are behind them.
pub(super) async fn find(
    db: &Connection,
    (claim, queues, limit): (&Claim, &[Queue], u32),
) -> Result<Vec<i64>, Failure> {
    let mut found = Vec::new();
    let mut names = vec![""];
    names.extend(queues.iter().map(|queue| queue.name.as_str()));
    if db
        .query(
            ANY_SINCE,
            params![names, claim.names, claim.version.as_str()],
        )
        .await?
        .is_empty()
    {
        return Ok(found);
    }
    db.query(LOCK_STUCK, params![]).await?;
    let free: HashMap<_, _> = queue::free(db, &claim.executor, queues).await?;
    in_queue(db, claim, (None, limit), &mut found).await?;
    for queue in queues {
        let left = limit.saturating_sub(count_of(&found));
        let free = free.get(&queue.name).copied().unwrap_or(u32::MAX).min(left);
        in_queue(db, claim, (Some(queue), free), &mut found).await?;
    }
    Ok(found)
}

/// Those of one queue, under any of the names.
async fn in_queue(
    db: &Connection,
    claim: &Claim,
    (queue, limit): (Option<&Queue>, u32),
    found: &mut Vec<i64>,
) -> Result<(), Failure> {
    let mut keys = KeyPlaces::of(queue);
    let full = count_of(found).saturating_add(limit);
    for name in &claim.names {
        let left = full.saturating_sub(count_of(found));
        if left == 0 {
            break;
        }
        let queue = queue.map_or("", |queue| queue.name.as_str());
        let of = (queue, name.as_str(), claim.version.as_str());
        found.extend(untried(db, of, left, &mut keys).await?);
    }
    Ok(())
}

/// Looks at what is behind the version's cursor, and moves the cursor on: what the version has
/// tried, or what went on since, is never looked at again.
async fn untried(
    db: &Connection,
    (queue, name, version): (&str, &str, &str),
    limit: u32,
    keys: &mut KeyPlaces<'_>,
) -> Result<Vec<i64>, Failure> {
    let rows = db
        .query(SINCE, params![queue, name, version, LOOK_MAX])
        .await?;
    let (mut found, mut last) = (Vec::new(), None);
    for row in &rows {
        if count_of(&found) == limit {
            break;
        }
        let key: i64 = get(row, 1)?;
        // One that got stuck in two other versions stands here twice.
        if get(row, 2)? && !found.contains(&key) {
            if !keys.take(db, get(row, 3)?).await? {
                // It is the first to be looked at when its key has a place again.
                break;
            }
            found.push(key);
        }
        last = Some(get::<i64>(row, 0)?);
    }
    if let Some(last) = last {
        db.execute(MOVE_CURSOR, params![queue, name, version, last])
            .await?;
    }
    Ok(found)
}

/// How many of a key run, counted no further than its limit. Asked rarely: the index finds the key
/// alone.
const RUNNING_OF: &str = "
    select count(*)
    from (
        select 1
        from {schema}.workflows
        where state = 'running'
          and queue_name = $1
          and queue_name <> ''
          and queue_key = $2
        limit $3
    ) as running";

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
    async fn take(&mut self, db: &Connection, key: String) -> Result<bool, Failure> {
        let Some((queue, most)) =
            (self.queue).and_then(|it| Some((it, it.limits.key_concurrency?)))
        else {
            return Ok(true);
        };
        let left = match self.left.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let (name, key) = (queue.name.as_str(), unknown.key().as_str());
                let row = db
                    .query_opt(RUNNING_OF, params![name, key, i64::from(most)])
                    .await?;
                let running = row.map_or(Ok(0), |row| number(&row, 0))?;
                unknown.insert(most.saturating_sub(running))
            }
        };
        let is_free = *left > 0;
        *left = left.saturating_sub(1);
        Ok(is_free)
    }
}
