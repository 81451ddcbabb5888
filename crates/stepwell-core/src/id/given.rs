//! The ids that callers choose for new work.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{MARK, WorkflowId};
use crate::limits::InvalidInput;

/// The id that a call is given: a text that the caller chooses, or an id that Stepwell has made, such as
/// an event's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallId(Choice);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// To be checked when the call is handed in.
    Given(String),
    Made(WorkflowId),
}

impl CallId {
    /// Takes an id that was made by [`made`](super::made). For integrations: a caller's own text comes
    /// by `From`.
    #[doc(hidden)]
    #[must_use]
    pub fn made(id: WorkflowId) -> Self {
        Self(Choice::Made(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Choice::Given(text) => text,
            Choice::Made(id) => id.as_str(),
        }
    }

    /// The id, if it may be one of new work.
    pub(crate) fn checked(self) -> Result<WorkflowId, InvalidInput> {
        match self.0 {
            Choice::Given(text) => WorkflowId::given(text),
            Choice::Made(id) => Ok(id),
        }
    }
}

impl<T: Into<String>> From<T> for CallId {
    fn from(text: T) -> Self {
        Self(Choice::Given(text.into()))
    }
}

/// Checks that an id may be chosen by a caller for new work.
///
/// # Errors
/// Names the id and the rule that it breaks.
pub(crate) fn check_given(id: &WorkflowId) -> Result<(), InvalidInput> {
    let id = id.as_str();
    if id.contains(MARK) {
        return Err(InvalidInput::new(format!(
            "the workflow id `{}` holds a `{MARK}`, which only ids hold that Stepwell makes (of children, \
             ticks, events, keys, second tries); choose one without it",
            shown(id)
        )));
    }
    if id == "-" {
        return Err(InvalidInput::new(
            "the workflow id `-` is what the command line takes for ids on standard input; choose \
             another one",
        ));
    }
    match flaw(id) {
        None => Ok(()),
        Some(Flaw::BlankAtItsEdge) => Err(InvalidInput::new(format!(
            "the workflow id `{}` begins or ends with a blank, which nobody sees; remove it",
            shown(id)
        ))),
        Some(Flaw::Unseen(unseen)) => Err(InvalidInput::new(format!(
            "the workflow id `{}` holds U+{:04X}, which is invisible or turns the direction of text: \
             two ids could look alike; remove it",
            shown(id),
            u32::from(unseen)
        ))),
    }
}

/// The text with every character in sight.
fn shown(text: &str) -> String {
    let shown = |c: char| match is_unseen(c) {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Why a person could take one text for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    BlankAtItsEdge,
    Unseen(char),
}

pub(super) fn flaw(text: &str) -> Option<Flaw> {
    if let Some(unseen) = text.chars().find(|c| is_unseen(*c)) {
        return Some(Flaw::Unseen(unseen));
    }
    (text.trim() != text).then_some(Flaw::BlankAtItsEdge)
}

/// Whether a character shows nothing, moves others, or is a blank that is no space.
fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let shows_nothing = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
    );
    // Letters and marks that Unicode has for fillers and variants: they are drawn as nothing.
    let fills = matches!(
        c,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    shows_nothing || fills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(id: &str, says: &str) {
        let error = WorkflowId::given(id).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains(is_unseen), "{error:?}");
    }

    #[test]
    fn what_callers_choose_is_what_people_see() {
        for id in [
            "order-1",
            "a b",
            "nightly@2026-01-01T00:00:00Z",
            "é",
            "e\u{301}",
            "注文-7",
            "🦀",
            "--",
        ] {
            assert_eq!(WorkflowId::given(id).map(String::from), Ok(id.to_owned()));
        }
    }

    #[test]
    fn what_callers_may_not_choose_is_refused_with_the_rule() {
        refused("order-1~2", "`order-1~2` holds a `~`");
        refused("-", "standard input");
        for blank in [" a", "a ", "\u{3000}a"] {
            assert!(WorkflowId::given(blank).is_err());
        }
        refused(" a", "begins or ends with a blank");
        for unseen in [
            "a\u{a0}",
            "a\u{200b}b",
            "\u{202e}a",
            "a\u{2066}",
            "\u{feff}a",
            "a\u{2028}b",
            "a\u{fe0f}",
            "a\u{3164}",
            "a\u{e0020}",
            "a\u{ad}b",
        ] {
            refused(unseen, "is invisible or turns");
        }
        refused("a\u{202e}b", "holds U+202E");
        refused("", "is empty");
        refused(&"x".repeat(256), "256 bytes");
    }

    #[test]
    fn what_is_there_already_can_be_looked_for() {
        for id in ["order-1~2", "-", "a ", "a\u{200b}"] {
            assert!(WorkflowId::new(id).is_ok(), "{id}");
        }
    }
}
