//! Bounds on what comes in, and the error that names the value, the limit and the way out.

use std::time::Duration;

/// The longest workflow id, and the longest name of anything, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
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

/// Checks a name: 1 to `bytes_max` bytes, no control character (NUL is one).
///
/// # Errors
/// Names the value and the rule that it breaks.
pub fn check_name(what: &str, name: &str, bytes_max: usize) -> Result<(), InvalidInput> {
    if name.is_empty() {
        return Err(InvalidInput::new(format!(
            "the {what} is empty; give it at least one character"
        )));
    }
    if name.len() > bytes_max {
        let start: String = name.chars().take(40).collect();
        return Err(InvalidInput::new(format!(
            "the {what} `{start}…` has {} bytes, at most {bytes_max} are allowed; shorten or hash it",
            name.len()
        )));
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(InvalidInput::new(format!(
            "the {what} {name:?} holds the control character {control:?}; remove it"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(name: &str, reason: &str) {
        let error = check_name("queue name", name, NAME_BYTES_MAX)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(reason) && error.contains("queue name"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_name_is_refused_with_its_reason() {
        refused("", "is empty");
        refused("a\0b", "control character '\\0'");
        refused("a\nb", "control character '\\n'");
        refused(&"x".repeat(256), "has 256 bytes, at most 255");
        assert!(check_name("queue name", &"x".repeat(255), NAME_BYTES_MAX).is_ok());
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
