//! A message in an inbox is dropped or replaced.

use stepwell_core::{
    Payload,
    store::{EditMessage, Edited},
};

use super::Scope;
use crate::{
    error::Failure,
    params::{At, params},
    rows::get,
};

/// Locked: a receive that is on its way is waited for.
const FIND_MESSAGE: &str = "
    select m.received_at is not null
    from {schema}.messages as m
    where m.message_number = $1
      and m.workflow_key = (select workflow_key from {schema}.workflows where workflow_id = $2)
    for update of m";

/// What is dropped counts as received: the row stays for its key.
const EDIT: &str = "
    update {schema}.messages
    set payload = $2::text,
        received_at = case when $2::text is null then $3::timestamptz end
    where message_number = $1";

pub(super) async fn apply(scope: &Scope<'_>, edit: &EditMessage) -> Result<Edited, Failure> {
    let to = edit.to.as_str();
    let found = scope
        .db
        .query_opt(FIND_MESSAGE, params![edit.number, to])
        .await?;
    let Some(row) = found else {
        return Ok(Edited::NoSuchMessage);
    };
    if get(&row, 0)? {
        return Ok(Edited::Gone);
    }
    let payload = edit.payload.as_ref().map(Payload::as_str);
    let now = At(scope.now);
    scope
        .db
        .execute(EDIT, params![edit.number, payload, now])
        .await?;
    Ok(Edited::Now)
}
