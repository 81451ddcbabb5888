//! Text of others (a client, a provider, a database) where people read it.

use std::fmt::{self, Write as _};

/// Text without what would forge a line of a log, or steer a terminal: control characters, line
/// separators and marks that turn the direction are written as escapes.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| deceives(*c)) {
            f.write_str(&rest[..at])?;
            c.escape_default().try_for_each(|c| f.write_char(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forges_a_line_or_steers_a_terminal_is_escaped() {
        let text = "gone\n2030 INFO auth\r\x1b[31m\u{9b}2J\u{202e}\u{2028}é\\n";
        let shown = "gone\\n2030 INFO auth\\r\\u{1b}[31m\\u{9b}2J\\u{202e}\\u{2028}é\\n";
        assert_eq!(Shown(text).to_string(), shown);
        assert_eq!(Shown(shown).to_string(), shown, "once is enough");
    }
}
