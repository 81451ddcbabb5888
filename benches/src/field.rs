//! Who is measured: Stepwell, and with `--peers` the libraries beside it.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::{contestant::Contestant, driver::Error, kafka, postgres::Postgres};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// A library on a kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Stepwell(Place),
    Dbos,
    Durare(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite,
    Postgres,
}

/// Everyone who is measured, and where their databases are.
pub(crate) struct Field<'a> {
    directory: &'a Path,
    postgres: Option<Postgres>,
    databases: AtomicUsize,
}

impl Entry {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stepwell(Place::Sqlite) => "Stepwell on SQLite",
            Self::Stepwell(Place::Postgres) => "Stepwell on Postgres",
            Self::Dbos => "dbos on Postgres",
            Self::Durare(Place::Sqlite) => "durare on SQLite, synchronous = NORMAL",
            Self::Durare(Place::Postgres) => "durare on Postgres",
        }
    }

    /// Which of our own it stands beside: the one on the same kind of database.
    pub(crate) fn beside(self) -> Self {
        Self::Stepwell(self.place())
    }

    pub(crate) fn place(self) -> Place {
        match self {
            Self::Dbos => Place::Postgres,
            Self::Stepwell(place) | Self::Durare(place) => place,
        }
    }
}

impl<'a> Field<'a> {
    /// Only Stepwell.
    pub(crate) fn alone(directory: &'a Path) -> Self {
        Self {
            directory,
            postgres: None,
            databases: AtomicUsize::new(0),
        }
    }

    /// Stepwell and the peers: builds their program and starts a Postgres.
    pub(crate) fn with_peers(directory: &'a Path) -> Result<Self, Error> {
        // First what may be missing, then what takes minutes.
        let postgres = Postgres::start(directory)?;
        build_peers()?;
        Ok(Self {
            postgres: Some(postgres),
            ..Self::alone(directory)
        })
    }

    /// Only Stepwell, also on Postgres.
    pub(crate) fn on_both(directory: &'a Path) -> Result<Self, Error> {
        Ok(Self {
            postgres: Some(Postgres::start(directory)?),
            ..Self::alone(directory)
        })
    }

    /// Libraries on a Postgres that counts what it does, if one can be started here.
    pub(crate) fn counting(directory: &'a Path) -> Result<Self, Error> {
        Ok(Self {
            postgres: Postgres::counting(directory)?,
            ..Self::alone(directory)
        })
    }

    pub(crate) fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// Our own first, then the peers.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::Stepwell(Place::Sqlite)];
        if self.postgres.is_some() {
            entries.push(Entry::Stepwell(Place::Postgres));
            entries.push(Entry::Durare(Place::Sqlite));
            entries.push(Entry::Dbos);
            entries.push(Entry::Durare(Place::Postgres));
        }
        entries
    }

    /// Starts a process with an empty database of its own.
    pub(crate) fn start(&self, entry: Entry) -> Result<Contestant, Error> {
        let database = self.database(entry)?;
        let mut command = match entry {
            Entry::Stepwell(_) => {
                let mut command = Command::new(env::current_exe()?);
                command.arg("--serve");
                command
            }
            Entry::Dbos => peer("dbos"),
            Entry::Durare(_) => peer("durare"),
        };
        Contestant::start(entry.name(), command.arg(database))
    }

    /// Starts two of our own processes with one empty database.
    pub(crate) fn start_together(&self, place: Place) -> Result<[Contestant; 2], Error> {
        let database = self.database(Entry::Stepwell(place))?;
        Ok([alone(place, &database)?, alone(place, &database)?])
    }

    /// Starts one of our own processes with an empty database.
    pub(crate) fn start_one(&self, place: Place) -> Result<Contestant, Error> {
        alone(place, &self.database(Entry::Stepwell(place))?)
    }

    /// Starts a consumer of Kafka with empty databases.
    pub(crate) fn start_consumer(&self, place: Place) -> Result<Contestant, Error> {
        let entry = Entry::Stepwell(place);
        let (workflows, users) = (self.database(entry)?, self.users(place)?);
        Contestant::start(entry.name(), &mut kafka::command(&workflows, &users)?)
    }

    /// A database of a user's own.
    fn users(&self, place: Place) -> Result<String, Error> {
        let number = self.databases.fetch_add(1, Ordering::SeqCst);
        match (place, &self.postgres) {
            (Place::Sqlite, _) => {
                let file = self.directory.join(format!("{number}.db"));
                Ok(format!("sqlite:{}", file.display()))
            }
            // Its workflows have a schema of their own.
            (Place::Postgres, Some(postgres)) => Ok(postgres.database("postgres")),
            (Place::Postgres, None) => Err("there is no Postgres".into()),
        }
    }

    fn database(&self, entry: Entry) -> Result<String, Error> {
        let number = self.databases.fetch_add(1, Ordering::SeqCst);
        match (entry.place(), &self.postgres) {
            (Place::Sqlite, _) => {
                let file = self.directory.join(format!("{number}.db"));
                Ok(format!("sqlite:{}", file.display()))
            }
            // A schema of its own; the peers make databases.
            (Place::Postgres, Some(postgres)) if matches!(entry, Entry::Stepwell(_)) => {
                let database = postgres.database("postgres");
                Ok(format!("{database}?schema=stepwell_bench_{number}"))
            }
            (Place::Postgres, Some(postgres)) => {
                Ok(postgres.database(&format!("stepwell_bench_{number}")))
            }
            (Place::Postgres, None) => Err("there is no Postgres".into()),
        }
    }

    /// The CPU time of the database's own processes, if it has any that can be seen.
    pub(crate) fn server_cpu(&self, entry: Entry) -> Option<Duration> {
        match entry.place() {
            Place::Sqlite => None,
            Place::Postgres => self.postgres.as_ref()?.cpu(),
        }
    }
}

/// A process that takes the commands of `alone.rs`.
fn alone(place: Place, database: &str) -> Result<Contestant, Error> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--serve-alone", database]);
    Contestant::start(Entry::Stepwell(place).name(), &mut command)
}

fn peer(library: &str) -> Command {
    let mut command = Command::new(Path::new(HERE).join("peers/target/release/peers"));
    command.arg(library);
    command
}

fn build_peers() -> Result<(), Error> {
    let manifest = Path::new(HERE).join("peers/Cargo.toml");
    let target = Path::new(HERE).join("peers/target");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` says about this package would have the peers' dependencies built again.
    for (name, _) in env::vars_os() {
        let name_is_ours =
            |text: &str| text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(name_is_ours) {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .status()?;
    if !built.success() {
        return Err("the peers' program could not be built".into());
    }
    Ok(())
}
