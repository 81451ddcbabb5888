//! Asks before something is done to many.

use std::io::{self, IsTerminal};

use anstream::eprint;

use crate::exit::Problem;

/// Whether the person wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

/// Whether a question is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// `--yes` was given, or it is about one thing that was named.
    None,
    /// Everything was named one by one: whoever is there is asked.
    AskIfThere,
    /// A condition found it, so nobody has seen the list: without somebody to ask, it is refused.
    AskOrRefuse,
}

/// Asks, on a terminal. `question` says what would be done and to how many.
pub(crate) fn confirm(care: Care, question: &str) -> Result<Answer, Problem> {
    let is_there = io::stdin().is_terminal() && io::stderr().is_terminal();
    match (care, is_there) {
        (Care::None, _) | (Care::AskIfThere, false) => Ok(Answer::Yes),
        (Care::AskOrRefuse, false) => Err(Problem::usage(format!(
            "would {question}, and there is no terminal to ask at; nothing was changed"
        ))
        .hint("look first with `--dry-run`, then add `--yes`")),
        (Care::AskIfThere | Care::AskOrRefuse, true) => {
            eprint!("{question}? [y/N] ");
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            Ok(meaning(&line))
        }
    }
}

fn meaning(line: &str) -> Answer {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        _ => Answer::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, expected) in [
            ("y\n", Answer::Yes),
            (" YES \n", Answer::Yes),
            ("\n", Answer::No),
            ("", Answer::No),
            ("n\n", Answer::No),
            ("yeah?\n", Answer::No),
        ] {
            assert_eq!(meaning(line), expected, "{line:?}");
        }
    }
}
