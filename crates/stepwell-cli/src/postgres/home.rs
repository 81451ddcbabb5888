//! The directory of a server, and what is remembered in it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use etcetera::{BaseStrategy, choose_base_strategy};
use nix::{fcntl::OFlag, unistd::geteuid};
use rand::{Rng, distr::Alphanumeric};
use serde::{Deserialize, Serialize};

use super::{Engine, trust};
use crate::exit::{Exit, Problem};

/// The directory of a server.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

/// What is remembered of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) engine: Engine,
    pub(super) port: u16,
    pub(super) password: String,
}

impl Settings {
    /// What belongs into `DATABASE_URL`.
    pub(super) fn url(&self) -> String {
        let Self { port, password, .. } = self;
        format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres")
    }
}

impl Home {
    /// The directory that was named, or the user's own.
    pub(super) fn at(given: Option<PathBuf>) -> Result<Self, Problem> {
        let directory = match given {
            Some(directory) => std::path::absolute(&directory).map_err(|error| {
                let shown = directory.display();
                Problem::usage(format!("`{shown}` is no directory")).because(&error)
            })?,
            // The server runs as another user then, who must not need a way into root's own
            // directory.
            None if geteuid().is_root() => PathBuf::from("/var/lib/stepwell/postgres"),
            None => choose_base_strategy()
                .map(|base| base.data_dir().join("stepwell/postgres"))
                .map_err(|error| {
                    Problem::failure("this user has no home directory")
                        .because(&error)
                        .hint("name a directory with `--dir`")
                })?,
        };
        Ok(Self(directory))
    }

    /// What a person calls it.
    pub(super) fn shown(&self) -> String {
        self.0.display().to_string()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    fn settings(&self) -> PathBuf {
        self.0.join("settings.json")
    }

    /// Makes the directory and waits until nobody else changes what is in it. The lock goes with
    /// the file, or with the process.
    pub(super) fn lock(&self) -> Result<File, Problem> {
        let lock = || {
            make_directory(&self.0)?;
            trust::check(&self.0)?;
            let file = private(&self.0.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error: io::Error| self.failed("use", &error))
    }

    /// Reads what is remembered; nothing before the first start. What another user may have written is
    /// not read: it names the server that is spoken to.
    pub(super) fn read(&self) -> Result<Option<Settings>, Problem> {
        if self.0.exists() {
            let trusted = trust::check(&self.0);
            trusted.map_err(|error| self.failed("use", &error))?;
        }
        let text = match fs::read_to_string(self.settings()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read the settings in", &error)),
        };
        let settings = serde_json::from_str(&text);
        settings.map(Some).map_err(|error| {
            self.failed("read the settings in", &error)
                .hint("remove the directory if its data is not needed, and start again")
        })
    }

    /// What is remembered of a server that must have been made.
    pub(super) fn existing(&self) -> Result<Settings, Problem> {
        self.read()?.ok_or_else(|| {
            let message = format!("there is no server in `{}`", self.shown());
            Problem::new(Exit::NotFound, message).hint("make one with `stepwell postgres start`")
        })
    }

    /// Remembers a new server, before anything of it is made: what is made later has this password,
    /// whatever happens in between.
    pub(super) fn make(&self, engine: Engine) -> Result<Settings, Problem> {
        let settings = Settings {
            engine,
            port: free_port()?,
            password: password(),
        };
        self.write(&settings)?;
        Ok(settings)
    }

    /// Remembers it, whole or not at all.
    pub(super) fn write(&self, settings: &Settings) -> Result<(), Problem> {
        let new = self.0.join("settings.json.new");
        let write = || {
            let mut file = new_private(&new)?;
            file.write_all(serde_json::to_string_pretty(settings)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, self.settings())
        };
        write().map_err(|error: io::Error| self.failed("write the settings in", &error))
    }

    pub(super) fn failed(&self, what: &str, error: &dyn std::error::Error) -> Problem {
        Problem::failure(format!("could not {what} `{}`", self.shown())).because(error)
    }
}

/// Makes a directory that only this user writes to, whatever the umask says, and those above it.
fn make_directory(path: &Path) -> io::Result<()> {
    // The server's user may be another one, who must be able to enter.
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Opens a file that only this user reads, and makes it when it is missing. A link is not followed.
pub(super) fn private(path: &Path) -> io::Result<File> {
    private_options().create(true).truncate(false).open(path)
}

/// Makes a file that only this user reads. What was left of an earlier one is removed: its owner and
/// its mode may be others.
pub(super) fn new_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => private_options().create_new(true).open(path),
    }
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits());
    options
}

/// A port that nobody has now.
pub(super) fn free_port() -> Result<u16, Problem> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener.and_then(|it| Ok(it.local_addr()?.port()));
    port.map_err(|error| Problem::failure("no port is free on 127.0.0.1").because(&error))
}

/// Whether somebody has the port now.
pub(super) fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}

/// 143 bits that need no quotes in a URL or a shell.
fn password() -> String {
    let letters = rand::rng().sample_iter(Alphanumeric).take(24);
    letters.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_only_their_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        assert_eq!(home.read().unwrap(), None);
        let made = home.make(Engine::System).unwrap();
        assert_eq!(home.read().unwrap(), Some(made.clone()));
        let mode = fs::metadata(home.settings()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        home.write(&Settings {
            port: 1,
            ..made.clone()
        })
        .unwrap();
        assert_eq!(home.read().unwrap().unwrap().port, 1);
        assert_ne!(made.password, password());
    }

    #[test]
    fn files_that_others_have_prepared_are_not_written_to() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        let precious = directory.path().join("precious");
        fs::write(&precious, "precious").unwrap();

        symlink(&precious, home.log()).unwrap();
        private(&home.log()).expect_err("a link was followed");

        let new = directory.path().join("settings.json.new");
        fs::write(&new, "").unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o666)).unwrap();
        home.make(Engine::System).unwrap();
        let mode = fs::metadata(home.settings()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        symlink(&precious, &new).unwrap();
        home.make(Engine::System).unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        home.make(Engine::System).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(home.read().is_err());
        assert!(home.lock().is_err());
    }

    #[test]
    fn settings_that_make_no_sense_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        fs::write(home.settings(), "{}").unwrap();
        assert_eq!(home.read().unwrap_err().exit(), Exit::Failure);
    }
}
