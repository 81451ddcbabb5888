//! Workflows come to an executor, unless they are dead or too late.

use jiff::Timestamp;
use stepwell_core::store::{Claim, Claimed};

use super::find::Waiting;
use crate::{
    connection::Connection,
    error::Failure,
    params::{At, params},
    take_over::HANDED_BACK,
};

pub(crate) const RUN: &str = "
    update {schema}.workflows as w
    set state = 'running',
        reason = null,
        executor_id = $1,
        previous_executor_id = null,
        lost_at = null,
        lost_why = null,
        started_at = coalesce(w.started_at, $2),
        ended_at = null,
        acknowledged_at = null,
        acknowledged_note = null,
        recoveries = i.recoveries,
        records_at_claim = i.records
    from unnest($3::bigint[], $4::bigint[], $5::bigint[])
        as i (workflow_key, recoveries, records)
    where w.workflow_key = any (array[i.workflow_key])";

pub(crate) const DIE: &str = "
    update {schema}.workflows as w
    set state = 'dead',
        reason = i.reason,
        acknowledged_at = null,
        acknowledged_note = null,
        recoveries = i.recoveries,
        ended_at = $1
    from unnest($2::bigint[], $3::bigint[], $4::text[])
        as i (workflow_key, recoveries, reason)
    where w.workflow_key = any (array[i.workflow_key])";

const NOTE_TAKEOVER: &str = "
    insert into {schema}.takeovers
        (workflow_key, lost_at, taken_at, from_executor_id, to_executor_id, replayed, why)
    select i.workflow_key, i.lost_at, $2, i.from_executor_id, $1, i.replayed, i.why
    from unnest($3::bigint[], $4::timestamptz[], $5::text[], $6::bigint[], $7::text[])
        as i (workflow_key, lost_at, from_executor_id, replayed, why)";

/// What a queue's rate counts.
pub(crate) const NOTE_STARTS: &str = "
    insert into {schema}.queue_starts (queue_name, started_at, workflow_key)
    select q.queue_name, $2, i.workflow_key
    from unnest($1::bigint[]) as i (workflow_key)
    cross join lateral (
        select queue_name
        from {schema}.workflows
        where workflow_key = i.workflow_key
        offset 0
    ) as w
    join {schema}.queues as q
      on q.queue_name = w.queue_name
     and q.rate_starts is not null
    on conflict do nothing";

/// What an interrupt says of a run that is over; the new one must not hear it.
const FORGET_INTERRUPTS: &str = "
    delete from {schema}.interrupts
    where executor_id = $1
      and workflow_key = any($2)";

/// Takes workflows that are locked. Those that are not dead now.
pub(super) async fn take(
    db: &Connection,
    (claim, has_rates): (&Claim, bool),
    mut waiting: Vec<Waiting>,
    now: Timestamp,
) -> Result<Vec<Claimed>, Failure> {
    for it in &mut waiting {
        it.recoveries = recoveries(claim, it);
    }
    let is_dead = |it: &Waiting| claim.rules.is_dead(it.recoveries);
    let (dead, runs): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_dead);
    if !dead.is_empty() {
        die(db, &dead, now).await?;
    }
    if !runs.is_empty() {
        run(db, claim, &runs, now).await?;
        if has_rates {
            let keys: Vec<_> = runs.iter().map(|it| it.claimed.key.0).collect();
            db.execute(NOTE_STARTS, params![keys, At(now)]).await?;
        }
    }
    Ok(runs.into_iter().map(|it| it.claimed).collect())
}

/// An executor that handed its work back in good order was no failed attempt: a workflow that
/// waits through a hundred deployments is well.
fn recoveries(claim: &Claim, waiting: &Waiting) -> u32 {
    match &waiting.lost {
        Some(lost) if lost.why != HANDED_BACK => claim.rules.count(
            waiting.recoveries,
            waiting.records_at_claim,
            waiting.records,
        ),
        _ => waiting.recoveries,
    }
}

async fn run(
    db: &Connection,
    claim: &Claim,
    runs: &[Waiting],
    now: Timestamp,
) -> Result<(), Failure> {
    let (me, now) = (claim.executor.as_str(), At(now));
    let keys: Vec<_> = runs.iter().map(|it| it.claimed.key.0).collect();
    let recoveries: Vec<_> = runs.iter().map(|it| i64::from(it.recoveries)).collect();
    let records: Vec<_> = runs.iter().map(|it| i64::from(it.records)).collect();
    db.execute(RUN, params![me, now, keys, recoveries, records])
        .await?;
    db.execute(FORGET_INTERRUPTS, params![me, keys]).await?;
    note_takeovers(db, me, runs, now).await
}

async fn note_takeovers(
    db: &Connection,
    me: &str,
    runs: &[Waiting],
    now: At,
) -> Result<(), Failure> {
    let lost: Vec<_> = (runs.iter())
        .filter_map(|it| Some((it, it.lost.as_ref()?)))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = lost.iter().map(|(it, _)| it.claimed.key.0).collect();
    let lost_at: Vec<_> = lost.iter().map(|(_, lost)| At(lost.at)).collect();
    let from: Vec<_> = lost.iter().map(|(_, lost)| lost.from.as_str()).collect();
    // The input is no record to be replayed.
    let replayed = lost.iter().map(|(it, _)| it.records.saturating_sub(1));
    let replayed: Vec<_> = replayed.map(i64::from).collect();
    let why: Vec<_> = lost.iter().map(|(_, lost)| lost.why.as_str()).collect();
    db.execute(
        NOTE_TAKEOVER,
        params![me, now, keys, lost_at, from, replayed, why],
    )
    .await?;
    Ok(())
}

async fn die(db: &Connection, dead: &[Waiting], now: Timestamp) -> Result<(), Failure> {
    let keys: Vec<_> = dead.iter().map(|it| it.claimed.key.0).collect();
    let recoveries: Vec<_> = dead.iter().map(|it| i64::from(it.recoveries)).collect();
    let reason = |it: &Waiting| {
        let from = it.lost.as_ref().map_or("nobody", |lost| lost.from.as_str());
        format!(
            "{} executors in a row were lost with it without a new record, the last one `{from}`; \
             fix the cause and resume it",
            it.recoveries
        )
    };
    let reasons: Vec<_> = dead.iter().map(reason).collect();
    db.execute(DIE, params![At(now), keys, recoveries, reasons])
        .await?;
    Ok(())
}
