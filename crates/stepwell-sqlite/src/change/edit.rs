//! A message in an inbox is dropped or replaced.

use rusqlite::{OptionalExtension, params};
use stepwell_core::store::{EditMessage, Edited};

use super::{Scope, send::key_of_id};
use crate::error::Failure;

pub(super) const FIND_MESSAGE: &str = "
    select received_at is not null
    from messages
    where message_number = ?1
      and workflow_key = ?2";

/// What is dropped counts as received: the row stays for its key.
pub(super) const EDIT: &str = "
    update messages
    set payload = ?2,
        received_at = case when ?2 is null then ?3 end
    where message_number = ?1";

pub(super) fn apply(scope: &Scope<'_>, edit: &EditMessage) -> Result<Edited, Failure> {
    let Some(key) = key_of_id(scope, &edit.to)? else {
        return Ok(Edited::NoSuchMessage);
    };
    let is_gone = scope
        .db
        .prepare_cached(FIND_MESSAGE)?
        .query_row(params![edit.number, key.0], |row| row.get(0))
        .optional()?;
    match is_gone {
        None => return Ok(Edited::NoSuchMessage),
        Some(true) => return Ok(Edited::Gone),
        Some(false) => {}
    }
    let payload = edit.payload.as_ref().map(|payload| payload.as_str());
    scope
        .db
        .prepare_cached(EDIT)?
        .execute(params![edit.number, payload, scope.now_micros()])?;
    Ok(Edited::Now)
}
