//! The table of texts that come in, with the bound of each.
//!
//! It holds at every edge and for every store alike. Postgres keeps no NUL in a text and no index row
//! of more than 2,704 bytes; SQLite would keep both.

use super::{InvalidInput, NAME_BYTES_MAX, NOTE_BYTES_MAX, SCHEDULE_NAME_BYTES_MAX};

/// How long an origin may be: a schedule's is its name and a word.
const ORIGIN_BYTES_MAX: usize = 2 * NAME_BYTES_MAX;
/// How long a fingerprint may be. Those that the engine makes are shorter.
const FINGERPRINT_BYTES_MAX: usize = 4_096;

/// A kind of text that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Text {
    /// The id of a workflow.
    WorkflowId,
    /// What the ids of a list begin with; empty for all.
    IdPrefix,
    /// The name of a workflow's function.
    WorkflowName,
    /// The name of a step, a transaction or a patch; empty where the kind says all.
    OperationName,
    /// Where a workflow comes from.
    Origin,
    /// The name of a queue.
    QueueName,
    /// For whom a workflow goes through its queue; empty for nobody in particular.
    QueueKey,
    /// What makes a start one of a kind.
    UniqueKey,
    /// The name of an attribute.
    AttributeName,
    /// The value of an attribute.
    AttributeValue,
    /// The topic of a message.
    Topic,
    /// What makes a message be sent once.
    MessageKey,
    /// The name of a published value.
    EventName,
    /// The name of a stream.
    StreamName,
    /// The name of a schedule.
    ScheduleName,
    /// A cron expression, or `@every <duration>`.
    ScheduleExpression,
    /// A time zone, by its IANA name.
    TimeZone,
    /// Who pauses something.
    Person,
    /// Why something is paused; may be empty.
    Reason,
    /// What is said of a dead letter that is laid aside.
    Note,
    /// What failures have in common.
    Fingerprint,
    /// The name of an application.
    ApplicationName,
    /// The version of an application.
    Version,
    /// The name of a source of events.
    SourceName,
}

/// What holds for a kind of text.
struct Bound {
    /// What it is called in an error.
    what: &'static str,
    bytes_max: usize,
    empty: Empty,
    controls: Controls,
}

/// Whether a text may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    Allowed,
    Refused,
}

/// Whether a text may hold control characters other than NUL, which none may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controls {
    Allowed,
    Refused,
}

impl Bound {
    /// A text of 1 to 255 bytes without control characters.
    const fn name(what: &'static str) -> Self {
        Self {
            what,
            bytes_max: NAME_BYTES_MAX,
            empty: Empty::Refused,
            controls: Controls::Refused,
        }
    }

    const fn or_empty(self) -> Self {
        Self {
            empty: Empty::Allowed,
            ..self
        }
    }

    const fn up_to(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }

    const fn with_controls(self) -> Self {
        Self {
            controls: Controls::Allowed,
            ..self
        }
    }
}

impl Text {
    /// Every kind there is.
    pub const ALL: [Self; 24] = [
        Self::WorkflowId,
        Self::IdPrefix,
        Self::WorkflowName,
        Self::OperationName,
        Self::Origin,
        Self::QueueName,
        Self::QueueKey,
        Self::UniqueKey,
        Self::AttributeName,
        Self::AttributeValue,
        Self::Topic,
        Self::MessageKey,
        Self::EventName,
        Self::StreamName,
        Self::ScheduleName,
        Self::ScheduleExpression,
        Self::TimeZone,
        Self::Person,
        Self::Reason,
        Self::Note,
        Self::Fingerprint,
        Self::ApplicationName,
        Self::Version,
        Self::SourceName,
    ];

    const fn bound(self) -> Bound {
        match self {
            Self::WorkflowId => Bound::name("workflow id"),
            Self::IdPrefix => Bound::name("beginning of the ids").or_empty(),
            Self::WorkflowName => Bound::name("workflow's name"),
            Self::OperationName => Bound::name("operation's name").or_empty(),
            Self::Origin => Bound::name("origin").up_to(ORIGIN_BYTES_MAX),
            Self::QueueName => Bound::name("queue's name"),
            Self::QueueKey => Bound::name("queue's key").or_empty(),
            Self::UniqueKey => Bound::name("unique key"),
            Self::AttributeName => Bound::name("attribute's name"),
            Self::AttributeValue => Bound::name("attribute's value"),
            Self::Topic => Bound::name("topic"),
            Self::MessageKey => Bound::name("key of the message"),
            Self::EventName => Bound::name("event's name"),
            Self::StreamName => Bound::name("stream's name"),
            Self::ScheduleName => Bound::name("schedule's name").up_to(SCHEDULE_NAME_BYTES_MAX),
            Self::ScheduleExpression => Bound::name("schedule").up_to(NOTE_BYTES_MAX),
            Self::TimeZone => Bound::name("time zone"),
            Self::Person => Bound::name("name of who pauses"),
            Self::Reason => Bound::name("reason").or_empty().up_to(NOTE_BYTES_MAX),
            Self::Note => Bound::name("note").up_to(NOTE_BYTES_MAX),
            // Made of an error's message; older ones hold what that held.
            Self::Fingerprint => Bound::name("fingerprint")
                .up_to(FINGERPRINT_BYTES_MAX)
                .with_controls(),
            Self::ApplicationName => Bound::name("application's name"),
            Self::Version => Bound::name("version"),
            Self::SourceName => Bound::name("source's name"),
        }
    }

    /// How many bytes it may have.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        self.bound().bytes_max
    }

    /// Checks a text of this kind.
    ///
    /// # Errors
    /// Names the text and the rule that it breaks.
    pub fn check(self, text: &str) -> Result<(), InvalidInput> {
        let Bound {
            what,
            bytes_max,
            empty,
            controls,
        } = self.bound();
        if text.is_empty() && empty == Empty::Refused {
            return Err(InvalidInput::new(format!(
                "the {what} is empty; give it at least one character"
            )));
        }
        if text.len() > bytes_max {
            let start: String = text.chars().take(40).collect();
            return Err(InvalidInput::new(format!(
                "the {what} {start:?}… has {} bytes, at most {bytes_max} are allowed; shorten or hash it",
                text.len()
            )));
        }
        let is_refused = |c: char| c == '\0' || (controls == Controls::Refused && c.is_control());
        match text.chars().find(|c| is_refused(*c)) {
            Some(control) => Err(InvalidInput::new(format!(
                "the {what} {text:?} holds the control character {control:?}; remove it"
            ))),
            None => Ok(()),
        }
    }

    /// As much of a text as this kind may have, for what is only shown: control characters become
    /// U+FFFD, and the end is cut off.
    #[must_use]
    pub fn fit(self, text: &str) -> String {
        let Bound {
            bytes_max,
            controls,
            ..
        } = self.bound();
        let mut fit = String::with_capacity(text.len().min(bytes_max));
        for c in text.chars() {
            let is_refused = c == '\0' || (controls == Controls::Refused && c.is_control());
            let c = if is_refused {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            };
            if fit.len() + c.len_utf8() > bytes_max {
                break;
            }
            fit.push(c);
        }
        fit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, reason: &str) {
        let error = Text::QueueName.check(text).unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains("queue's name"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_name_is_refused_with_its_reason() {
        refused("", "is empty");
        refused("a\0b", "control character '\\0'");
        refused("a\nb", "control character '\\n'");
        refused("a\u{9b}b", "control character '\\u{9b}'");
        refused(&"x".repeat(256), "has 256 bytes, at most 255");
        assert!(Text::QueueName.check(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn every_text_has_a_bound_that_every_store_can_keep() {
        for text in Text::ALL {
            let longest = "ñ".repeat(text.bytes_max() / 2);
            assert_eq!(text.check(&longest), Ok(()), "{text:?}");
            assert!(
                text.check(&"x".repeat(text.bytes_max() + 1)).is_err(),
                "{text:?}"
            );
            assert!(text.check("a\0").is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_made_to_fit_fits() {
        for text in Text::ALL {
            for long in ["x", "a\0b\u{1b}[31m\n", &"🦀".repeat(10_000)] {
                assert_eq!(text.check(&text.fit(long)), Ok(()), "{text:?}");
            }
        }
        assert_eq!(Text::Origin.fit("a\nb"), "a\u{fffd}b");
    }
}
