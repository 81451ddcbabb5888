//! The files of one test.

use std::{fs, ops::Deref, process::Command};

use crash_tests::Files;
use tempfile::TempDir;

/// A directory with the files of one test. It stays when the test fails.
pub(crate) struct Place {
    files: Files,
    directory: Option<TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("stepwell-crash-")
            .tempdir()
            .unwrap();
        let files = Files::below(directory.path());
        fs::create_dir(files.disk()).unwrap();
        Self {
            files,
            directory: Some(directory),
        }
    }

    /// A command that runs a victim here.
    pub(crate) fn victim(&self) -> Command {
        let complaints = fs::File::options()
            .create(true)
            .append(true)
            .open(self.complaints());
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command
            .arg(self.directory())
            .env("RUST_LOG", "warn,stepwell_core=info")
            .stderr(complaints.unwrap());
        command
    }

    /// Lets the steps go on that wait at the gate.
    pub(crate) fn open_gate(&self) {
        fs::write(self.gate(), "").unwrap();
    }
}

impl Deref for Place {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            println!("what is left is in {}", directory.keep().display());
        }
    }
}
