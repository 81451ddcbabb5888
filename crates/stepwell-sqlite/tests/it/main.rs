//! The tests of the SQLite store: its own, and the suite that every store passes.

#![allow(missing_docs, reason = "tests are sentences")]
#![allow(clippy::unwrap_used, reason = "also in what tests share")]

mod backend;

mod file {
    use crate::backend::File;

    stepwell_conformance::conformance!(File::new());
}

mod memory {
    use crate::backend::Memory;

    stepwell_conformance::conformance!(Memory::new());
}

mod address;
mod existing;
mod lock;
mod migrations;
mod oracle;
mod processes;
#[cfg(unix)]
mod rights;
mod tx;
