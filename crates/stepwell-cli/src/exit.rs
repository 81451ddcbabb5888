//! How a command ends: its exit code, and the words when it did not work.

use std::{error::Error as StdError, io, process::ExitCode};

use anstream::eprintln;
use stepwell_core::{Error, ErrorKind, InvalidInput};

use crate::terminal::clean;

/// How a command ended. The numbers are documented and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Failed.
    Failure,
    /// The command line or a value in it is wrong; nothing was tried.
    Usage,
    /// What was asked for is not there.
    NotFound,
    /// Done for some, failed for others.
    Partial,
    /// The database cannot be reached.
    Unreachable,
    /// As the program ended that was run.
    OfProgram(u8),
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 4,
            Self::Partial => 5,
            Self::Unreachable => 6,
            Self::OfProgram(code) => code,
        }
    }

    /// How a command ends that failed with an error of the engine.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unavailable => Self::Unreachable,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not work: what was tried, what came of it, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    exit: Exit,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something failed.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the causes that the message does not name.
    pub(crate) fn because(mut self, error: &dyn StdError) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let said = error.to_string();
            // Many errors repeat their cause in their own message.
            let is_known = |known: &String| known.contains(&said) || said.contains(known);
            if !self.message.contains(&said) && !self.causes.iter().any(is_known) {
                self.causes.push(said);
            }
            cause = error.source();
        }
        self
    }

    /// Ends the command in another way than its kind says.
    pub(crate) fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Says it on standard error, with colour where the terminal wants it.
    pub(crate) fn print(&self) {
        // An error may quote what is stored in a database, or what it says.
        eprintln!("\x1b[1;31merror\x1b[0m: {}", clean(&self.message));
        for cause in &self.causes {
            eprintln!("  caused by: {}", clean(cause));
        }
        if let Some(hint) = &self.hint {
            eprintln!("\x1b[1;36mhint\x1b[0m: {}", clean(hint));
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (exit, message) = (Exit::of(error.kind()), error.to_string());
        let problem = Self::new(exit, message);
        match error.source() {
            Some(cause) => problem.because(cause),
            None => problem,
        }
    }
}

impl From<InvalidInput> for Problem {
    fn from(error: InvalidInput) -> Self {
        Self::usage(error.to_string())
    }
}

/// Standard output or input failed.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::failure("could not print or read").because(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let inner = io::Error::other("the disk is full");
        let outer = io::Error::other(inner);
        let problem = Problem::failure("could not write: the disk is full").because(&outer);
        assert!(problem.causes.is_empty(), "{:?}", problem.causes);
        let problem = Problem::failure("could not write").because(&outer);
        assert_eq!(problem.causes, ["the disk is full"]);
    }
}
