//! A run ends.

use rusqlite::params;
use stepwell_core::{
    DECLINED_NOTE, End, Outcome, Place, RecordKind, State,
    store::{Finish, Finished, Refusal, Room},
};

use super::{Scope, acknowledge::ACKNOWLEDGE, record, start};
use crate::error::Failure;

/// Ends a workflow that was found to be running here, in the same transaction.
pub(super) const END: &str = "
    update workflows
    set state = ?2,
        reason = ?3,
        fingerprint = ?4,
        ended_at = ?5
    where workflow_key = ?1";

/// Remembers which version got stuck.
pub(super) const STICK: &str = "
    insert into stuck (workflow_key, queue_name, name, version)
    select workflow_key, coalesce(queue_name, ''), name, ?2
    from workflows
    where workflow_key = ?1";

pub(super) fn apply(scope: &mut Scope<'_>, finish: &Finish) -> Result<Finished, Failure> {
    match scope.refusal(finish.key)? {
        None => {}
        Some(Refusal::NotRunning(state)) if state.is_at_rest() => {
            return Ok(Finished::Already(state));
        }
        Some(_) => return Ok(Finished::NotMine),
    }
    scope.mine.remove(&finish.key);
    match &finish.end {
        End::Succeeded(output) => {
            result(scope, finish, Outcome::Ok(output.clone()))?;
            update(scope, finish, State::Succeeded, (None, None))?;
            scope.wake_waiters(finish.key)?;
        }
        End::Failed {
            error,
            fingerprint,
            reason,
        }
        | End::Declined {
            error,
            fingerprint,
            reason,
        } => {
            result(scope, finish, Outcome::Err(error.clone()))?;
            let why = (Some(reason), Some(fingerprint));
            update(scope, finish, State::Failed, why)?;
            scope.wake_waiters(finish.key)?;
        }
        End::Stuck { reason } => {
            update(scope, finish, State::Stuck, (Some(reason), None))?;
            let mut stick = scope.db.prepare_cached(STICK)?;
            stick.execute(params![finish.key.0, finish.version])?;
        }
    }
    if matches!(finish.end, End::Declined { .. }) {
        let values = params![finish.key.0, scope.now_micros(), DECLINED_NOTE];
        scope.db.prepare_cached(ACKNOWLEDGE)?.execute(values)?;
    }
    for alert in &finish.alerts {
        alert.not_started(&start::anyway(scope, alert, start::ask)?);
        // It may have taken the place of another one that waited.
        scope.room = Room::default();
    }
    Ok(Finished::Now)
}

fn result(scope: &mut Scope<'_>, finish: &Finish, outcome: Outcome) -> Result<(), Failure> {
    let last = record::bare(Place::Result, RecordKind::Result, outcome);
    record::add(scope, finish.key, &last)?;
    Ok(())
}

fn update(
    scope: &Scope<'_>,
    finish: &Finish,
    state: State,
    (reason, fingerprint): (Option<&String>, Option<&String>),
) -> Result<(), Failure> {
    scope.db.prepare_cached(END)?.execute(params![
        finish.key.0,
        state.as_str(),
        reason,
        fingerprint,
        scope.now_micros(),
    ])?;
    Ok(())
}
