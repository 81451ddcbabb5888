//! What is stuck in another version tries this one, once.

use std::collections::HashMap;

use stepwell_core::store::Claim;

use super::{
    candidates::{self, Queue},
    count_of,
};
use crate::{
    change::LOCK_STUCK, connection::Connection, error::Failure, params::params, rows::get,
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
        )
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
        select state
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
    let free: HashMap<_, _> = candidates::free(db, &claim.executor, queues).await?;
    for queue in names {
        let left = limit.saturating_sub(count_of(&found));
        let free = free.get(queue).copied().unwrap_or(u32::MAX).min(left);
        in_queue(db, claim, (queue, free), &mut found).await?;
    }
    Ok(found)
}

/// Those of one queue, under any of the names.
async fn in_queue(
    db: &Connection,
    claim: &Claim,
    (queue, limit): (&str, u32),
    found: &mut Vec<i64>,
) -> Result<(), Failure> {
    let full = count_of(found).saturating_add(limit);
    for name in &claim.names {
        let left = full.saturating_sub(count_of(found));
        if left == 0 {
            break;
        }
        let of = (queue, name.as_str(), claim.version.as_str());
        found.extend(untried(db, of, left).await?);
    }
    Ok(())
}

/// Looks at what is behind the version's cursor, and moves the cursor on: what the version has
/// tried, or what went on since, is never looked at again.
async fn untried(
    db: &Connection,
    (queue, name, version): (&str, &str, &str),
    limit: u32,
) -> Result<Vec<i64>, Failure> {
    let rows = db
        .query(SINCE, params![queue, name, version, LOOK_MAX])
        .await?;
    let (mut found, mut last) = (Vec::new(), None);
    for row in &rows {
        if count_of(&found) == limit {
            break;
        }
        last = Some(get::<i64>(row, 0)?);
        let key: i64 = get(row, 1)?;
        // One that got stuck in two other versions stands here twice.
        if get(row, 2)? && !found.contains(&key) {
            found.push(key);
        }
    }
    if let Some(last) = last {
        db.execute(MOVE_CURSOR, params![queue, name, version, last])
            .await?;
    }
    Ok(found)
}
