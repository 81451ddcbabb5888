//! Records of a running workflow, and what they bring about.

use std::collections::HashSet;

use stepwell_core::{
    Outcome, State,
    store::{Effect, Progress, Progressed, Refusal},
};
use tokio_postgres::Row;

use super::{Scope, effect};
use crate::{
    error::Failure,
    params::{At, params},
    rows::{self, get, micros},
};

/// Locks the workflow and adds its records where there are none.
///
/// The lock is what numbers of events and offsets of streams stand on; it lets those pass who send to
/// the workflow (see `change.rs`, *The order of locks*). What it waited for may have
/// made the same records: the insert looks into the index, not into what the statement saw at its
/// beginning.
pub(super) const ADD: &str = "
    with own as materialized (
        select state, executor_id, watched
        from {schema}.workflows
        where workflow_key = $1
        for no key update
    ),
    added as (
        insert into {schema}.records
            (workflow_key, place, kind, name, failed, payload, attempts, started_at, recorded_at)
        select $1, i.place, i.kind, i.name, i.failed, i.payload, i.attempts,
            $3::timestamptz - i.elapsed_us * interval '1 microsecond', $3
        from own
        cross join unnest($4::text[], $5::text[], $6::text[], $7::boolean[], $8::text[],
            $9::bigint[], $10::bigint[])
            as i (place, kind, name, failed, payload, attempts, elapsed_us)
        where own.state = 'running'
          and own.executor_id = $2
        on conflict do nothing
        returning place
    )
    select own.state, coalesce(own.executor_id = $2, false), (select array_agg(place) from added),
        own.watched
    from own";

/// What became of the records.
enum Added {
    All {
        /// Whether somebody is parked until the workflow publishes something.
        is_watched: bool,
    },
    Refused(Refusal),
    /// The first one is there.
    Existing,
    /// The first one is new, but this one is there.
    Torn(String),
}

pub(super) async fn apply(
    scope: &mut Scope<'_>,
    progress: &Progress,
) -> Result<Progressed, Failure> {
    if cannot_half_fail(progress) {
        return write(scope, progress).await;
    }
    let to_wake = scope.to_wake.clone();
    scope.db.batch("savepoint one_change").await?;
    let progressed = write(scope, progress).await?;
    if !matches!(progressed, Progressed::Recorded(_)) {
        scope.db.batch("rollback to one_change").await?;
        scope.to_wake = to_wake;
    }
    scope.db.batch("release one_change").await?;
    Ok(progressed)
}

/// Whether the first record decides everything: then no savepoint is needed to undo the rest.
fn cannot_half_fail(progress: &Progress) -> bool {
    let can_fail = |effect: &Effect| matches!(effect, Effect::Start(_) | Effect::Receive { .. });
    progress.records.len() <= 1 && !progress.effects.iter().any(can_fail)
}

async fn write(scope: &mut Scope<'_>, progress: &Progress) -> Result<Progressed, Failure> {
    match add(scope, progress).await? {
        Added::All { is_watched } => effect::apply_all(scope, progress, is_watched).await,
        Added::Refused(refusal) => Ok(Progressed::Refused(refusal)),
        Added::Existing => Ok(Progressed::Existing),
        Added::Torn(place) => Ok(Progressed::Conflict {
            reason: format!(
                "the record at `{place}` is there, but not the first one that it belongs to",
            ),
        }),
    }
}

async fn add(scope: &Scope<'_>, progress: &Progress) -> Result<Added, Failure> {
    let records = &progress.records;
    let places: Vec<_> = records.iter().map(|it| it.place.encode()).collect();
    let kinds: Vec<_> = records.iter().map(|it| it.kind.as_str()).collect();
    let names: Vec<_> = records.iter().map(|it| it.name.as_str()).collect();
    let is_err = |outcome: &Outcome| matches!(outcome, Outcome::Err(_));
    let failed: Vec<_> = records.iter().map(|it| is_err(&it.outcome)).collect();
    let payloads: Vec<_> = (records.iter())
        .map(|it| it.outcome.payload().as_str())
        .collect();
    let attempts: Vec<_> = records.iter().map(|it| i64::from(it.attempts)).collect();
    let elapsed: Vec<_> = records.iter().map(|it| micros(it.elapsed)).collect();
    let me = scope.me();
    let row = scope
        .db
        .query_opt(
            ADD,
            params![
                progress.key.0,
                me,
                At(scope.now),
                places,
                kinds,
                names,
                failed,
                payloads,
                attempts,
                elapsed,
            ],
        )
        .await?;
    judge(row.as_ref(), &places)
}

fn judge(row: Option<&Row>, places: &[String]) -> Result<Added, Failure> {
    // A key that leads nowhere was deleted: nobody's.
    let Some(row) = row else {
        return Ok(Added::Refused(Refusal::NotMine));
    };
    match (rows::state(row, 0)?, get(row, 1)?) {
        (State::Running, true) => {}
        (State::Running, false) => return Ok(Added::Refused(Refusal::NotMine)),
        (state, _) => return Ok(Added::Refused(Refusal::NotRunning(state))),
    }
    let new: HashSet<String> =
        (get::<Option<Vec<String>>>(row, 2)?.into_iter().flatten()).collect();
    Ok(match places.iter().position(|place| !new.contains(place)) {
        None => Added::All {
            is_watched: get(row, 3)?,
        },
        Some(0) => Added::Existing,
        Some(torn) => Added::Torn(places[torn].clone()),
    })
}
