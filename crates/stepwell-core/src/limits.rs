//! Bounds on what comes in, and the error that names the value, the limit and the way out.

mod text;

use std::time::Duration;

use crate::{
    store::{QueueLimits, QueueUse},
    unique::{Unique, UniqueRule, UniqueScope},
};

pub use text::Text;

/// The longest workflow id, and the longest name of anything, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// The longest name of a schedule, in bytes: the ids of its workflows begin with it, and go on with
/// an instant and, of one that was triggered, with what tells it from others.
pub const SCHEDULE_NAME_BYTES_MAX: usize = 190;
/// How long a note on a dead letter may be.
pub const NOTE_BYTES_MAX: usize = 1_024;
/// How deep a payload may nest. `serde_json` reads no deeper than 128.
pub const PAYLOAD_DEPTH_MAX: usize = 120;
/// How large a payload may be unless the application says otherwise: 16 MiB.
pub const PAYLOAD_BYTES_MAX_DEFAULT: usize = 16 * 1024 * 1024;
/// The longest wait, delay, deadline or timeout: about a hundred years.
pub const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// A value that was refused at the edge. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidInput {
    message: String,
}

impl InvalidInput {
    /// Says what was refused, which limit it broke and what to do.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// What the names of attributes begin with that Stepwell itself sets. Nobody else may set one.
pub const RESERVED_ATTRIBUTES: &str = "stepwell.";
/// The attribute that says for whom a workflow was started ([`Call::principal`](crate::Call::principal)).
pub const PRINCIPAL_ATTRIBUTE: &str = "stepwell.principal";
/// The attribute that holds the digest of the request that a workflow was started by
/// ([`Call::request_digest`](crate::Call::request_digest)).
pub const REQUEST_ATTRIBUTE: &str = "stepwell.request";

/// Checks an attribute that a caller sets.
///
/// # Errors
/// If its name or its value is out of bounds, or the name is one of those that Stepwell sets itself.
pub fn check_attribute(name: &str, value: &str) -> Result<(), InvalidInput> {
    Text::AttributeName.check(name)?;
    Text::AttributeValue.check(value)?;
    if name.starts_with(RESERVED_ATTRIBUTES) {
        return Err(InvalidInput::new(format!(
            "the attribute {name:?} cannot be set: names that begin with `{RESERVED_ATTRIBUTES}` are \
             Stepwell's own; choose another one"
        )));
    }
    Ok(())
}

/// Checks a wait, delay, deadline or timeout.
///
/// # Errors
/// If it is longer than [`DURATION_MAX`].
pub fn check_duration(what: &str, duration: Duration) -> Result<(), InvalidInput> {
    if duration > DURATION_MAX {
        return Err(InvalidInput::new(format!(
            "the {what} of {} s is longer than the longest allowed one, {} s (100 years)",
            duration.as_secs(),
            DURATION_MAX.as_secs()
        )));
    }
    Ok(())
}

/// The highest and, negated, the lowest priority: about two years of waiting.
pub const PRIORITY_MAX: i32 = 1_000_000;
/// The longest period of a rate: what began in it is kept.
pub const RATE_PERIOD_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The most that a rate counts.
pub const RATE_STARTS_MAX: u32 = 1_000_000;

/// Checks how a workflow goes through a queue.
///
/// # Errors
/// Names the value and the rule that it breaks.
pub fn check_queue(queue: &QueueUse) -> Result<(), InvalidInput> {
    Text::QueueName.check(&queue.name)?;
    Text::QueueKey.check(&queue.key)?;
    if queue.priority.unsigned_abs() > PRIORITY_MAX.unsigned_abs() {
        return Err(InvalidInput::new(format!(
            "the priority {} is out of bounds; give one from -{PRIORITY_MAX} to {PRIORITY_MAX}",
            queue.priority
        )));
    }
    check_queue_limits(&queue.name, &queue.limits)
}

/// Checks what makes a start one of a kind.
///
/// # Errors
/// Names the value and the rule that it breaks.
pub fn check_unique(unique: &Unique) -> Result<(), InvalidInput> {
    Text::UniqueKey.check(unique.key())?;
    match unique.rule() {
        UniqueRule::Join(UniqueScope::Within(period))
        | UniqueRule::Reject(UniqueScope::Within(period))
        | UniqueRule::Replace {
            at_most: Some(period),
        } => check_duration("period of the unique key", period),
        _ => Ok(()),
    }
}

/// Checks the limits of a queue.
///
/// # Errors
/// If one of them is 0, or its rate has no period, or one that is too long, or counts too much.
pub fn check_queue_limits(name: &str, limits: &QueueLimits) -> Result<(), InvalidInput> {
    let at_least_one = [
        ("concurrency", limits.concurrency),
        ("concurrency in an executor", limits.executor_concurrency),
        ("concurrency of a key", limits.key_concurrency),
        (
            "number of starts in a period",
            limits.rate.map(|it| it.starts),
        ),
        ("number of workflows that may wait", limits.waiting_max),
    ];
    if let Some((what, _)) = at_least_one.iter().find(|(_, limit)| *limit == Some(0)) {
        return Err(InvalidInput::new(format!(
            "the {what} of queue `{name}` is 0, so its workflows would wait for ever; give at least \
             1, or pause the queue"
        )));
    }
    let Some(rate) = limits.rate else {
        return Ok(());
    };
    if rate.period_ms == 0 || rate.period() > RATE_PERIOD_MAX {
        return Err(InvalidInput::new(format!(
            "the period of {} ms of the rate of queue `{name}` is out of bounds; give one from 1 ms \
             to {} days",
            rate.period_ms,
            RATE_PERIOD_MAX.as_secs() / (24 * 60 * 60)
        )));
    }
    if rate.starts > RATE_STARTS_MAX {
        return Err(InvalidInput::new(format!(
            "the rate of queue `{name}` counts {} starts, at most {RATE_STARTS_MAX} are allowed; \
             give fewer in a shorter period",
            rate.starts
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_of_stepwells_own_is_refused() {
        for name in [PRINCIPAL_ATTRIBUTE, REQUEST_ATTRIBUTE, "stepwell.new"] {
            let error = check_attribute(name, "ann").unwrap_err().to_string();
            assert!(
                error.contains(&format!("{name:?} cannot be set")),
                "{error}"
            );
        }
        assert_eq!(check_attribute("stepwell", "ann"), Ok(()));
    }

    #[test]
    fn an_endless_wait_is_refused() {
        assert!(
            check_duration("delay", Duration::MAX)
                .unwrap_err()
                .to_string()
                .contains("100 years")
        );
        assert!(check_duration("delay", Duration::ZERO).is_ok());
    }
}
