//! A workflow begins to exist.

use stepwell_core::{
    State, WorkflowKey,
    store::{Applied, Change, NewWorkflow, Started},
};

use super::{Scope, hot};
use crate::{
    error::Failure,
    params::params,
    rows::{self, get, key, payload},
};

/// The row that has the id already, with its input.
pub(super) const EXISTING: &str = "
    select w.workflow_key, w.name, w.state, coalesce(w.executor_id = $2, false), r.payload
    from {schema}.workflows as w
    join {schema}.records as r
      on r.workflow_key = w.workflow_key
     and r.place = ''
    where w.workflow_id = $1";

/// Starts one: looks first, because most that come here were started before.
pub(super) async fn apply(scope: &Scope<'_>, new: &NewWorkflow) -> Result<Started, Failure> {
    if let Some(existing) = existing(scope, new).await? {
        return Ok(existing);
    }
    let change = [Change::Start(new.clone())];
    let mut answer = [None];
    hot::apply(
        scope.db,
        (scope.executor, None),
        (&change, &[0]),
        &mut answer,
    )
    .await?;
    match answer {
        [Some(Applied::Start(started))] => Ok(started),
        // Somebody else has started it in between, and has committed it: or we would still wait.
        _ => existing(scope, new).await?.ok_or(Failure::Moved),
    }
}

async fn existing(scope: &Scope<'_>, new: &NewWorkflow) -> Result<Option<Started>, Failure> {
    let Some(row) = scope
        .db
        .query_opt(EXISTING, params![new.id.as_str(), scope.me()])
        .await?
    else {
        return Ok(None);
    };
    let name: String = get(&row, 1)?;
    if name != new.name || !payload(&row, 4)?.same_value(&new.input) {
        return Ok(Some(Started::Conflict { name }));
    }
    let (key, state): (WorkflowKey, State) = (key(&row, 0)?, rows::state(&row, 2)?);
    Ok(Some(Started::Existing {
        key,
        state,
        mine: state == State::Running && get(&row, 3)?,
    }))
}
