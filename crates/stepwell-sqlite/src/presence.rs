//! Whether the database's file is still the one that was opened.
//!
//! A file that is deleted or replaced while it is open can be written and read as before; all of it
//! is gone when the last process closes it. So nothing is acknowledged that went there.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use crate::error::Failure;

/// A file, and which of all that had its name.
#[derive(Debug)]
pub(crate) struct Presence {
    path: PathBuf,
    opened: Option<Identity>,
}

/// What tells a file from another one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Presence {
    /// The file as it is now, right after it was opened.
    pub(crate) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: fs::metadata(path).ok().as_ref().and_then(identity),
        }
    }

    /// Fails if the file has gone, or another one has its name.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.opened => Ok(()),
            Ok(_) => Err(Failure::Gone("replaced")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Gone("deleted")),
            // A disk that does not answer is no file that is gone.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(of: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;

    Some(Identity(of.dev(), of.ino()))
}

/// Elsewhere an open file cannot be deleted.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<Identity> {
    None
}
