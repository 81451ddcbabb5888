//! Records of a running workflow, and what they bring about.

use stepwell_core::store::{Effect, Progress, Progressed};

use super::{
    Scope, effect,
    record::{self, Added},
};
use crate::error::Failure;

pub(super) fn apply(scope: &mut Scope<'_>, progress: &Progress) -> Result<Progressed, Failure> {
    if let Some(refusal) = scope.refusal(progress.key)? {
        return Ok(Progressed::Refused(refusal));
    }
    if cannot_half_fail(progress) {
        return write(scope, progress);
    }
    scope
        .db
        .prepare_cached("savepoint one_change")?
        .execute([])?;
    let progressed = write(scope, progress)?;
    if !matches!(progressed, Progressed::Recorded(_)) {
        scope
            .db
            .prepare_cached("rollback to one_change")?
            .execute([])?;
        // A child that was to run here exists no more.
        scope.mine.clear();
    }
    scope.db.prepare_cached("release one_change")?.execute([])?;
    Ok(progressed)
}

/// Whether the first record decides everything: then no savepoint is needed to undo the rest.
fn cannot_half_fail(progress: &Progress) -> bool {
    let can_fail = |effect: &Effect| matches!(effect, Effect::Start(_) | Effect::Receive { .. });
    progress.records.len() <= 1 && !progress.effects.iter().any(can_fail)
}

fn write(scope: &mut Scope<'_>, progress: &Progress) -> Result<Progressed, Failure> {
    for (i, record) in progress.records.iter().enumerate() {
        match (record::add(scope, progress.key, record)?, i) {
            (Added::New, _) => {}
            (Added::Existing, 0) => return Ok(Progressed::Existing),
            (Added::Existing, _) => {
                return Ok(Progressed::Conflict {
                    reason: format!(
                        "the record at `{}` is there, but not the one at `{}` that it belongs to",
                        record.place.encode(),
                        progress.records[0].place.encode(),
                    ),
                });
            }
        }
    }
    effect::apply_all(scope, progress)
}
