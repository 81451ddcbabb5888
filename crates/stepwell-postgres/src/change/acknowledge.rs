//! Somebody has looked at a dead letter.

use stepwell_core::store::{Acknowledge, Acknowledged};

use super::Scope;
use crate::{
    error::Failure,
    params::{At, params},
    rows::{self, get},
};

const FIND: &str = "
    select workflow_key, state, acknowledged_at is not null
    from {schema}.workflows
    where workflow_id = $1
    for update";

pub(super) const ACKNOWLEDGE: &str = "
    update {schema}.workflows
    set acknowledged_at = $2,
        acknowledged_note = $3
    where workflow_key = $1";

pub(super) async fn apply(
    scope: &Scope<'_>,
    letter: &Acknowledge,
) -> Result<Acknowledged, Failure> {
    let found = scope
        .db
        .query_opt(FIND, params![letter.id.as_str()])
        .await?;
    let Some(row) = found else {
        return Ok(Acknowledged::NoSuchWorkflow);
    };
    let (key, state) = (rows::key(&row, 0)?, rows::state(&row, 1)?);
    if !state.is_dead_letter() {
        return Ok(Acknowledged::Not(state));
    }
    if get(&row, 2)? {
        return Ok(Acknowledged::Already);
    }
    let note = letter.note.as_str();
    let db = scope.db;
    db.execute(ACKNOWLEDGE, params![key.0, At(scope.now), note])
        .await?;
    Ok(Acknowledged::Now)
}
