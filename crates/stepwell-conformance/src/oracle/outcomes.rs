//! Where outcomes of one batch may differ: in what they say of a workflow that another change of the
//! same batch moves.

use stepwell_core::{
    State,
    store::{Applied, EffectOutcome, Progressed, Refusal, Started},
};

use super::model::Model;

/// Takes over from the model what a store may say otherwise. `after` is the model behind the batch.
pub(super) fn align(actual: &mut Applied, expected: &Applied, after: &Model) {
    let mut expected_starts = Vec::new();
    let mut expected = expected.clone();
    starts(&mut expected, &mut |started| {
        expected_starts.push(started.clone())
    });
    let mut expected_starts = expected_starts.into_iter();
    starts(actual, &mut |started| {
        if let Some(expected) = expected_starts.next() {
            existing(started, expected, after);
        }
    });
    if let (Applied::Progress(actual), Applied::Progress(expected)) = (actual, expected)
        && waits(actual)
        && waits(&expected)
    {
        *actual = expected;
    }
}

/// One that is there may be said to be as it is behind the batch.
fn existing(actual: &mut Started, expected: Started, after: &Model) {
    if let (Started::Existing { key, state, .. }, Started::Existing { key: same, .. }) =
        (&*actual, &expected)
        && key == same
        && *state == after.state(*key)
    {
        *actual = expected;
    }
}

/// A change that is refused because its workflow waits may name the state before or after a message
/// has woken it.
fn waits(progressed: &Progressed) -> bool {
    matches!(
        progressed,
        Progressed::Refused(Refusal::NotRunning(State::Parked | State::Enqueued))
    )
}

/// Calls the function with each start in an outcome.
fn starts(applied: &mut Applied, with: &mut dyn FnMut(&mut Started)) {
    match applied {
        Applied::Start(started) => with(started),
        Applied::Progress(Progressed::Recorded(outcomes)) => {
            for outcome in outcomes {
                if let EffectOutcome::Started(started) = outcome {
                    with(started);
                }
            }
        }
        _ => {}
    }
}
