//! What the crash tests and the processes that they kill have in common: where the files are, what
//! a line of the log says, and what the workflows of a fleet are called and hand over.
//!
//! # Layout
//! - [`Files`]: the files of one test on SQLite
//! - [`log`]: the lines that workflows leave of what they really did
//! - [`load`]: the workflows of a fleet, as both sides know them
//! - [`power`]: a disk whose power can be cut
//! - [`proxy`]: connections that are cut at any byte, or fall silent
//! - `src/bin/victim`: the process that is killed, on SQLite
//! - `src/bin/fleet`: one executor of a fleet on Postgres
//! - `tests/it`: the tests on SQLite, a file for each kind of trouble
//! - `tests/fleet`: the tests on Postgres

pub mod load;
pub mod log;
pub mod power;
pub mod proxy;

use std::path::{Path, PathBuf};

/// The crash points of the engine, in the order in which an operation comes to them.
pub const POINTS: [&str; 5] = [
    "transaction::before_begin",
    "transaction::before_commit",
    "transaction::after_commit",
    "journal::before_commit",
    "journal::after_commit",
];

/// The files of one test, all below one directory.
#[derive(Debug, Clone)]
pub struct Files(PathBuf);

impl Files {
    /// The files below a directory that exists.
    #[must_use]
    pub fn below(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The directory of the database that keeps the workflows. A test may put a small disk there.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.0.join("disk")
    }

    /// The database that keeps the workflows.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.disk().join("stepwell.db")
    }

    /// The shop's database.
    #[must_use]
    pub fn shop(&self) -> PathBuf {
        self.0.join("shop.db")
    }

    /// The log of what the workflows really did.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("steps.log")
    }

    /// A file for which steps wait: it says that they may go on.
    #[must_use]
    pub fn gate(&self) -> PathBuf {
        self.0.join("gate")
    }

    /// What the victims have to say beside their answers.
    #[must_use]
    pub fn complaints(&self) -> PathBuf {
        self.0.join("victims.log")
    }
}
