//! Where a test's workflows are kept: a new SQLite file, or a new schema of the test server.

use std::{
    io::Write,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

/// A database for one test.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) directory: TempDir,
}

impl Place {
    /// A SQLite file that is not there yet.
    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("shop.db").display());
        Self { url, directory }
    }

    /// A schema that is not there yet; none without a server, which is said aloud.
    pub(crate) fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("STEPWELL_TEST_POSTGRES") else {
            skipped(
                "STEPWELL_TEST_POSTGRES names no database; run `tests/with-postgres cargo test`",
            );
            return None;
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("cli_{}_{number}", std::process::id());
        Some(Self {
            url: format!("{server}?schema={schema}"),
            directory: tempfile::tempdir().unwrap(),
        })
    }

    /// One on each store.
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        [Some(Self::sqlite()), Self::postgres()]
            .into_iter()
            .flatten()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Says that a test does nothing here.
#[allow(
    clippy::explicit_write,
    reason = "the test harness swallows `eprintln!`"
)]
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    writeln!(std::io::stderr(), "\nSKIPPED {test}: {why}\n").unwrap();
}
