//! The directory of a server, and what is remembered in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use etcetera::{BaseStrategy, choose_base_strategy};
use nix::unistd::geteuid;
use rand::{Rng, distr::Alphanumeric};
use serde::{Deserialize, Serialize};

use super::Engine;
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
            fs::create_dir_all(&self.0)?;
            let file = private(&self.0.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error: io::Error| self.failed("use", &error))
    }

    /// What is remembered; nothing before the first start.
    pub(super) fn read(&self) -> Result<Option<Settings>, Problem> {
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
            let mut file = private(&new)?;
            file.set_len(0)?;
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

/// Opens a file that only this user reads, and makes it when it is missing.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
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
    fn settings_that_make_no_sense_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        fs::write(home.settings(), "{}").unwrap();
        assert_eq!(home.read().unwrap_err().exit(), Exit::Failure);
    }
}
