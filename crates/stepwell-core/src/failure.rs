//! [`Failure`]: the default error of workflows and steps. Like `anyhow::Error`, but it survives the
//! database.

use std::{error::Error as StdError, fmt, ops::Deref};

use serde::{Deserialize, Serialize};

use crate::shown::Shown;

/// An error that is data: its message, its chain of causes, the type it was made from, and whether
/// trying again can help.
///
/// `?` turns every `std::error::Error` into one. What is recorded is read back the same, after a
/// crash and in another process; only the original Rust value is gone.
///
/// ```
/// # use stepwell_core::Failure;
/// fn parse(text: &str) -> Result<u16, Failure> {
///     Ok(text.parse::<u16>()?)
/// }
/// let failure = parse("many").unwrap_err().context("the port is wrong").permanent();
/// assert_eq!(failure.to_string(), "the port is wrong");
/// assert_eq!(failure.chain().last().unwrap(), "invalid digit found in string");
/// assert!(failure.is_permanent());
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    #[serde(flatten)]
    chain: Link,
    /// The Rust type that the failure was made from.
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    permanent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Box<Link>>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Link {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl Failure {
    /// A failure with a message alone.
    #[must_use]
    pub fn msg(message: impl fmt::Display) -> Self {
        Self {
            chain: Link {
                message: message.to_string(),
                cause: None,
            },
            kind: "message".to_owned(),
            code: None,
            status: None,
            permanent: false,
        }
    }

    /// Marks the failure as one that no further attempt can mend: a retry policy stops at it.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// Says what was tried; the failure so far becomes the cause.
    #[must_use]
    pub fn context(self, message: impl fmt::Display) -> Self {
        let chain = Link {
            message: message.to_string(),
            cause: Some(Box::new(self.chain)),
        };
        Self { chain, ..self }
    }

    /// Gives the failure a code that programs can tell apart.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Gives the failure an HTTP status, for a workflow that answers a request.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The code, if it has one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The HTTP status, if it has one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The name of the Rust type that the failure was made from.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether no further attempt can mend it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// The messages, from the outermost to the root.
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&self.chain), |link| link.cause.as_deref())
            .map(|link| link.message.as_str())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut links = self.chain();
        // Logs show it like this, and clients' words are in it.
        write!(f, "{}", Shown(links.next().unwrap_or_default()))?;
        links.try_for_each(|cause| write!(f, "\n  caused by: {}", Shown(cause)))
    }
}

// A `Failure` is no `std::error::Error` itself, or the blanket `From` below would overlap with
// `From<T> for T`. It derefs to one instead, as `anyhow::Error` does.
impl Deref for Failure {
    type Target = dyn StdError + Send + Sync + 'static;

    fn deref(&self) -> &Self::Target {
        &self.chain
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        fn link(error: &dyn StdError) -> Link {
            let cause = error.source().map(|cause| Box::new(link(cause)));
            Link {
                message: error.to_string(),
                cause,
            }
        }
        let kind = std::any::type_name::<E>().to_owned();
        Self {
            chain: link(&error),
            kind,
            ..Self::msg("")
        }
    }
}

impl From<Failure> for Box<dyn StdError + Send + Sync> {
    fn from(failure: Failure) -> Self {
        Box::new(failure.chain)
    }
}

impl From<Failure> for Box<dyn StdError> {
    fn from(failure: Failure) -> Self {
        Box::new(failure.chain)
    }
}

/// Returns early with a [`Failure`] made from a format string.
///
/// ```
/// fn check(total: u64) -> stepwell_core::Result<()> {
///     if total > 100 {
///         stepwell_core::bail!("{total} is too much");
///     }
///     Ok(())
/// }
/// assert_eq!(check(101).unwrap_err().to_string(), "101 is too much");
/// ```
#[macro_export]
macro_rules! bail {
    ($($format:tt)*) => {
        return ::core::result::Result::Err($crate::Failure::msg(::std::format!($($format)*)).into())
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_the_same_after_it_was_stored() {
        let failure = Failure::from(std::io::Error::other("no route"))
            .context("could not charge")
            .with_code("GATEWAY")
            .with_status(502)
            .permanent();
        let stored = serde_json::to_string(&failure).unwrap();
        assert_eq!(serde_json::from_str::<Failure>(&stored).unwrap(), failure);
        assert_eq!(failure.kind(), "std::io::error::Error");
        assert_eq!(
            format!("{failure:?}"),
            "could not charge\n  caused by: no route"
        );
    }

    #[test]
    fn a_failure_forges_no_line_of_a_log() {
        let failure = Failure::msg("gone\n2030 INFO admin").context("\x1b[31mred\u{9b}2J");
        let shown = "\\u{1b}[31mred\\u{9b}2J\n  caused by: gone\\n2030 INFO admin";
        assert_eq!(format!("{failure:?}"), shown);
    }
}
