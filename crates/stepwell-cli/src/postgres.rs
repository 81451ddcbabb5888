//! `stepwell postgres`: a Postgres for development on this machine.
//!
//! It listens on 127.0.0.1 alone, on a port that it keeps, and asks for a password that was made for
//! it: on a machine with several users, or with a browser, loopback alone keeps nobody out.
//!
//! # Layout
//! - `home`: the directory, and what is remembered in it
//! - `system`: the server from this system's programs; `programs` finds them, `owner` is who runs it
//! - `trust`: whether a directory may be trusted
//! - `container`: the server from Docker or Podman

mod container;
mod home;
mod owner;
mod programs;
mod system;
mod trust;

use std::path::PathBuf;

use anstream::eprintln;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use self::home::{Home, Settings};
use crate::{
    exit::{Exit, Problem},
    output::{Output, Shown},
    table::{Cell, Tone},
};

/// What to do with the server: `export DATABASE_URL=$(stepwell postgres start)`.
#[derive(Debug, Args)]
pub(crate) struct Postgres {
    /// Where its files are; in the user's data directory unless it is said (for root:
    /// /var/lib/stepwell/postgres)
    #[arg(long, global = true, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server, and make it the first time; print its URL. Once more it does nothing else
    Start {
        /// What runs it, the first time; found out unless it is said
        #[arg(long, value_enum)]
        with: Option<Engine>,
    },
    /// Stop the server; its data stays
    Stop,
    /// Show the server. Exit code 0 if it runs, 6 if it is stopped, 4 if there is none
    Status,
    /// Print what belongs into DATABASE_URL
    Url,
    /// Open a shell on the server
    Psql {
        /// Arguments for `psql`: `stepwell postgres psql -- -c 'select 1'`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

/// What runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    /// The programs of this system
    System,
    /// A container of Docker
    Docker,
    /// A container of Podman
    Podman,
}

impl Engine {
    fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// Whether the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Running {
    Running,
    Stopped,
}

/// The server as it is shown.
#[derive(Debug, Serialize)]
struct Server {
    state: Running,
    url: String,
    port: u16,
    engine: Engine,
    directory: String,
}

impl Shown for Server {
    const COLUMNS: &'static [&'static str] = &["STATE", "PORT", "ENGINE", "DIRECTORY"];

    fn id(&self) -> &str {
        &self.url
    }

    /// Without the URL, for it has the password in it.
    fn cells(&self) -> Vec<Cell> {
        let state = match self.state {
            Running::Running => Cell::new("running").toned(Tone::Good),
            Running::Stopped => Cell::new("stopped").toned(Tone::Bad),
        };
        let (port, engine) = (Cell::number(self.port), Cell::new(self.engine.as_str()));
        vec![state, port, engine, Cell::new(&self.directory)]
    }
}

/// Runs a command.
pub(crate) fn run(command: &Postgres, output: Output) -> Result<Exit, Problem> {
    let home = Home::at(command.dir.clone())?;
    match &command.command {
        Command::Start { with } => start(&home, *with, output),
        Command::Stop => stop(&home),
        Command::Status => {
            let settings = home.existing()?;
            let server = shown(&home, &settings)?;
            output.one(&server)?;
            Ok(match server.state {
                Running::Running => Exit::Ok,
                Running::Stopped => Exit::Unreachable,
            })
        }
        Command::Url => {
            let settings = home.existing()?;
            let server = shown(&home, &settings)?;
            if server.state == Running::Stopped {
                eprintln!("the server is stopped; `stepwell postgres start` starts it");
            }
            output.line(&server.url, &server)
        }
        Command::Psql { arguments } => psql(&home, arguments),
    }
}

/// Two that start it at once: the second one waits for the first, and finds it running.
fn start(home: &Home, with: Option<Engine>, output: Output) -> Result<Exit, Problem> {
    let _alone = home.lock()?;
    let mut settings = match home.read()? {
        Some(settings) if home.data().exists() => settings,
        // Nothing came of an earlier start: it binds this one to nothing.
        _ => home.make(choose(with)?)?,
    };
    if with.is_some_and(|engine| engine != settings.engine) {
        let made = settings.engine.as_str();
        return Err(Problem::usage(format!(
            "the server in `{}` was made with `{made}`",
            home.shown()
        ))
        .hint("leave `--with` away, or give it another directory with `--dir`"));
    }
    match state(home, &settings)? {
        Running::Running => eprintln!("the server runs already"),
        Running::Stopped => {
            match settings.engine {
                Engine::System => system::start(home, &mut settings)?,
                Engine::Docker | Engine::Podman => container::start(home, &mut settings)?,
            }
            eprintln!(
                "started Postgres in `{}`, port {}",
                home.shown(),
                settings.port
            );
        }
    }
    let server = shown(home, &settings)?;
    output.line(&server.url, &server)
}

fn stop(home: &Home) -> Result<Exit, Problem> {
    let settings = home.existing()?;
    let _alone = home.lock()?;
    if state(home, &settings)? == Running::Stopped {
        eprintln!("the server is stopped already");
        return Ok(Exit::Ok);
    }
    match settings.engine {
        Engine::System => system::stop(home)?,
        Engine::Docker | Engine::Podman => container::stop(home, &settings)?,
    }
    eprintln!(
        "stopped Postgres in `{}`; its data stays there",
        home.shown()
    );
    Ok(Exit::Ok)
}

/// Returns only if it did not work: otherwise this process is `psql` from then on.
fn psql(home: &Home, arguments: &[String]) -> Result<Exit, Problem> {
    let settings = home.existing()?;
    if state(home, &settings)? == Running::Stopped {
        return Err(Problem::new(Exit::Unreachable, "the server is stopped")
            .hint("start it with `stepwell postgres start`"));
    }
    let mut command = match settings.engine {
        Engine::System => system::psql(&settings)?,
        Engine::Docker | Engine::Podman => container::psql(home, &settings),
    };
    let error = std::os::unix::process::CommandExt::exec(command.args(arguments));
    Err(Problem::failure("could not run `psql`").because(&error))
}

/// What runs a new server: what was asked for, if it is there; otherwise the system's programs, or
/// else a container.
fn choose(with: Option<Engine>) -> Result<Engine, Problem> {
    let engines = [Engine::System, Engine::Docker, Engine::Podman];
    let is_here = |engine: &Engine| match engine {
        Engine::System => programs::newest().is_some(),
        Engine::Docker | Engine::Podman => container::answers(*engine),
    };
    let asked = engines
        .into_iter()
        .filter(|engine| with.is_none_or(|it| it == *engine));
    asked.into_iter().find(is_here).ok_or_else(|| {
        Problem::failure(match with {
            Some(Engine::System) => "this system has no Postgres server",
            Some(Engine::Docker) => "Docker does not answer",
            Some(Engine::Podman) => "Podman does not answer",
            None => "this system has no Postgres server, and neither Docker nor Podman answers",
        })
        .hint(
            "install Postgres (Debian: `apt-get install postgresql`, Homebrew: `brew install \
             postgresql`), or start Docker or Podman",
        )
    })
}

fn state(home: &Home, settings: &Settings) -> Result<Running, Problem> {
    match settings.engine {
        Engine::System => system::state(home),
        Engine::Docker | Engine::Podman => Ok(container::state(home, settings)),
    }
}

fn shown(home: &Home, settings: &Settings) -> Result<Server, Problem> {
    Ok(Server {
        state: state(home, settings)?,
        url: settings.url(),
        port: settings.port,
        engine: settings.engine,
        directory: home.shown(),
    })
}
