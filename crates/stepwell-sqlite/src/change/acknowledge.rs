//! Somebody has looked at a dead letter.

use rusqlite::{OptionalExtension, params};
use stepwell_core::{
    State,
    store::{Acknowledge, Acknowledged},
};

use super::Scope;
use crate::error::Failure;

pub(super) const FIND: &str = "
    select workflow_key, state, acknowledged_at is not null
    from workflows
    where workflow_id = ?1";

pub(super) const ACKNOWLEDGE: &str = "
    update workflows
    set acknowledged_at = ?2,
        acknowledged_note = ?3
    where workflow_key = ?1";

pub(super) fn apply(scope: &Scope<'_>, letter: &Acknowledge) -> Result<Acknowledged, Failure> {
    let mut find = scope.db.prepare_cached(FIND)?;
    let found = find.query_row(params![letter.id.as_str()], |row| {
        let state = State::of_stored(row.get_ref(1)?.as_str()?);
        Ok((row.get::<_, i64>(0)?, state, row.get::<_, bool>(2)?))
    });
    let (key, state, is_acknowledged) = match found.optional()? {
        None => return Ok(Acknowledged::NoSuchWorkflow),
        Some(found) => found,
    };
    if !state.is_dead_letter() {
        return Ok(Acknowledged::Not(state));
    }
    if is_acknowledged {
        return Ok(Acknowledged::Already);
    }
    scope
        .db
        .prepare_cached(ACKNOWLEDGE)?
        .execute(params![key, scope.now_micros(), letter.note])?;
    Ok(Acknowledged::Now)
}
