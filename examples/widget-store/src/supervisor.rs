//! The supervisor: it owns the listening socket and starts a new worker when one dies.
//!
//! The socket outlives every worker, so a client that connects during a restart waits in its
//! backlog instead of being refused. The supervisor itself does next to nothing, and so has next to
//! nothing to crash at.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use stepwell::{ExecutorId, Failure, Timestamp};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{
    config::Config,
    crash::{Crash, CrashMode, Life, Word},
};

/// So many workers may die within this time without having served; then something is broken that
/// no restart mends.
const FALSE_STARTS_MAX: usize = 10;
const FALSE_STARTS_WITHIN: Duration = Duration::from_secs(10);

/// From so many deaths within ten seconds on, each restart waits a moment.
const QUICK_RESTARTS: usize = 5;
const SLOW_RESTART: Duration = Duration::from_millis(300);

/// What Rust's runtime exits with after a panic.
const PANICKED: i32 = 101;

/// Binds the port and keeps a worker running on it, until one ends in order.
///
/// # Errors
/// If the port cannot be had or no worker can be started.
pub async fn supervise(config: &Config) -> stepwell::Result<ExitCode> {
    let listener = listen(config.port)?;
    let mut signals = Signals::new()?;
    let mut life = Life {
        supervisor: std::process::id(),
        ..Life::default()
    };
    let mut deaths = Deaths::default();
    loop {
        let worker = Worker::start(&listener, &life)?;
        let end = worker.watch(&listener, &mut life, &mut signals).await?;
        if !end.is_crash() {
            return Ok(exit_code(end.status));
        }
        let now = Instant::now();
        deaths.note(now, end.was_ready);
        if deaths.false_starts() >= FALSE_STARTS_MAX {
            eprintln!("error: the worker died {FALSE_STARTS_MAX} times before it could serve");
            return Ok(exit_code(end.status));
        }
        life.crashes.push(end.into_crash());
        tokio::time::sleep(deaths.pause()).await;
    }
}

fn listen(port: u16) -> stepwell::Result<TcpListener> {
    // Only this machine: everybody who reaches the store can crash it.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        let other = if port == 8001 { 8002 } else { 8001 };
        let what = match error.kind() {
            io::ErrorKind::AddrInUse => format!("port {port} is in use by another program"),
            _ => format!("port {port} cannot be used"),
        };
        Failure::from(error).context(format!(
            "{what}; take another one: PORT={other} cargo run -p widget-store"
        ))
    })
}

/// A worker process, and the pipe on which it speaks.
struct Worker {
    child: Child,
    pid: u32,
    words: Lines<BufReader<ChildStdout>>,
}

/// How a worker ended.
struct End {
    status: ExitStatus,
    pid: u32,
    at: Timestamp,
    was_ready: bool,
    was_told_to_stop: bool,
    last_word: Option<CrashMode>,
    executor: Option<ExecutorId>,
}

impl Worker {
    fn start(listener: &TcpListener, life: &Life) -> stepwell::Result<Self> {
        let socket = OwnedFd::from(listener.try_clone()?);
        let mut child = Command::new(std::env::current_exe()?)
            .arg("worker")
            .env(Life::VARIABLE, serde_json::to_string(life)?)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::piped())
            // Ctrl-C reaches the worker once, through us, not a second time from the terminal.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::from(error).context("could not start a worker"))?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| Failure::msg("the worker has no standard output"))?;
        Ok(Self {
            pid: child.id().unwrap_or_default(),
            words: BufReader::new(stdout).lines(),
            child,
        })
    }

    /// Listens to the worker, and hands signals on, until it is gone.
    async fn watch(
        mut self,
        listener: &TcpListener,
        life: &mut Life,
        signals: &mut Signals,
    ) -> stepwell::Result<End> {
        let (mut was_ready, mut was_told_to_stop) = (false, false);
        let (mut last_word, mut executor) = (None, None);
        loop {
            tokio::select! {
                // Its last words come before the end of the pipe, which is the end of the process.
                word = self.words.next_line() => match word?.map(|line| serde_json::from_str(&line)) {
                    Some(Ok(Word::Ready)) => {
                        announce(listener, self.pid, life)?;
                        was_ready = true;
                        life.crashes.clear();
                    }
                    Some(Ok(Word::Executor(id))) => executor = Some(id),
                    Some(Ok(Word::Dying(mode))) => last_word = Some(mode),
                    Some(Ok(Word::Chaos(chaos))) => life.chaos = chaos,
                    Some(Err(_)) => {}
                    None => break,
                },
                signal = signals.next() => {
                    was_told_to_stop = true;
                    self.forward(signal);
                }
            }
        }
        let at = Timestamp::now();
        Ok(End {
            status: self.child.wait().await?,
            pid: self.pid,
            at,
            was_ready,
            was_told_to_stop,
            last_word,
            executor,
        })
    }

    fn forward(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have died meanwhile; then the end of its pipe says so.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Says where the store is, the first time, and afterwards what a crash has cost.
fn announce(listener: &TcpListener, pid: u32, life: &Life) -> io::Result<()> {
    let line = match life.crashes.last() {
        None => format!(
            "Widget store: http://localhost:{}",
            listener.local_addr()?.port()
        ),
        Some(crash) => {
            let ms = Timestamp::now().duration_since(crash.at).as_millis();
            let (dead, how) = (crash.pid, crash.mode.describe());
            format!("Process {dead} died {how}; process {pid} serves since {ms} ms later")
        }
    };
    // Nobody may be reading; the store is open all the same.
    let _ = writeln!(io::stdout(), "{line}");
    Ok(())
}

impl End {
    /// Whether the worker died, rather than ended. One that gives up before it could serve has said
    /// why, and would say it again.
    fn is_crash(&self) -> bool {
        let killed = self.status.signal().is_some();
        let failed = match self.status.code() {
            Some(PANICKED) => true,
            Some(code) => self.was_ready && code != 0,
            None => false,
        };
        !self.was_told_to_stop && (killed || failed)
    }

    fn into_crash(self) -> Crash {
        let by_hand = self.status.signal() == Some(Signal::KILL.as_raw());
        let otherwise = if by_hand {
            CrashMode::Now
        } else {
            CrashMode::Accident
        };
        Crash {
            at: self.at,
            pid: self.pid,
            mode: self.last_word.unwrap_or(otherwise),
            executor: self.executor,
        }
    }
}

/// The worker's exit code, as a shell would say it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The deaths of the last ten seconds, and whether each worker had served before.
#[derive(Default)]
struct Deaths(Vec<(Instant, bool)>);

impl Deaths {
    fn note(&mut self, now: Instant, was_ready: bool) {
        self.0
            .retain(|(at, _)| now.duration_since(*at) < FALSE_STARTS_WITHIN);
        self.0.push((now, was_ready));
    }

    /// How many workers died in a row, up to now, without having served.
    fn false_starts(&self) -> usize {
        let unready = self.0.iter().rev().take_while(|(_, was_ready)| !was_ready);
        unready.count()
    }

    /// At once, unless they die faster than anybody can click.
    fn pause(&self) -> Duration {
        if self.0.len() <= QUICK_RESTARTS {
            Duration::ZERO
        } else {
            SLOW_RESTART
        }
    }
}

/// The signals that ask for an orderly end.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_never_serves_is_given_up() {
        let mut deaths = Deaths::default();
        let start = Instant::now();
        for second in 0..20 {
            deaths.note(start + Duration::from_secs(second), false);
        }
        assert_eq!(deaths.false_starts(), 10, "older ones no longer count");
        deaths.note(start + Duration::from_secs(20), true);
        assert_eq!(deaths.false_starts(), 0, "this one had served");
    }

    #[test]
    fn a_click_is_answered_at_once_and_a_storm_is_not() {
        let mut deaths = Deaths::default();
        let start = Instant::now();
        deaths.note(start, true);
        assert_eq!(deaths.pause(), Duration::ZERO);
        for _ in 0..9 {
            deaths.note(start, true);
        }
        assert_eq!(deaths.pause(), SLOW_RESTART);
    }
}
