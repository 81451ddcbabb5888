//! `stepwell dev`: builds a program, runs it, and does so again whenever its source changes or it
//! crashes.
//!
//! With `--port` the listening socket is ours. It outlives every process of the program, so a client
//! that connects in between waits instead of being refused.
//!
//! # Layout
//! - `build`: Cargo, and which program came of it
//! - `sources`: which files are the program's source
//! - `watch`: hears of their changes
//! - `socket`: the listening socket, and how a process gets it

mod build;
mod socket;
mod sources;
mod watch;

use std::time::Duration;

use anstream::eprintln;
use clap::Args;
use tokio::process::Command;

use self::{
    build::{Build, Built},
    socket::Socket,
    watch::Changes,
};
use crate::{
    exit::{Exit, Problem},
    program::{End, Program, Signals},
    restarts::{Next, Restarts},
};

/// How long a program may drain before its successor starts.
const DRAIN: Duration = Duration::from_secs(10);

/// How many deaths at once there may be before the next change is waited for.
const DEATHS_MAX: u32 = 5;

/// What to build and how to run it.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The program, where the package has several
    #[arg(long)]
    bin: Option<String>,
    /// The package, where the workspace has several
    #[arg(short, long)]
    package: Option<String>,
    /// Listen on this port of 127.0.0.1 and hand the socket to the program (`LISTEN_FDS`); 0 takes a
    /// free one. `stepwell::axum::listen` takes it, as the crate `listenfd` does
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Arguments for the program
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// What happened.
enum Happened {
    Changed,
    Ended(End),
    Told,
}

/// Everything that is looked after.
struct Developing {
    build: Build,
    socket: Option<Socket>,
    arguments: Vec<String>,
    changes: Changes,
    signals: Signals,
    restarts: Restarts,
    built: Option<Built>,
    program: Option<Program>,
}

/// Runs the command, until it is told to stop.
pub(crate) async fn run(dev: Dev) -> Result<Exit, Problem> {
    let signals = Signals::new()?;
    let build = Build::find(dev.package, dev.bin).await?;
    let socket = dev.port.map(Socket::open).transpose()?;
    if let Some(socket) = &socket {
        eprintln!("listening on http://{}", socket.address());
    }
    let changes = Changes::watch(build.sources())?;
    let mut developing = Developing {
        build,
        socket,
        arguments: dev.arguments,
        changes,
        signals,
        restarts: Restarts::new(DEATHS_MAX),
        built: None,
        program: None,
    };
    let exit = developing.go_on().await;
    developing.stop().await?;
    exit
}

impl Developing {
    async fn go_on(&mut self) -> Result<Exit, Problem> {
        let mut next = Happened::Changed;
        loop {
            next = match next {
                Happened::Changed => match self.rebuild().await? {
                    Some(told) => told,
                    None => self.wait().await?,
                },
                Happened::Ended(end) => match self.ended(end).await? {
                    Some(told) => told,
                    None => self.wait().await?,
                },
                Happened::Told => return Ok(Exit::Ok),
            };
        }
    }

    /// Waits for the next thing to happen.
    async fn wait(&mut self) -> Result<Happened, Problem> {
        let Self {
            program,
            changes,
            signals,
            ..
        } = self;
        let ended = async {
            match program {
                Some(program) => program.end().await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            end = ended => Happened::Ended(end?),
            () = changes.next() => Happened::Changed,
            _ = signals.next() => Happened::Told,
        })
    }

    /// Builds, and if that made another program, puts it in the place of the one that runs. While
    /// it is built, and if it cannot be built, the old one goes on.
    async fn rebuild(&mut self) -> Result<Option<Happened>, Problem> {
        let built = tokio::select! {
            built = self.build.run() => built?,
            _ = self.signals.next() => return Ok(Some(Happened::Told)),
        };
        let Some(built) = built else {
            let goes_on = if self.program.is_some() {
                "; the program from before goes on"
            } else {
                ""
            };
            eprintln!("the build failed{goes_on}; waiting for a change");
            return Ok(None);
        };
        self.changes.follow(&built.sources)?;
        if self.program.is_some() && self.built.as_ref() == Some(&built) {
            return Ok(None);
        }
        self.stop().await?;
        self.built = Some(built);
        self.restarts.forget();
        self.start()?;
        Ok(None)
    }

    /// The program ended: after a crash it is started again, otherwise a change is waited for.
    async fn ended(&mut self, end: End) -> Result<Option<Happened>, Problem> {
        self.program = None;
        let words = end.words();
        if end.status.success() {
            eprintln!("the program {words}; waiting for a change");
            return Ok(None);
        }
        let pause = match self.restarts.died(end.lived) {
            Next::Start(pause) => pause,
            Next::GiveUp => {
                eprintln!(
                    "the program {words}, for the {DEATHS_MAX}th time in a row; waiting for a change"
                );
                return Ok(None);
            }
        };
        eprintln!("the program {words}; starting it again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.changes.next() => return Ok(Some(Happened::Changed)),
            _ = self.signals.next() => return Ok(Some(Happened::Told)),
        }
        self.start()?;
        Ok(None)
    }

    fn start(&mut self) -> Result<(), Problem> {
        let Some(built) = &self.built else {
            return Ok(());
        };
        let mut command = match &self.socket {
            Some(socket) => socket.command(&built.program)?,
            None => Command::new(&built.program),
        };
        self.program = Some(Program::start(command.args(&self.arguments))?);
        eprintln!("started `{}`", built.program.display());
        Ok(())
    }

    /// Lets the program that runs drain.
    async fn stop(&mut self) -> Result<(), Problem> {
        if let Some(program) = self.program.take() {
            program.stop(DRAIN).await?;
        }
        Ok(())
    }
}
