//! What was stored must not steer the terminal that shows it.

use std::{borrow::Cow, fmt::Write};

/// Whether a character does something to a terminal, or to the order in which letters are shown.
fn steers(c: char) -> bool {
    c.is_control() || reorders(c)
}

/// Marks of direction and separators of lines: they let a text look like another one.
fn reorders(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// A text that people read: control characters become spaces, and what would change its order is
/// shown as U+FFFD.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        _ if reorders(c) => char::REPLACEMENT_CHARACTER,
        _ if c.is_control() => ' ',
        _ => c,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// JSON that says the same, with everything escaped that steers a terminal. Between its parts JSON has
/// nothing of the kind but line breaks.
pub(crate) fn escaped(json: String) -> String {
    let is_escaped = |c: char| steers(c) && c != '\n';
    if !json.contains(is_escaped) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match is_escaped(c) {
            // All of them are in the first plane: one escape each.
            true => drop(write!(escaped, "\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_not_shown() {
        assert_eq!(
            clean("a\u{1b}]0;pwned\u{7}b\u{9b}31mc\n\u{202e}gnp.1-redro\u{2069}"),
            "a ]0;pwned b 31mc \u{fffd}gnp.1-redro\u{fffd}"
        );
        assert!(matches!(clean("größer 数 🦀"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_says_the_same_without_steering() {
        let value = serde_json::json!({"a\u{9b}": ["\u{202e}x", "\u{7f}", "\n", "größer"]});
        let plain = serde_json::to_string_pretty(&value).expect("JSON");
        let escaped = escaped(plain);
        assert!(
            !escaped.contains(|c: char| steers(c) && c != '\n'),
            "{escaped:?}"
        );
        assert!(
            escaped.contains("größer") && escaped.contains("\\u202e"),
            "{escaped}"
        );
        let read: serde_json::Value = serde_json::from_str(&escaped).expect("JSON");
        assert_eq!(read, value);
    }
}
