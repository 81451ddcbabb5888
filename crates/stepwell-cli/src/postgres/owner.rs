//! Who runs the server: it refuses to be root.

use std::{
    fs::File,
    io,
    os::unix::{fs::fchown, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::{Gid, Uid, User, geteuid};

use crate::exit::Problem;

/// The user that root hands the server to; the packages of Postgres make it.
const USER: &str = "postgres";

/// Who runs the server and owns its files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// Whoever runs this command.
    Caller,
    /// The user of the packages, because the caller is root.
    Other(Uid, Gid),
}

impl Owner {
    /// Finds out who it is.
    pub(super) fn find() -> Result<Self, Problem> {
        if !geteuid().is_root() {
            return Ok(Self::Caller);
        }
        match User::from_name(USER) {
            Ok(Some(user)) => Ok(Self::Other(user.uid, user.gid)),
            _ => Err(Problem::failure(format!(
                "Postgres does not run as root, and there is no user `{USER}` to run it"
            ))
            .hint(format!(
                "make one with `useradd --system {USER}`, or run this as another user"
            ))),
        }
    }

    /// A program that this user runs.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The user may not see the directory that we come from.
        command.current_dir("/").stdin(Stdio::null());
        if let Self::Other(user, group) = self {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        command
    }

    /// Gives an open file or directory to this user: what was opened, whatever its path leads to by now.
    pub(super) fn give(self, file: &File) -> io::Result<()> {
        match self {
            Self::Caller => Ok(()),
            Self::Other(user, group) => fchown(file, Some(user.as_raw()), Some(group.as_raw())),
        }
    }

    /// Whether this user can enter a directory and write into it.
    pub(super) fn can_write(self, directory: &Path) -> bool {
        let mut test = self.command(Path::new("test"));
        let tested = test.arg("-w").arg(directory).status();
        tested.is_ok_and(|status| status.success())
    }
}
