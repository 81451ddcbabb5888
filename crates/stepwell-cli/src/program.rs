//! The process of a program that is looked after: its start, its end, and signals for it.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{self, SignalKind},
};

use crate::exit::{Exit, Problem};

/// A process that runs, or has ended and is not forgotten yet.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    started: Instant,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) lived: Duration,
}

impl Program {
    /// Starts it, in a process group of its own and without a terminal to read from: Ctrl-C reaches
    /// it once, through us, and not a second time from the terminal.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Problem> {
        let spawned = command
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let child = spawned.map_err(|error| {
            let program = command.as_std().get_program().display();
            Problem::failure(format!("could not start `{program}`")).because(&error)
        })?;
        let started = Instant::now();
        Ok(Self { child, started })
    }

    /// Waits for its end. Dropped while it waits, it can be waited for again.
    pub(crate) async fn end(&mut self) -> io::Result<End> {
        let status = self.child.wait().await?;
        let lived = self.started.elapsed();
        Ok(End { status, lived })
    }

    /// Asks it to end and waits for its drain; after `patience` it is killed.
    pub(crate) async fn stop(mut self, patience: Duration) -> io::Result<End> {
        self.send(Signal::SIGTERM);
        if let Ok(end) = tokio::time::timeout(patience, self.end()).await {
            return end;
        }
        self.send(Signal::SIGKILL);
        self.end().await
    }

    /// Sends a signal to the process and to those that it has started.
    pub(crate) fn send(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It may have ended meanwhile; then its end says so.
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }
}

impl End {
    /// The exit code, as a shell would say it.
    pub(crate) fn exit(&self) -> Exit {
        let code = self.status.code();
        let code = code.or_else(|| self.status.signal().map(|signal| 128 + signal));
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(0) => Exit::Ok,
            Some(code) => Exit::OfProgram(code),
            None => Exit::Failure,
        }
    }

    /// How it ended, in words.
    pub(crate) fn words(&self) -> String {
        let lived = self.lived.as_secs_f64();
        let signal = self.status.signal().map(|it| (it, Signal::try_from(it)));
        match (self.status.code(), signal) {
            (Some(code), _) => format!("ended with exit code {code} after {lived:.1} s"),
            (None, Some((_, Ok(signal)))) => format!("was killed by {signal} after {lived:.1} s"),
            (None, Some((number, Err(_)))) => {
                format!("was killed by signal {number} after {lived:.1} s")
            }
            (None, None) => format!("ended after {lived:.1} s"),
        }
    }
}

/// The signals that ask for an orderly end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// From now on they do not end this process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            // The terminal was closed; the program does not hear of it in its own process group.
            _ = self.hangup.recv() => Signal::SIGTERM,
        }
    }
}
